//! The runner of the scenarios itself: a wrong expectation fails and says how, and a slip in a file
//! is an error that names the place.

mod scenario;
mod support;

use scenario::{Scenario, Starts, parse, play, read_all};

const GIVEN: &str = r#"{ "about": "where to begin", "given": {
    "new": {},
    "connected": { "after": "new", "steps": [
        { "do": "connect" }, { "expect": { "state": "connected" } }
    ] },
    "round": { "after": "round" }
} }"#;

fn file(scenarios: &str) -> String {
    format!(r#"{{ "group": "a", "about": "examples", "scenarios": [{scenarios}] }}"#)
}

fn scenario(steps: &str) -> String {
    let name = r#""name": "one", "why": "an example", "given": "connected""#;
    file(&format!(r#"{{ {name}, "steps": [{steps}] }}"#))
}

fn read(text: &str) -> Result<Vec<Scenario>, String> {
    parse("a.json", text, &Starts::parse(GIVEN).unwrap())
}

/// The error of reading these steps.
fn slip(steps: &str) -> String {
    let error = read(&scenario(steps)).expect_err(steps);
    assert!(error.starts_with("a.json: scenario 1, one: "), "{error}");
    error
}

/// What a person reads when these steps are played.
fn failure(steps: &str) -> String {
    let read = read(&scenario(steps)).unwrap_or_else(|error| panic!("{error}"));
    play(&read[0]).expect_err(steps).to_string()
}

fn holds(steps: &str) {
    let read = read(&scenario(steps)).unwrap_or_else(|error| panic!("{error}"));
    if let Err(failure) = play(&read[0]) {
        panic!("{failure}");
    }
}

#[test]
fn a_wrong_expectation_fails_with_file_step_time_expected_and_seen() {
    let told = failure(
        r#"{ "wait": "10s" },
           { "peer": { "silent": true } },
           { "do": "foreground" },
           { "expect": { "close": 1, "code": 1000 }, "after": "3s" }"#,
    );
    for part in [
        "a/one failed in step 4 at 13000 ms",
        "tests/scenarios/a.json",
        r#"step      {"after":"3s","expect":{"close":1,"code":1000}}"#,
        r#"expected  {"close":1,"code":1000} at 13000 ms"#,
        "seen      nothing that fits; nearest at 13000 ms `code` is 4000, expected 1000",
        "seed      0",
        r#"10000 ms  {"link":1,"message":{"action":"ping"},"send":"ping"}"#,
    ] {
        assert!(told.contains(part), "no {part:?} in:\n{told}");
    }
}

#[test]
fn what_comes_too_early_too_late_or_not_at_all_fails() {
    let ping = r#"{ "expect": { "send": "ping" }, "at": "270s" }"#;
    holds(ping);
    let early = failure(r#"{ "expect": { "send": "ping" }, "between": ["271s", "280s"] }"#);
    assert!(early.contains("too early, at 270000 ms"), "{early}");
    let late = failure(r#"{ "expect": { "send": "ping" }, "within": "269999ms" }"#);
    assert!(late.contains("nothing of its kind"), "{late}");
    let missing = failure(r#"{ "expect": { "open": 2 }, "within": "1h" }"#);
    assert!(missing.contains("nothing of its kind"), "{missing}");
}

#[test]
fn what_should_never_come_fails_when_it_comes() {
    holds(r#"{ "never": { "send": "ping" }, "for": "269999ms" }, { "now": { "links": 1 } }"#);
    let told = failure(r#"{ "never": { "send": "ping" }, "for": "270s" }, { "now": {} }"#);
    assert!(told.contains("it came at 270000 ms"), "{told}");
    let any = failure(r#"{ "never": "*", "for": "270s" }, { "now": {} }"#);
    assert!(any.contains("it came at 270000 ms"), "{any}");
}

#[test]
fn only_allows_nothing_in_between() {
    holds(r#"{ "do": "foreground" }, { "expect": { "send": "ping" }, "only": true }"#);
    let told = failure(
        r#"{ "do": ["foreground", "background"] },
           { "expect": { "state": "paused" }, "only": true }"#,
    );
    assert!(told.contains("something else first"), "{told}");
}

#[test]
fn what_lies_before_an_input_cannot_answer_for_it() {
    // The ping of the heartbeat is no answer to a close that sends nothing.
    let told =
        failure(r#"{ "at": "271s", "do": "network_down" }, { "expect": { "send": "ping" } }"#);
    assert!(told.contains("nothing of its kind"), "{told}");
}

#[test]
fn counts_look_back_to_a_mark() {
    let counted = |is: &str| {
        format!(
            r#"{{ "do": "foreground", "mark": "m" }}, {{ "wait": "271s" }},
               {{ "count": {{ "send": "ping" }}, "since": "m", "for": 0, "is": {is} }}"#
        )
    };
    holds(&counted("2"));
    holds(&counted("[1, 3]"));
    let told = failure(&counted("3"));
    assert!(told.contains("seen      2 times"), "{told}");
}

#[test]
fn the_state_of_now_is_compared() {
    holds(r#"{ "now": { "state": "connected", "session": "session-1", "links": 1 } }"#);
    let told = failure(r#"{ "now": { "state": "connected", "links": 2 } }"#);
    assert!(told.contains("`links` is 1, expected 2"), "{told}");
}

#[test]
fn conditions_are_kept() {
    let welcome = |condition: &str| format!(r#"{{ "now": {{ "session": {condition} }} }}"#);
    for (condition, fits) in [
        (r#""*""#, true),
        (r#"{ "contains": "sion" }"#, true),
        (r#"{ "contains": "other" }"#, false),
        (r#"{ "not": "session-2" }"#, true),
        (r#"{ "not": "session-1" }"#, false),
        (r#"{ "one_of": ["session-1", "x"] }"#, true),
        (r#"{ "one_of": ["x"] }"#, false),
        ("null", false),
    ] {
        let read = read(&scenario(&welcome(condition))).unwrap();
        assert_eq!(play(&read[0]).is_ok(), fits, "{condition}");
    }
    for (condition, fits) in [
        (r#"{ "between": [1, 2] }"#, true),
        (r#"{ "between": [2, 3] }"#, false),
        (r#"{ "at_least": 1 }"#, true),
        (r#"{ "at_least": "1s" }"#, false),
    ] {
        let read = read(&scenario(&format!(
            r#"{{ "now": {{ "links": {condition} }} }}"#
        )))
        .unwrap();
        assert_eq!(play(&read[0]).is_ok(), fits, "{condition}");
    }
}

#[test]
fn a_misspelt_key_is_an_error_with_file_scenario_and_step() {
    for (steps, said) in [
        (
            r#"{ "expcet": { "send": "ping" } }"#,
            "step 1: unknown field `expcet`",
        ),
        (
            r#"{ "wait": "1s" }, { "expect": { "sned": "ping" } }"#,
            "step 2: {\"sned\":\"ping\"} names no output",
        ),
        (
            r#"{ "expect": { "send": "pnig" } }"#,
            "step 1: `pnig` is none of hello",
        ),
        (
            r#"{ "expect": { "send": "ping", "lnik": 1 } }"#,
            "has a field `lnik`",
        ),
        (
            r#"{ "expect": { "send": "hello", "message": { "lease": [], "reqests": [] } } }"#,
            "`reqests`",
        ),
        (
            r#"{ "never": { "state": "conected" }, "for": 1 }, { "now": {} }"#,
            "`conected` is none of idle",
        ),
        (
            r#"{ "expect": { "state": "failed", "error": { "code": "forbiden" } } }"#,
            "`forbiden` is no error code",
        ),
        (
            r#"{ "expect": { "state": "reconnecting", "reason": "ofline" } }"#,
            "`ofline` is no error code",
        ),
        (
            r#"{ "expect": { "fetch_token": 1, "reason": "inital" } }"#,
            "`inital` is none of",
        ),
        (
            r#"{ "do": "conect" }, { "now": {} }"#,
            "step 1: unknown variant `conect`",
        ),
        (
            r#"{ "do": { "cancel": { "kye": 1 } } }, { "now": {} }"#,
            "unknown field `kye`",
        ),
        (
            r#"{ "peer": { "pnog": false } }, { "now": {} }"#,
            "unknown field `pnog`",
        ),
        (
            r#"{ "now": { "sate": "idle" } }"#,
            "`now` has a field `sate`",
        ),
        (r#"{ "wait": "10 parsecs" }, { "now": {} }"#, "is no time"),
        (
            r#"{ "repeat": 2, "steps": [{ "wiat": 1 }] }, { "now": {} }"#,
            "step 1.1: unknown field `wiat`",
        ),
    ] {
        let error = slip(steps);
        assert!(error.contains(said), "no {said:?} in: {error}");
    }
}

#[test]
fn what_makes_no_sense_is_an_error() {
    for (steps, said) in [
        (
            r#"{ "at": 1, "after": 2, "do": "connect" }, { "now": {} }"#,
            "only one of",
        ),
        (
            r#"{ "between": [2, 1], "expect": { "send": "ping" } }"#,
            "lower time first",
        ),
        (
            r#"{ "within": 5, "do": "connect" }, { "now": {} }"#,
            "for `expect`",
        ),
        (
            r#"{ "never": { "send": "ping" } }, { "now": {} }"#,
            "how long",
        ),
        (r#"{ "count": { "send": "ping" }, "for": 1 }"#, "wants `is`"),
        (
            r#"{ "do": "connect", "only": true }, { "now": {} }"#,
            "`only` belongs to `expect`",
        ),
        (
            r#"{ "do": "connect", "wait": 1 }, { "now": {} }"#,
            "a step has one of",
        ),
        (
            r#"{ "note": "nothing" }, { "now": {} }"#,
            "a step has one of",
        ),
        (
            r#"{ "expect": { "progress": "a", "fraction": { "between": [1] } } }"#,
            "two numbers",
        ),
        (
            r#"{ "never": { "send": "ping" }, "for": 1 }"#,
            "nothing is expected",
        ),
        (
            r#"{ "count": { "send": "ping" }, "for": 1, "is": [0, 5] }"#,
            "nothing is expected",
        ),
    ] {
        let error = slip(steps);
        assert!(error.contains(said), "no {said:?} in: {error}");
    }
    let whole = [
        (file("{}"), "missing field `name`"),
        (
            file(r#"{ "name": "One", "why": "w", "steps": [] }"#),
            "lower-case",
        ),
        (
            file(r#"{ "name": "one", "why": "", "steps": [] }"#),
            "`why` is empty",
        ),
        (
            file(r#"{ "name": "one", "why": "w", "given": "gone", "steps": [] }"#),
            "`gone` is none of",
        ),
        (
            file(r#"{ "name": "one", "why": "w", "given": "round", "steps": [] }"#),
            "comes after itself",
        ),
        (
            scenario("").replace(r#""group": "a""#, r#""group": "b""#),
            "the file's name",
        ),
        ("{".to_owned(), "a.json: EOF"),
    ];
    for (text, said) in whole {
        let error = read(&text).expect_err(&text);
        assert!(error.contains(said), "no {said:?} in: {error}");
    }
    let one = r#"{ "name": "one", "why": "w", "steps": [{ "now": {} }] }"#;
    let error = read(&file(&format!("{one}, {one}"))).unwrap_err();
    assert!(error.contains("the name is taken"), "{error}");
}

#[test]
fn a_reference_to_nothing_fails_in_its_step() {
    let told =
        failure(r#"{ "do": { "server_says": { "type": "ack", "id": "$renew" } } }, { "now": {} }"#);
    assert!(
        told.contains("no `renew` with an id has been sent yet"),
        "{told}"
    );
    let told = failure(
        r#"{ "now": {} }, { "expect": { "send": "ping" }, "since": "nowhere", "within": 1 }"#,
    );
    assert!(told.contains("the mark `nowhere`"), "{told}");
}

#[test]
fn the_folder_holds_two_hundred_in_all_its_groups() {
    let all = read_all().unwrap_or_else(|error| panic!("{error}"));
    let groups: std::collections::BTreeSet<&str> = (all.iter())
        .filter_map(|scenario| Some(scenario.name.split_once('/')?.0))
        .collect();
    assert_eq!(
        groups.into_iter().collect::<Vec<_>>(),
        [
            "acquire",
            "api",
            "auth",
            "backoff",
            "close",
            "compat",
            "connect",
            "environment",
            "events",
            "leases",
            "live",
            "multi",
            "net",
            "ping",
            "rotation"
        ]
    );
    assert!(all.len() >= 200, "{} scenarios", all.len());
}
