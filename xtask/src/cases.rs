//! Which case is held by which test.
//!
//! The cases stand in `xtask/cases.txt`; a test holds those whose numbers its name begins with.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use crate::report::Screen;
use crate::sources::{self, Source};
use crate::tools::Workspace;

/// `cargo xtask cases [--check]`.
pub(crate) fn command(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode, String> {
    let check = match arguments {
        [] => false,
        [flag] if flag == "--check" => true,
        [word] => return Err(crate::usage(&format!("unknown option `{word}`"))),
        [_, more, ..] => return Err(crate::usage(&format!("`{more}` is one too many"))),
    };
    let coverage = Coverage::read(&workspace.root)?;
    let screen = Screen::new();
    if !check {
        screen.line(coverage.table().trim_end());
        screen.line("");
    }
    let faults = coverage.faults();
    if check {
        screen.line(faults.trim_end());
    }
    screen.line(&coverage.summary());
    Ok(if check && !faults.is_empty() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The cases, and the tests found for each.
#[derive(Debug)]
pub(crate) struct Coverage {
    cases: Vec<Case>,
    held: BTreeMap<Number, Vec<Test>>,
    /// Tests that fail when a guard is taken away.
    without_guard: Vec<Test>,
}

/// What holds the tests that run in a browser.
const BROWSER_TESTS: &str = ".test.mjs";

/// Where guards are turned off: elsewhere `without_…` is a word like any other.
const ABLATION: &str = "tests/tests/ablation/";

impl Coverage {
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let cases = parse_cases(&sources::read_text(&root.join("xtask/cases.txt"))?)?;
        let mut files = Vec::new();
        for member in sources::members(root)?
            .iter()
            .filter(|member| *member != "xtask")
        {
            files.extend(sources::rust_files(root, member)?);
            files.extend(sources::files(root, member, BROWSER_TESTS)?);
        }
        Ok(Self::new(cases, &files))
    }

    fn new(cases: Vec<Case>, files: &[Source]) -> Self {
        let mut held: BTreeMap<Number, Vec<Test>> = BTreeMap::new();
        let mut without_guard = Vec::new();
        for test in files.iter().flat_map(tests) {
            if test.path.starts_with(ABLATION) && test.name.starts_with("without_") {
                without_guard.push(test.clone());
            }
            for number in numbers(&test.name) {
                held.entry(number).or_default().push(test.clone());
            }
        }
        Self {
            cases,
            held,
            without_guard,
        }
    }

    /// What is wrong, one a line: required cases without a test, and tests for unknown cases.
    pub(crate) fn faults(&self) -> String {
        let mut text = String::new();
        for case in self.cases.iter().filter(|case| case.is_required()) {
            if !self.held.contains_key(&case.number) {
                let prefix = case.number.prefix();
                let _ = writeln!(
                    text,
                    "{} is held by no test ({}); name one {prefix}_…",
                    case.number, case.title
                );
            }
        }
        for (number, tests) in &self.held {
            if !self.cases.iter().any(|case| case.number == *number) {
                for test in tests {
                    let _ = writeln!(text, "{test}: there is no case {number}");
                }
            }
        }
        text
    }

    /// How many cases stand, in one line.
    pub(crate) fn summary(&self) -> String {
        let is_held = |case: &&Case| self.held.contains_key(&case.number);
        let required = self.cases.iter().filter(|case| case.is_required());
        let planned = self.cases.iter().filter(|case| !case.is_required());
        let halves = self.cases.iter();
        let halves = halves.filter(|case| matches!(case.where_held, WhereHeld::Half(_)));
        let tests: usize = self.held.values().map(Vec::len).sum();
        format!(
            "{} of {} required cases held, {} of them by the machine's half so far, \
             {} of {} planned ones already, by {tests} tests; \
             {} tests hold a guard's removal",
            required.clone().filter(is_held).count(),
            required.count(),
            halves.count(),
            planned.clone().filter(is_held).count(),
            planned.count(),
            self.without_guard.len(),
        )
    }

    fn table(&self) -> String {
        let mut text = String::new();
        for case in &self.cases {
            let tests = self.held.get(&case.number);
            let state = match (tests, &case.where_held) {
                (Some(_), WhereHeld::Half(_)) => "half",
                (Some(_), _) => "held",
                (None, WhereHeld::Planned(_)) => "planned",
                (None, _) => "OPEN",
            };
            let _ = writeln!(
                text,
                "{:<5} {state:<8} {}",
                case.number.to_string(),
                case.title
            );
            for test in tests.into_iter().flatten() {
                let _ = writeln!(text, "{:15}{test}", "");
            }
            match (tests, &case.where_held) {
                (None, WhereHeld::Planned(place)) => {
                    let _ = writeln!(text, "{:15}{place}", "");
                }
                (_, WhereHeld::Half(place)) => {
                    let _ = writeln!(text, "{:15}the rest: {place}", "");
                }
                _ => {}
            }
        }
        if !self.without_guard.is_empty() {
            let _ = writeln!(text, "\nWithout a guard:");
            for test in &self.without_guard {
                let _ = writeln!(text, "{:15}{test}", "");
            }
        }
        text
    }
}

/// `N-07` of the client, or incident 12 of the lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Number {
    Client(u8),
    Incident(u8),
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("N-") {
            Some(number) => number.parse().ok().map(Self::Client),
            None => text.parse().ok().map(Self::Incident),
        }
    }

    /// How the name of a test that holds it begins.
    fn prefix(self) -> String {
        match self {
            Self::Client(number) => format!("n{number:02}"),
            Self::Incident(number) => format!("i{number:02}"),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(number) => write!(f, "N-{number:02}"),
            Self::Incident(number) => write!(f, "{number}"),
        }
    }
}

