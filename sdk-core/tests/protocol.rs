//! The wire form: recorded messages, the document and the types say the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wakecast::protocol::{
    ClientMessage, LeaseState, LostReason, Outcome, OverrideMode, Phase, Purpose, ReleaseReason,
    RequestState, ServerMessage,
};
use wakecast::{ErrorCode, UserAction};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn recordings(direction: &str) -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = fs::read_dir(here("tests/golden").join(direction))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            (
                path.file_stem().unwrap().to_str().unwrap().to_owned(),
                serde_json::from_str(&text).unwrap(),
            )
        })
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

/// Removes every optional part, one path at a time, and calls `check` with the rest.
fn with_an_extra_field(value: &Value) -> Value {
    let mut value = value.clone();
    value["a_field_of_the_future"] = Value::from(vec![1, 2]);
    value
}

#[test]
fn every_client_message_survives_the_round_trip() {
    let recorded = recordings("client");
    let names: Vec<&str> = recorded.iter().map(|(name, _)| name.as_str()).collect();
    let mut actions = ClientMessage::ACTIONS.to_vec();
    actions.sort_unstable();
    assert_eq!(names, actions, "one recording of each");
    for (name, value) in recorded {
        let message = ClientMessage::decode(&value.to_string()).unwrap();
        assert_eq!(message.action(), name);
        assert_eq!(message.id(), value.get("id").and_then(Value::as_str));
        let again: Value = serde_json::from_str(&message.encode()).unwrap();
        assert_eq!(again, value, "{name}: nothing is lost and nothing added");
        let extended = with_an_extra_field(&value).to_string();
        assert_eq!(ClientMessage::decode(&extended).unwrap(), message, "{name}");
    }
}

#[test]
fn every_server_message_survives_the_round_trip() {
    let recorded = recordings("server");
    let names: BTreeSet<&str> = recorded.iter().map(|(name, _)| name.as_str()).collect();
    let types: BTreeSet<&str> = ServerMessage::TYPES
        .iter()
        .copied()
        .chain(["gateway"])
        .collect();
    assert_eq!(names, types, "one recording of each");
    for (name, value) in recorded {
        let message = ServerMessage::decode(&value.to_string()).unwrap();
        assert_eq!(message.kind().unwrap_or("gateway"), name);
        let again: Value = serde_json::from_str(&message.encode()).unwrap();
        assert_eq!(again, value, "{name}: nothing is lost and nothing added");
        let extended = with_an_extra_field(&value).to_string();
        assert_eq!(ServerMessage::decode(&extended).unwrap(), message, "{name}");
    }
}

#[test]
fn a_message_without_a_required_field_is_refused_and_names_it() {
    let document = Document::read();
    for (direction, recorded) in [
        ("client", recordings("client")),
        ("server", recordings("server")),
    ] {
        for (name, value) in recorded.iter().filter(|(name, _)| name != "gateway") {
            for field in &document.section(name, direction).fields {
                // Lists of rows may be absent: an empty one.
                if field.optional
                    || matches!(field.name.as_str(), "leases" | "requests" | "instances")
                        && value[&field.name].is_array()
                {
                    continue;
                }
                let mut without = value.clone();
                without.as_object_mut().unwrap().remove(&field.name);
                let text = without.to_string();
                let error = match direction {
                    "client" => ClientMessage::decode(&text).map(|_| ()).unwrap_err(),
                    _ => ServerMessage::decode(&text).map(|_| ()).unwrap_err(),
                };
                assert!(
                    error.to_string().contains(&format!("`{}`", field.name)),
                    "{name}: {error}"
                );
            }
        }
    }
}

#[test]
fn the_document_names_every_message_and_field_and_no_other() {
    let document = Document::read();
    for (direction, names) in [
        ("client", ClientMessage::ACTIONS),
        ("server", ServerMessage::TYPES),
    ] {
        let documented: BTreeSet<&str> = (document.sections.iter())
            .filter(|section| section.direction == direction)
            .map(|section| section.name.as_str())
            .collect();
        assert_eq!(documented, names.iter().copied().collect(), "{direction}");
        for (name, value) in recordings(direction)
            .iter()
            .filter(|(name, _)| name != "gateway")
        {
            let tag = if direction == "client" {
                "action"
            } else {
                "type"
            };
            let recorded: BTreeSet<&str> = (value.as_object().unwrap().keys())
                .map(String::as_str)
                .filter(|key| *key != tag)
                .collect();
            let section = document.section(name, direction);
            let fields: BTreeSet<&str> = section
                .fields
                .iter()
                .map(|field| field.name.as_str())
                .collect();
            // The recordings hold every field, and the round trip shows that the types do too.
            assert_eq!(fields, recorded, "{direction} {name}");
        }
    }
}

