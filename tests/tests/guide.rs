//! The guide says of every error code what the code itself says. Its snippets are compiled as
//! examples of this crate's documentation.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use wakecast::{ErrorCode, UserAction};

#[test]
fn every_error_code_has_its_remedy_in_the_guide() {
    let page = include_str!("../../docs/guide/failures.md");
    let told: Vec<Vec<&str>> = (page.lines())
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"))
        .map(|row| row.split(" | ").collect())
        .collect();
    let names: Vec<&str> = told
        .iter()
        .map(|row| row[0].trim_end_matches('`'))
        .collect();
    let known: Vec<&str> = ErrorCode::ALL.iter().map(ErrorCode::as_str).collect();
    assert_eq!(names, known, "one row for each code, in the code's order");
    for (code, row) in ErrorCode::ALL.iter().zip(&told) {
        let [_, retry, person, remedy] = row[..] else {
            panic!("{code}: four cells, not {row:?}");
        };
        let retryable = if code.retryable() { "yes" } else { "no" };
        assert_eq!(retry, retryable, "{code}");
        assert_eq!(person, words(code.user_action()), "{code}");
        assert!(
            remedy.ends_with('.') && remedy.len() > 30,
            "{code}: {remedy}"
        );
    }
}

#[test]
fn the_pages_of_the_guide_lead_to_each_other() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide");
    let readme = include_str!("../../README.md");
    for entry in std::fs::read_dir(guide).expect("the guide") {
        let path = entry.expect("a page").path();
        let name = path
            .file_name()
            .expect("its name")
            .to_string_lossy()
            .into_owned();
        assert!(
            readme.contains(&format!("docs/guide/{name}")),
            "README.md: {name}"
        );
        let text = std::fs::read_to_string(&path).expect("its text");
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().expect("a target");
            let exists = target.is_empty() || path.with_file_name(target).is_file();
            assert!(exists || target.starts_with("https://"), "{name}: {target}");
        }
    }
}

/// What the pages call it.
fn words(action: UserAction) -> &'static str {
    match action {
        UserAction::None => "nothing",
        UserAction::Wait => "wait",
        UserAction::Retry => "try again",
        UserAction::CheckNetwork => "check the network",
        UserAction::SignIn => "sign in again",
        UserAction::UpdateApp => "update the app",
        UserAction::ContactOperator => "contact the operator",
        other => panic!("{other:?} needs words"),
    }
}