#[derive(Debug)]
struct Case {
    number: Number,
    where_held: WhereHeld,
    title: String,
}

impl Case {
    fn is_required(&self) -> bool {
        !matches!(self.where_held, WhereHeld::Planned(_))
    }
}

/// What of a case has to be held now.
#[derive(Debug)]
enum WhereHeld {
    /// All of it.
    Required,
    /// What the machine decides of it; a binding that comes later holds the rest.
    Half(String),
    /// Nothing yet.
    Planned(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Test {
    path: String,
    name: String,
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.path, self.name)
    }
}

fn parse_cases(text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let wrong = || {
            format!(
                "cases.txt: expected `number | required, half: … or planned: … | title`, \
                 found: {line}"
            )
        };
        let mut parts = line.splitn(3, " | ");
        let (Some(number), Some(state), Some(title)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let number = Number::parse(number).ok_or_else(wrong)?;
        let where_held = match state.split_once(": ") {
            None if state == "required" => WhereHeld::Required,
            Some(("half", place)) => WhereHeld::Half(place.to_owned()),
            Some(("planned", place)) => WhereHeld::Planned(place.to_owned()),
            _ => return Err(wrong()),
        };
        if cases.iter().any(|case| case.number == number) {
            return Err(format!("cases.txt: {number} stands twice"));
        }
        cases.push(Case {
            number,
            where_held,
            title: title.to_owned(),
        });
    }
    Ok(cases)
}

/// The tests of a file. One that is ignored holds nothing, and so is left out.
fn tests(file: &Source) -> Vec<Test> {
    if file.path.ends_with(BROWSER_TESTS) {
        return browser_tests(file);
    }
    let mut found = Vec::new();
    let (mut is_test, mut is_ignored) = (false, false);
    for line in file.text.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.contains("test]") || line.contains("test(");
            is_ignored |= line.starts_with("#[ignore");
        } else if let Some(name) = function(line) {
            if is_test && !is_ignored {
                found.push(Test {
                    path: file.path.clone(),
                    name: name.to_owned(),
                });
            }
            (is_test, is_ignored) = (false, false);
        }
    }
    found
}

/// `it("n18_back_within_3_s", …`; what is skipped is written `it.skip(`.
fn browser_tests(file: &Source) -> Vec<Test> {
    let names = file.text.lines().filter_map(|line| {
        let call = line.trim_start();
        let rest = call
            .strip_prefix("it(\"")
            .or_else(|| call.strip_prefix("test(\""))?;
        rest.split('"').next()
    });
    names
        .map(|name| Test {
            path: file.path.clone(),
            name: name.to_owned(),
        })
        .collect()
}

fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    let name = line.strip_prefix("fn ")?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
}

