//! The program behind `cargo xtask replay`, on logs that a reconciler wrote.

mod reconcile_world;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reconcile_world::{START, World, brief, fleet, instance};
use wakecast_lambda::decisions::DecisionLog;
use wakecast_lambda::model::{InstanceStatus, RowState};
use wakecast_lambda::reconcile::{End, Reconciler};

#[derive(Debug, Default)]
struct Kept(Mutex<Vec<String>>);

impl DecisionLog for Kept {
    fn write(&self, line: &str) {
        self.0.lock().expect("the log").push(line.to_owned());
    }
}

/// Runs the fleet until nothing moves, and returns what was logged.
fn logged(world: &World) -> Vec<String> {
    let log = Arc::new(Kept::default());
    let configs = BTreeMap::from([(fleet(), brief())]);
    let reconciler =
        Reconciler::new(world.ports(), configs).with_decision_log(Arc::<Kept>::clone(&log));
    let deadline = world.clock.time() + Duration::from_secs(900);
    let outcome = world.drive(async move { reconciler.run(&fleet(), deadline).await });
    assert_eq!(outcome.map(|outcome| outcome.end), Some(End::Quiet));
    let lines = log.0.lock().expect("the log");
    lines.clone()
}

/// A log of one who waits until there is a server.
fn cold_start() -> Vec<String> {
    let world = World::new();
    world.waiter("a");
    let lines = logged(&world);
    assert!(matches!(world.row("a").state, RowState::Held { .. }));
    assert!(lines.len() > 4, "{lines:#?}");
    lines
}

struct Log(PathBuf);

impl Log {
    fn of(name: &str, lines: &[String]) -> Self {
        let name = format!("wakecast-{}-{name}.log", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, lines.join("\n")).expect("a temporary file");
        Self(path)
    }

    fn replay(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_replay"))
            .arg(&self.0)
            .args(arguments)
            .output();
        said(output.expect("the program"))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn said(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_log_among_other_lines_would_be_decided_the_same() {
    let mut lines = cold_start();
    let count = lines.len();
    lines.insert(0, "START RequestId: 8f5 Version: $LATEST".to_owned());
    lines.push("REPORT RequestId: 8f5 Duration: 12.5 ms".to_owned());
    let (code, out, err) = Log::of("same", &lines).replay(&[]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(
        out,
        format!("{count} decisions · {count} same · 0 differ · 0 without snapshot\n")
    );
}

#[test]
fn a_doctored_line_is_shown_with_what_it_says_and_what_would_be_decided() {
    let mut lines = cold_start();
    let launch = lines
        .iter()
        .position(|line| line.contains("\"do\":\"run\""))
        .expect("a launch");
    let said = lines[launch].clone();
    lines[launch] = said.replace(
        "{\"do\":\"run\",\"sequence\":1}",
        "{\"do\":\"disassociate\"}",
    );
    assert_ne!(lines[launch], said);
    let count = lines.len();
    let (code, out, _) = Log::of("doctored", &lines).replay(&[]);
    println!("{out}");
    assert_eq!(code, Some(1));
    assert!(
        out.starts_with(&format!("line {} · 2027-01-15 08:00:0", launch + 1)),
        "{out}"
    );
    for part in [
        "acme/main",
        "then: ",
        "takes the Elastic IP off",
        "now : ",
        "launches (intent 1)",
        "differs in: the actions\n",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let same = count - 1;
    assert!(
        out.ends_with(&format!(
            "{count} decisions · {same} same · 1 differ · 0 without snapshot\n"
        )),
        "{out}"
    );
}

#[test]
fn one_decision_can_be_asked_for_by_its_line_or_its_hash() {
    let lines = cold_start();
    let log = Log::of("one", &lines);
    let (code, out, _) = log.replay(&["--line", "1"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.contains("then and now: ") && out.contains("1 decision · 1 same"),
        "{out}"
    );
    let (_, after) = lines[1].split_once("\"hash\":\"").expect("a hash");
    let hash = &after[..16];
    let (code, out, _) = log.replay(&["--hash", &hash[..8]]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.starts_with("line 2 · ") && out.contains(hash), "{out}");
}

#[test]
fn a_decision_over_a_herd_is_counted_though_it_cannot_be_made_again() {
    let world = World::new();
    world.given(vec![instance("i-1", InstanceStatus::Ready)]);
    world.ec2.running("i-1", START);
    for number in 0..1_000 {
        world.waiter(&format!("w{number:04}"));
    }
    let (code, out, _) = Log::of("herd", &logged(&world)).replay(&["--line=1"]);
    println!("{out}");
    assert_eq!(code, Some(0));
    assert!(out.contains("grants 1000 rows"), "{out}");
    assert!(out.contains("too large to log"), "{out}");
    assert!(
        out.ends_with("0 same · 0 differ · 1 without snapshot\n"),
        "{out}"
    );
}

#[test]
fn what_cannot_be_replayed_is_said_clearly() {
    let lines = cold_start();
    let nothing = Log::of("nothing", &["START".to_owned(), "END".to_owned()]);
    let newer: Vec<String> = lines
        .iter()
        .map(|line| line.replace("{\"decision\":1,", "{\"decision\":7,"))
        .collect();
    let newer = Log::of("newer", &newer);
    let log = Log::of("asked", &lines);
    let missing = Log(std::env::temp_dir().join("wakecast-no-such.log"));
    for (log, arguments, words) in [
        (&nothing, vec![], "holds no decision"),
        (
            &newer,
            vec![],
            "it has version 7, and this program reads version 1",
        ),
        (&missing, vec![], "wakecast-no-such.log: No such file"),
        (&log, vec!["--line", "9999"], "line 9999 holds no decision"),
        (
            &log,
            vec!["--hash", "ffffffffffffffff"],
            "no decision has the hash",
        ),
        (&log, vec!["--line", "0"], "expected a number from 1 up"),
        (&log, vec!["--hash", "xyz"], "expected hexadecimal digits"),
        (&log, vec!["--line"], "`--line` needs a value"),
        (&log, vec!["--nope"], "unknown option `--nope`"),
        (&log, vec!["another.log"], "one log at a time"),
        (
            &log,
            vec!["--line=1", "--hash=4d"],
            "only one of --line and --hash",
        ),
    ] {
        let (code, out, err) = log.replay(&arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {out}{err}");
        assert!(
            format!("{out}{err}").contains(words),
            "{arguments:?}: {out}{err}"
        );
    }
}
