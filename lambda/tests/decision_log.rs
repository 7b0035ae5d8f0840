//! A logged decision can be made again from its line, and the line holds no secret.

mod support;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::chaos::Dice;
use support::{World, config, elastic};
use wakecast::protocol::Purpose;
use wakecast_lambda::config::FleetConfig;
use wakecast_lambda::decisions::{LONGEST_LINE, LoggedSnapshot, Replay, Verdict, is_quiet, line};
use wakecast_lambda::lifecycle::{Decision, Snapshot, decide};

/// The lines of a world's decisions, as a reconciler would write them.
type Lines = Rc<RefCell<Vec<String>>>;

/// Lets `world` write a log.
fn log(world: &mut World) -> Lines {
    let lines = Lines::default();
    let (kept, mut last) = (Rc::clone(&lines), None);
    world.witness = Some(Box::new(move |snapshot, decision| {
        if !is_quiet(decision) {
            let (line, hash) = line(snapshot, decision, last.as_deref());
            kept.borrow_mut().push(line);
            last = Some(hash);
        }
    }));
    lines
}

/// Decides again from the text of the snapshot.
fn again(snapshot: &Snapshot<'_>) -> Decision {
    let text = serde_json::to_string(&LoggedSnapshot::of(snapshot)).expect("JSON");
    let read: LoggedSnapshot<'_> = serde_json::from_str(&text).expect("a snapshot");
    assert_eq!(
        read,
        LoggedSnapshot::of(&read.snapshot()),
        "nothing is lost"
    );
    decide(&read.snapshot())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn every_decision_is_the_same_from_its_line(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let mut world = World::with(if dice.once_in(2) { config() } else { elastic() });
        world.next_media.lose_settings = u32::from(dice.once_in(4));
        let count = Rc::new(RefCell::new(0));
        let counted = Rc::clone(&count);
        world.witness = Some(Box::new(move |snapshot, decision| {
            assert_eq!(again(snapshot), *decision, "decided otherwise from the snapshot's text");
            let (line, _) = line(snapshot, decision, None);
            let replayed = Replay::new().line(&line).expect("a decision");
            assert_eq!(replayed.verdict, Verdict::Same);
            *counted.borrow_mut() += 1;
        }));
        for _ in 0..30 {
            world.surprise(&mut dice);
            let seconds = dice.below(60);
            world.run(seconds);
        }
        prop_assert!(*count.borrow() > 10);
    }
}

/// One life: acquire, boot, ready, use, drain, stop.
fn live(world: &mut World) {
    world.acquire("c1", Purpose::Publish);
    world.run_until(300, World::is_ready);
    world.publish("c1");
    world.run(30);
    world.end_use();
    world.release("c1");
    world.run_until(1_200, World::is_stopped);
}

#[test]
fn a_line_says_what_was_done_and_why() {
    let mut world = World::new();
    let lines = log(&mut world);
    live(&mut world);
    let lines = lines.borrow();
    let read: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let launch = read
        .iter()
        .find(|line| line["decided"]["actions"].to_string().contains("\"run\""))
        .expect("a launch");
    assert_eq!(launch["decision"], 1);
    assert_eq!(launch["fleet"], "t/f");
    assert_eq!(launch["fence"], 1);
    let hash = launch["hash"].as_str().expect("a hash");
    assert!(hash.len() == 16 && hash.chars().all(|digit| digit.is_ascii_hexdigit()));
    assert!(
        !launch["decided"]["why"]
            .as_array()
            .expect("reasons")
            .is_empty()
    );
    assert_eq!(
        launch["snapshot"]["fleet"],
        json!({"tenant": "t", "fleet": "f"})
    );
    let steps: Vec<String> = read
        .iter()
        .flat_map(|line| line["decided"]["transitions"].as_array().expect("steps"))
        .map(|step| step["to"].as_str().expect("a stand").to_owned())
        .collect();
    assert_eq!(
        steps,
        ["booting", "ready", "draining", "stopping", "stopped"]
    );
    assert!(lines.iter().all(|line| !line.contains('\n')));
    let longest = lines.iter().map(String::len).max().unwrap_or_default();
    println!("{} lines, the longest of {longest} bytes", lines.len());
    assert!(longest < 8 * 1024, "{longest}");
}