#[test]
fn optional_fields_are_those_the_document_marks() {
    let document = Document::read();
    for (direction, recorded) in [
        ("client", recordings("client")),
        ("server", recordings("server")),
    ] {
        for (name, value) in recorded.iter().filter(|(name, _)| name != "gateway") {
            for field in document
                .section(name, direction)
                .fields
                .iter()
                .filter(|field| field.optional)
            {
                let mut without = value.clone();
                without.as_object_mut().unwrap().remove(&field.name);
                let text = without.to_string();
                let again = match direction {
                    "client" => ClientMessage::decode(&text).unwrap().encode(),
                    _ => ServerMessage::decode(&text).unwrap().encode(),
                };
                assert_eq!(
                    serde_json::from_str::<Value>(&again).unwrap(),
                    without,
                    "{name}.{}",
                    field.name
                );
            }
        }
    }
}

#[test]
fn the_document_names_every_word_and_code() {
    let document = Document::read();
    let page = &document.page;
    let mut words: Vec<&str> = Vec::new();
    words.extend(Purpose::ALL.iter().map(|word| word.as_str()));
    words.extend(OverrideMode::ALL.iter().map(|word| word.as_str()));
    words.extend(ReleaseReason::ALL.iter().map(|word| word.as_str()));
    words.extend(Phase::ALL.iter().map(|word| word.as_str()));
    words.extend(LeaseState::ALL.iter().map(|word| word.as_str()));
    words.extend(RequestState::ALL.iter().map(|word| word.as_str()));
    words.extend(LostReason::ALL.iter().map(|word| word.as_str()));
    words.extend(Outcome::ALL.iter().map(|word| word.as_str()));
    for word in words {
        assert!(
            page.contains(&format!("`{word}`")),
            "protocol.md does not name `{word}`"
        );
    }
    let rows: Vec<Vec<String>> = table_rows(
        page.split("## Codes")
            .nth(1)
            .unwrap()
            .split("## Close")
            .next()
            .unwrap(),
    );
    let documented: Vec<(String, bool)> = rows
        .iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1] == "yes"))
        .collect();
    let known: Vec<(String, bool)> = ErrorCode::ALL
        .iter()
        .map(|code| (code.to_string(), code.retryable()))
        .collect();
    assert_eq!(documented, known);
    for (code, row) in ErrorCode::ALL.iter().zip(&rows) {
        let told = row[2].split(';').next().unwrap();
        assert_eq!(told, in_words(code.user_action()), "{code}");
    }
}

/// What the page calls it.
fn in_words(action: UserAction) -> &'static str {
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

#[test]
fn codes_read_back_and_say_how_to_mend_it() {
    for code in ErrorCode::ALL {
        assert_eq!(ErrorCode::parse(code.as_str()), *code);
        assert!(
            code.remedy().contains(':'),
            "{code}: what was wrong: what to do"
        );
    }
    assert_eq!(
        ErrorCode::parse("new_code"),
        ErrorCode::Other("new_code".into())
    );
    assert_eq!(ErrorCode::ALL.len(), 26);
}

struct Document {
    page: String,
    sections: Vec<Section>,
}

struct Section {
    direction: &'static str,
    name: String,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    optional: bool,
}

impl Document {
    fn read() -> Self {
        let page = fs::read_to_string(here("protocol.md")).unwrap();
        let mut sections = Vec::new();
        for (direction, title) in [
            ("client", "## Client → server"),
            ("server", "## Server → client"),
        ] {
            let part = page
                .split(title)
                .nth(1)
                .unwrap()
                .split("\n## ")
                .next()
                .unwrap()
                .to_owned();
            for section in part.split("\n### ").skip(1) {
                let Some(name) = section
                    .strip_prefix('`')
                    .and_then(|rest| rest.split('`').next())
                else {
                    continue;
                };
                let fields = table_rows(section)
                    .iter()
                    .map(|row| {
                        let field = row[0].trim_matches('`');
                        Field {
                            name: field.trim_end_matches('?').into(),
                            optional: field.ends_with('?'),
                        }
                    })
                    .collect();
                sections.push(Section {
                    direction,
                    name: name.to_owned(),
                    fields,
                });
            }
        }
        Self { page, sections }
    }

    fn section(&self, name: &str, direction: &str) -> &Section {
        let found = self
            .sections
            .iter()
            .find(|section| section.name == name && section.direction == direction);
        found.unwrap_or_else(|| panic!("protocol.md has no section `{name}` ({direction})"))
    }
}

/// The rows of the tables in a part of a page, without their heads.
fn table_rows(part: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|')
            .split(" | ")
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let lines: Vec<&str> = part.lines().collect();
    let is_row = |line: &&str| line.starts_with('|');
    let body = lines
        .windows(2)
        .filter(|pair| is_row(&pair[0]) && is_row(&pair[1]));
    body.map(|pair| pair[1])
        .filter(|line| !line.starts_with("|---"))
        .map(cells)
        .collect()
}
