//! `cargo xtask bench SECTION`: measures, and writes the section of docs/benchmarks.md.
//!
//! The page is made of sections, each between two marks and each replaced by its own command, so
//! that one can be measured anew without the others.

use std::fs;
use std::process::{Command, ExitCode, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::tools::Workspace;
use crate::web;

const PAGE: &str = "docs/benchmarks.md";

const HEAD: &str = "\
# Benchmarks

Figures of one machine on one day, to be read as ratios and against limits: an absolute number says
more about the machine than about the code. Each section tells the command that wrote it; run it
again before comparing anything. No test asserts a time.
";

/// A part of the page.
struct Section {
    name: &'static str,
    title: &'static str,
    /// What is built, for the reader.
    profile: &'static str,
    /// Builds what the program needs beyond itself. The error is what to print.
    prepare: fn(&Workspace) -> Result<(), String>,
    /// Prints the section's body as Markdown.
    program: fn(&Workspace) -> Command,
}

const SECTIONS: [Section; 2] = [
    Section {
        name: "core",
        title: "The Rust client",
        profile: "profile `sim`: optimised, with assertions and overflow checks on",
        prepare: |_| Ok(()),
        program: |workspace| {
            let mut run = workspace.cargo(&["run", "--quiet", "--profile=sim"]);
            run.args(["--package=wakecast-tests", "--bin=bench", "--", "core"]);
            run
        },
    },
    Section {
        name: "web",
        title: "In a browser, beside the vendor's SDK",
        profile: "the npm package as it ships, the local cloud unoptimised",
        prepare: |workspace| web::prepare(workspace, "bench"),
        program: web::bench,
    },
];

/// Measures one section, shows it, and writes it to the page.
pub(crate) fn command(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode, String> {
    let [name] = arguments else {
        return Err(format!("bench what? The sections are: {}", names()));
    };
    let section = SECTIONS.iter().find(|section| section.name == name);
    let section =
        section.ok_or_else(|| format!("there is no section `{name}`; there are: {}", names()))?;
    (section.prepare)(workspace)?;
    let mut program = (section.program)(workspace);
    let output = program.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("what measures cannot be run: {error}"))?;
    if !output.status.success() {
        return Ok(ExitCode::FAILURE);
    }
    let body = String::from_utf8_lossy(&output.stdout);
    let text = told(section, &facts(section), &body);
    print!("{text}");
    let path = workspace.root.join(PAGE);
    // Absent before the first run.
    let page = fs::read_to_string(&path).unwrap_or_else(|_| HEAD.to_owned());
    let page = replaced(&page, section.name, &text);
    fs::write(&path, page).map_err(|error| format!("{PAGE}: {error}"))?;
    println!("\nwritten to {PAGE}");
    Ok(ExitCode::SUCCESS)
}

fn names() -> String {
    let names: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
    names.join(", ")
}

fn told(section: &Section, facts: &str, body: &str) -> String {
    let Section { name, title, .. } = section;
    format!(
        "## {title}\n\nWritten by `cargo xtask bench {name}`, {facts}.\n\n{}\n",
        body.trim()
    )
}

/// When and where.
fn facts(section: &Section) -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH);
    let date = date(seconds.map_or(0, |since| since.as_secs()) / 86_400);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, name)| name);
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    format!(
        "{date}, {cores} cores of {cpu}, {}, {}",
        rustc.unwrap_or_else(|_| "an unknown compiler".to_owned()),
        section.profile
    )
}

/// The page with one section put in place of the old one, or after the others.
fn replaced(page: &str, name: &str, text: &str) -> String {
    let (begin, end) = (
        format!("<!-- begin {name} -->"),
        format!("<!-- end {name} -->"),
    );
    let section = format!("{begin}\n{}\n{end}", text.trim());
    let old = page
        .split_once(&begin)
        .and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    match old {
        Some((before, after)) => format!("{before}{section}{after}"),
        None => format!("{}\n\n{section}\n", page.trim_end()),
    }
}

/// A day since 1970 as year-month-day, after Howard Hinnant's `civil_from_days`.
fn date(days: u64) -> String {
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{date:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_the_others_stay() {
        let page = replaced(HEAD, "core", "alpha\n");
        let page = replaced(&page, "web", "beta\n");
        let page = replaced(&page, "core", "gamma\n");
        assert!(page.starts_with(HEAD.trim_end()));
        assert!(!page.contains("alpha"), "{page}");
        let (core, web) = (page.find("gamma").unwrap(), page.find("beta").unwrap());
        assert!(core < web, "{page}");
        assert_eq!(page.matches("<!-- begin").count(), 2);
        assert_eq!(replaced(&page, "core", "gamma"), page, "nothing gathers");
    }

    #[test]
    fn days_are_dates() {
        let dates = [
            (0, "1970-01-01"),
            (11_016, "2000-02-29"),
            (20_780, "2026-11-23"),
        ];
        for (days, text) in dates {
            assert_eq!(date(days), text);
        }
    }
}