#[test]
fn a_fleet_at_rest_writes_nothing() {
    let mut world = World::new();
    let lines = log(&mut world);
    live(&mut world);
    world.run(60);
    let before = lines.borrow().len();
    world.run(3_600);
    assert_eq!(lines.borrow().len(), before, "{:?}", lines.borrow().last());
}

#[test]
fn a_whole_log_replays_as_it_was() {
    let mut world = World::with(elastic());
    let lines = log(&mut world);
    live(&mut world);
    let mut replay = Replay::new();
    for line in lines.borrow().iter() {
        let replayed = replay.line(line).expect("a decision");
        assert_eq!(replayed.verdict, Verdict::Same, "{line}");
    }
}

#[test]
fn another_snapshot_under_the_same_decision_is_told_as_a_difference() {
    let mut world = World::new();
    let lines = log(&mut world);
    live(&mut world);
    let lines = lines.borrow();
    let launch = lines
        .iter()
        .find(|line| line.contains("\"do\":\"run\""))
        .expect("a launch");
    // With no room under the cap nothing would have been launched.
    let doctored = launch.replace(
        "\"launches\":0,\"starts\":0",
        "\"launches\":6,\"starts\":20",
    );
    assert_ne!(*launch, doctored);
    let replayed = Replay::new().line(&doctored).expect("a decision");
    let Verdict::Differs(difference) = replayed.verdict else {
        panic!("{:?}", replayed.verdict)
    };
    assert!(difference.altered, "the hash is not that of this snapshot");
    assert!(!format!("{:?}", difference.now.actions).contains("Run"));
}

#[test]
fn a_line_among_others_is_found_and_what_is_no_decision_is_passed_over() {
    let mut world = World::new();
    let lines = log(&mut world);
    live(&mut world);
    let lines = lines.borrow();
    let line = lines.first().expect("a decision");
    let mut replay = Replay::new();
    assert!(replay.line("START RequestId: 8f5").is_none());
    assert!(replay.line("{\"level\":\"INFO\"}").is_none());
    assert!(replay.line("").is_none());
    let fetched = format!("2026-11-22T20:30:05 2026/11/22/[1]8f5 {line}\r\n");
    let replayed = replay.line(&fetched).expect("a decision");
    assert_eq!(replayed.verdict, Verdict::Same);
}

#[test]
fn what_cannot_be_read_says_why() {
    let mut world = World::new();
    let lines = log(&mut world);
    live(&mut world);
    let lines = lines.borrow();
    let line = lines.first().expect("a decision");
    let why = |text: &str| match Replay::new().line(text).map(|replayed| replayed.verdict) {
        Some(Verdict::Unreadable(why)) => why,
        other => panic!("{other:?}"),
    };
    let newer = line.replace("{\"decision\":1", "{\"decision\":2");
    assert_eq!(
        why(&newer),
        "it has version 2, and this program reads version 1"
    );
    assert!(why(&line[..line.len() / 2]).starts_with("it is no whole JSON: "));
    let field = line.replace("\"failed_boots\"", "\"failed_boats\"");
    assert!(why(&field).contains("failed_boots"), "{}", why(&field));
}

#[test]
fn a_snapshot_is_repeated_by_its_hash_alone() {
    let mut world = World::new();
    let lines = Lines::default();
    let kept = Rc::clone(&lines);
    world.witness = Some(Box::new(move |snapshot, decision| {
        if kept.borrow().is_empty() {
            let (first, hash) = line(snapshot, decision, None);
            let (second, _) = line(snapshot, decision, Some(&hash));
            kept.borrow_mut().extend([first, second]);
        }
    }));
    world.acquire("c1", Purpose::Play);
    world.run(1);
    let lines = lines.borrow();
    let [first, second] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    assert!(first.contains("\"snapshot\":") && !second.contains("\"snapshot\":"));
    let mut replay = Replay::new();
    for line in [first, second] {
        assert_eq!(
            replay.line(line).expect("a decision").verdict,
            Verdict::Same
        );
    }
    let alone = Replay::new().line(second).expect("a decision");
    assert_eq!(
        alone.verdict,
        Verdict::NoSnapshot,
        "its snapshot is not in this log"
    );
}