/// The numbers at the beginning of a test's name.
fn numbers(name: &str) -> Vec<Number> {
    name.split('_')
        .map_while(|word| {
            let digits = |rest: &str| {
                rest.bytes()
                    .all(|b| b.is_ascii_digit())
                    .then(|| rest.parse().ok())
            };
            if let Some(rest) = word.strip_prefix('n') {
                digits(rest).flatten().map(Number::Client)
            } else {
                digits(word.strip_prefix('i')?)
                    .flatten()
                    .map(Number::Incident)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source {
            path: "sdk-core/tests/x.rs".to_owned(),
            text: text.to_owned(),
        }
    }

    fn names(text: &str) -> Vec<String> {
        tests(&source(text))
            .into_iter()
            .map(|test| test.name)
            .collect()
    }

    #[test]
    fn tests_are_found_under_every_kind_of_attribute() {
        let text = "
            #[test]
            fn n07_cut() {}
            #[tokio::test(start_paused = true)]
            async fn n11_silence() {}
            proptest! {
                #![proptest_config(cases(64))]
                /// Any order.
                #[test]
                fn n32_one_transport(inputs in any()) {}
            }
        ";
        assert_eq!(names(text), ["n07_cut", "n11_silence", "n32_one_transport"]);
    }

    #[test]
    fn helpers_comments_and_ignored_tests_hold_nothing() {
        let text = "
            fn n07_helper() {}
            // #[test]
            // fn n08_commented() {}
            #[test]
            #[ignore = \"slow\"]
            fn n09_ignored() {}
            fn n10_after_an_ignored_one() {}
        ";
        assert!(names(text).is_empty(), "{:?}", names(text));
    }

    #[test]
    fn tests_of_a_browser_are_found_by_their_names() {
        let file = Source {
            path: "tests/web/page.test.mjs".to_owned(),
            text:
                "  it(\"n18_n43_back\", told(async () => {\n  it.skip(\"n12_later\", () => {});\n  \
                   // it(\"n07_gone\", () => {});\n  it(\"a reload\", () => {});\n"
                    .to_owned(),
        };
        let names: Vec<_> = tests(&file).into_iter().map(|test| test.name).collect();
        assert_eq!(names, ["n18_n43_back", "a reload"]);
        let cases = "N-18 | required | back\nN-43 | required | wasm\n";
        let coverage = Coverage::new(parse_cases(cases).unwrap(), &[file]);
        assert_eq!(coverage.faults(), "");
    }

    #[test]
    fn a_name_may_bear_several_numbers() {
        assert_eq!(
            numbers("i01_i24_viewers_survive"),
            [Number::Incident(1), Number::Incident(24)]
        );
        assert_eq!(numbers("n07_after_5_s"), [Number::Client(7)]);
        assert!(numbers("n_nothing").is_empty());
        assert!(numbers("idle_i01").is_empty());
        assert!(numbers("i999_beyond").is_empty());
    }

    #[test]
    fn a_required_case_without_a_test_is_a_fault_and_a_planned_one_is_not() {
        let cases = "N-07 | required | cut\nN-08 | planned: later | a day\n12 | required | gone\n";
        let coverage = Coverage::new(
            parse_cases(cases).unwrap(),
            &[source("#[test]\nfn n07_cut() {}\n")],
        );
        let faults = coverage.faults();
        assert!(
            faults.starts_with("12 is held by no test (gone); name one i12_…"),
            "{faults}"
        );
        assert_eq!(faults.lines().count(), 1, "{faults}");
        assert!(
            coverage
                .summary()
                .starts_with("1 of 2 required cases held, 0 of them by the machine's half")
        );
    }

    #[test]
    fn half_a_case_is_required_and_says_who_holds_the_rest() {
        let cases = "N-18 | half: sdk-wasm | back\nN-43 | half: sdk-wasm | wasm\n";
        let coverage = Coverage::new(
            parse_cases(cases).unwrap(),
            &[source("#[test]\nfn n18_back() {}\n")],
        );
        assert!(coverage.faults().starts_with("N-43 is held by no test"));
        let table = coverage.table();
        assert!(table.contains("N-18  half     back"), "{table}");
        assert!(table.contains("N-43  OPEN     wasm"), "{table}");
        assert_eq!(table.matches("the rest: sdk-wasm").count(), 2, "{table}");
    }

    #[test]
    fn a_test_for_an_unknown_case_is_a_fault() {
        let cases = parse_cases("N-07 | planned: later | cut\n").unwrap();
        let coverage = Coverage::new(cases, &[source("#[test]\nfn n70_typo() {}\n")]);
        assert_eq!(
            coverage.faults(),
            "sdk-core/tests/x.rs  n70_typo: there is no case N-70\n"
        );
    }

    #[test]
    fn the_list_is_whole() {
        let cases = parse_cases(include_str!("../cases.txt")).unwrap();
        let expected: Vec<Number> = (1..=47)
            .map(Number::Client)
            .chain((1..=48).map(Number::Incident))
            .collect();
        assert_eq!(
            cases.iter().map(|case| case.number).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn a_malformed_list_is_refused() {
        for text in [
            "N-07 | required",
            "X-1 | required | t",
            "1 | someday | t",
            "1 | required | t\n1 | required | t",
        ] {
            assert!(parse_cases(text).is_err(), "{text}");
        }
    }
}
