//! The face says what the crate says.

use wakecast::ErrorCode;

/// The face's table, which the module need not hold a second time.
const FACE: &str = include_str!("../npm/error.js");

#[test]
fn the_remedies_of_the_face_are_those_of_the_crate() {
    let (_, rest) = FACE.split_once("const REMEDIES = Object.freeze({").unwrap();
    let (table, rest) = rest.split_once("});").unwrap();
    let entries: Vec<(&str, &str)> = table
        .split(",\n")
        .filter(|entry| !entry.trim().is_empty())
        .map(|entry| {
            let (code, remedy) = entry.split_once(':').unwrap();
            (code.trim(), text(remedy))
        })
        .collect();
    let ours: Vec<(&str, &str)> = ErrorCode::ALL
        .iter()
        .map(|code| (code.as_str(), code.remedy()))
        .collect();
    assert_eq!(entries, ours);
    let (_, unknown) = rest.split_once("const UNKNOWN =").unwrap();
    let (unknown, _) = unknown.split_once(';').unwrap();
    assert_eq!(text(unknown), ErrorCode::Other("new".into()).remedy());
}

/// What a JavaScript text without escapes says.
fn text(literal: &str) -> &str {
    let literal = literal.trim();
    let quote = literal.chars().next().unwrap();
    assert!(
        matches!(quote, '\'' | '"') && !literal.contains('\\'),
        "{literal}"
    );
    literal.trim_matches(quote)
}
