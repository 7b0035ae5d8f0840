//! Runs the steps one after the other and says how each ended.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::report::{self, Counts, Screen};
use crate::steps;
use crate::tools::Workspace;

/// One step of the test command.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// Ended as failed when it runs for longer: it hangs.
    pub(crate) limit: Duration,
    pub(crate) run: fn(&Workspace) -> Outcome,
}

/// What a step found.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) counts: Counts,
    /// Shown when the step passed; may be empty.
    pub(crate) remark: String,
    /// Shown when it failed.
    pub(crate) output: String,
}

impl Outcome {
    pub(crate) fn passed(remark: String) -> Self {
        Self {
            counts: Counts {
                passed: 1,
                ..Counts::default()
            },
            remark,
            output: String::new(),
        }
    }

    pub(crate) fn failed(output: String) -> Self {
        Self {
            counts: Counts {
                failed: 1,
                ..Counts::default()
            },
            remark: String::new(),
            output,
        }
    }
}

/// `cargo xtask test [STEP…]`: runs the steps, goes on after a failure, and ends with the summary.
pub(crate) fn test(workspace: &Workspace, names: &[String]) -> Result<ExitCode, String> {
    let chosen = chosen(names)?;
    let screen = Screen::new();
    let started = Instant::now();
    let mut total = Counts::default();
    let mut failed = Vec::new();
    for (index, step) in chosen.iter().enumerate() {
        let place = format!("[{:>2}/{}]", index + 1, chosen.len());
        screen.line(&format!(
            "{} {:<14}{}",
            screen.faint(&place),
            step.name,
            step.what
        ));
        // The log is of this run alone. If it cannot be removed, the run itself will say so.
        let _ = std::fs::remove_file(workspace.log(step.name));
        let begun = Instant::now();
        workspace.end_at(begun + step.limit);
        let outcome = (step.run)(workspace);
        let time = screen.faint(&report::seconds(begun.elapsed()));
        if outcome.counts.failed > 0 {
            screen.block(&outcome.output);
            screen.line(&format!("        {}  {time}", screen.bad("failed")));
            failed.push(step.name);
        } else {
            screen.block(&outcome.remark);
            screen.line(&format!("        {}  {time}", screen.good("ok")));
        }
        total.add(outcome.counts);
    }
    screen.line("");
    screen.line(&format!("{} in all", report::seconds(started.elapsed())));
    if total.ignored > 0 {
        screen.line(&format!("{} ignored", total.ignored));
    }
    for name in &failed {
        let log = workspace.log(name);
        let log = if log.is_file() {
            format!(", output in {}", log.display())
        } else {
            String::new()
        };
        screen.line(&format!(
            "{}: {name} (again: cargo xtask test {name}{log})",
            screen.bad("failed")
        ));
    }
    screen.line(&format!("{} passed, {} failed", total.passed, total.failed));
    Ok(if total.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn chosen(names: &[String]) -> Result<Vec<&'static Step>, String> {
    if names.is_empty() {
        return Ok(steps::ALL.iter().collect());
    }
    let known = |name: &String| {
        steps::ALL
            .iter()
            .find(|step| step.name == name.as_str())
            .ok_or_else(|| {
                let all: Vec<&str> = steps::ALL.iter().map(|step| step.name).collect();
                crate::usage(&format!(
                    "unknown step `{name}`: expected {}",
                    all.join(", ")
                ))
            })
    };
    names.iter().map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_chosen_by_name_and_an_unknown_one_lists_them() {
        let names = ["clippy".to_owned(), "fmt".to_owned()];
        let picked = chosen(&names).unwrap();
        assert_eq!(
            picked.iter().map(|step| step.name).collect::<Vec<_>>(),
            ["clippy", "fmt"]
        );
        assert_eq!(chosen(&[]).unwrap().len(), steps::ALL.len());
        let message = chosen(&["lint".to_owned()]).unwrap_err();
        assert!(message.contains("clippy, docs, tests"), "{message}");
    }
}