#[test]
fn a_herd_is_logged_without_its_snapshot_and_its_line_stays_short() {
    let mut world = World::new();
    for number in 0..3_000 {
        world.acquire_for(&format!("c{number}"), Purpose::Play, Duration::from_secs(2));
    }
    let lines = log(&mut world);
    // All their waits end at once: three thousand reasons.
    world.run(60);
    let lines = lines.borrow();
    assert!(lines.iter().any(|line| line.contains("and 2936 more")));
    for line in lines.iter() {
        assert!(line.len() <= LONGEST_LINE, "{} bytes", line.len());
        let replayed = Replay::new().line(line).expect("a decision");
        assert!(
            matches!(replayed.verdict, Verdict::NoSnapshot | Verdict::Same),
            "{:?}",
            replayed.verdict
        );
    }
    let bare = lines.iter().filter(|line| !line.contains("\"snapshot\":"));
    assert!(bare.count() > 0);
}

/// The value of a setting that an operator should not have chosen, but could.
const CANARY: &str = "canary-stream-secret";

fn with_setting(value: Value) -> FleetConfig {
    let mut config = config();
    config.known_setting.value = value;
    config
}

#[test]
fn no_value_of_a_setting_is_in_a_line_whether_it_is_right_or_wrong() {
    for (configured, found) in [
        (json!(CANARY), json!(CANARY)),
        (json!(CANARY), json!("another-canary")),
        (json!(true), json!([CANARY])),
        (json!({"key": CANARY}), json!(1)),
    ] {
        let mut world = World::with(with_setting(configured.clone()));
        world.next_media.value = found.clone();
        let lines = log(&mut world);
        world.acquire("c1", Purpose::Play);
        world.run(300);
        let story = world.story();
        assert!(!story.contains("canary"), "{story}");
        assert!(lines.borrow().len() > 5);
        let mut compared = false;
        for line in lines.borrow().iter() {
            assert!(!line.contains("canary"), "{line}");
            compared |= line.contains("\"hidden:");
            assert!(
                !line.contains("sha256:"),
                "a short secret could be guessed: {line}"
            );
            let replayed = Replay::new().line(line).expect("a decision");
            assert_eq!(replayed.verdict, Verdict::Same);
        }
        assert!(compared, "the setting was looked at");
        assert_eq!(world.is_ready(), configured == found);
    }
}

/// The first line of a launch, and the digits of its snapshot's hash.
fn launch() -> String {
    let mut world = World::new();
    let lines = log(&mut world);
    live(&mut world);
    let lines = lines.borrow();
    let launch = lines.iter().find(|line| line.contains("\"do\":\"run\""));
    launch.expect("a launch").clone()
}

fn verdict(line: &str) -> Verdict {
    Replay::new().line(line).expect("a decision").verdict
}

#[test]
fn line_whose_own_fields_are_not_its_snapshots_was_altered() {
    let line = launch();
    assert_eq!(verdict(&line), Verdict::Same);
    let head: Value = serde_json::from_str(&line).expect("JSON");
    for (field, value) in [
        ("now", json!(head["now"].as_u64().expect("a time") + 1)),
        ("fleet", json!("t/other")),
        ("fence", json!(2)),
        ("version", json!(99)),
    ] {
        let was = format!("\"{field}\":{}", head[field]);
        let altered = line.replacen(&was, &format!("\"{field}\":{value}"), 1);
        assert_ne!(altered, line, "{field}");
        assert_eq!(verdict(&altered), Verdict::Altered, "{field}");
    }
}

/// Puts `field` into an object of the snapshot, and the hash of the new text where it belongs.
fn with_field(line: &str, object: &str, field: &str) -> String {
    let (head, snapshot) = line.split_once("\"snapshot\":").expect("a snapshot");
    let snapshot = snapshot.strip_suffix('}').expect("the line's end");
    let more = snapshot.replacen(object, &format!("{object}{field}"), 1);
    assert_ne!(more, snapshot);
    let digest = |text: &str| {
        let hash = <sha2::Sha256 as sha2::Digest>::digest(text);
        let bytes = hash.iter().take(8);
        bytes.map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert!(head.contains(&digest(snapshot)), "so it is hashed");
    let head = head.replace(&digest(snapshot), &digest(&more));
    format!("{head}\"snapshot\":{more}}}")
}

#[test]
fn snapshot_with_a_field_that_is_not_known_is_not_taken_for_the_whole() {
    let line = launch();
    for object in ["{", "\"config\":{", "\"state\":{", "\"counters\":{"] {
        let newer = with_field(&line, object, "\"weather\":\"rain\",");
        match verdict(&newer) {
            Verdict::Unreadable(why) => assert!(why.contains("does not know"), "{why}"),
            other => panic!("{object}: {other:?}"),
        }
    }
}
