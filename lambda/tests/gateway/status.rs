//! `status`: what each scope is told, from reads alone, and of nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use wakecast::ErrorCode;
use wakecast::protocol::{OperatorStatus, OverrideMode, Phase, ServerMessage, Status};
use wakecast_lambda::config::Prior;
use wakecast_lambda::gateway::GatewayConfig;
use wakecast_lambda::lifecycle::Alarm;
use wakecast_lambda::model::{
    BootHistory, BootPath, BootTimes, Instance, InstanceId, InstanceStatus, Intent, LaunchKind,
    Pause, Sample, Timestamp,
};
use wakecast_lambda::ports::Clock as _;
use wakecast_lambda::store::{Commit, Store as _};

use crate::world::{
    START, Trouble, World, acquire, acquire_for, assert_ack, at_once, config, draining, error_code,
    fleet, instance, stopping,
};

/// A gateway whose issuer may name operators, with figures for a start.
fn operated() -> GatewayConfig {
    let mut config = config();
    config.issuers[0].admin = true;
    for fleet in config.fleets.values_mut() {
        fleet.prior = Prior::defaults();
    }
    config
}

fn world() -> World {
    let world = World::with(operated());
    world.link("s1", "tab");
    let admin = world.token(json!({ "sub": "olga", "scopes": ["admin"] }));
    assert_eq!(world.connect_with("s2", &admin), 200);
    world.hello("s2", "console", &[], &[]);
    world
}

fn status(world: &World, socket: &str) -> Status {
    match world.send(socket, &json!({ "action": "status", "id": "q" })) {
        ServerMessage::Status(status) => {
            assert_eq!((status.id.as_str(), status.fleet.as_str()), ("q", "main"));
            status
        }
        other => panic!("no status but {other:?}"),
    }
}

fn operator(world: &World) -> OperatorStatus {
    *status(world, "s2").operator.expect("the operator's part")
}

fn record(world: &World, change: impl FnOnce(&mut Commit)) {
    let now = world.clock.now();
    let until = now + Duration::from_millis(1);
    let lock = at_once(world.table.take_lock(&fleet(), "given", now, until)).expect("the lock");
    let records = at_once(world.table.fleet(&fleet())).expect("a read");
    let mut commit = Commit {
        expected: records.state.version,
        state: records.state,
        put_instances: Vec::new(),
        forget_instances: Vec::new(),
        put_intents: Vec::new(),
        forget_intents: Vec::new(),
        unavailable: None,
        history: None,
        charge: None,
        ran: BTreeMap::new(),
    };
    change(&mut commit);
    at_once(world.table.commit(&fleet(), &lock, now, &commit)).expect("a commit");
    let demand = at_once(world.table.demand(&fleet())).expect("a read");
    at_once(world.table.release_lock(&fleet(), &lock, demand)).expect("a release");
}

fn put(world: &World, instance: Instance) {
    record(world, |commit| commit.put_instances = vec![instance]);
}

/// A boot that has come so far since the world began.
fn booting(running: Option<u64>, live: Option<u64>) -> Instance {
    let at = |after: u64| Timestamp::from_millis(START + after * 1_000);
    let mut instance = instance(7, InstanceStatus::Booting);
    let boot = instance.boot.as_mut().expect("a boot");
    (boot.running_at, boot.live_at, boot.ready_at) = (running.map(at), live.map(at), None);
    instance
}

fn intent() -> Intent {
    Intent {
        sequence: 7,
        kind: LaunchKind::Start {
            instance: InstanceId::new("i-1"),
        },
        attempt: 0,
        created_at: Timestamp::from_millis(START),
        charged_to: Some("canary-subject".to_owned()),
        launch_charged: false,
        not_before: Timestamp::from_millis(START),
        tries: 1,
        unanswered: 1,
    }
}

fn etas(status: &Status) -> (u64, u64) {
    (status.eta_p50_ms / 1_000, status.eta_p90_ms / 1_000)
}

#[test]
fn everybody_sees_how_far_a_start_is() {
    let world = world();
    let rest = status(&world, "s1");
    assert_eq!(
        (rest.ready, rest.phase, etas(&rest)),
        (false, None, (65, 150)),
        "a new instance"
    );
    put(&world, instance(6, InstanceStatus::Stopped));
    let rest = status(&world, "s1");
    assert_eq!((rest.phase, etas(&rest)), (None, (18, 35)), "a stopped one");

    record(&world, |commit| commit.put_intents = vec![intent()]);
    let asked = status(&world, "s1");
    assert_eq!(
        (asked.phase, etas(&asked)),
        (Some(Phase::Requested), (18, 35))
    );
    record(&world, |commit| commit.forget_intents = vec![7]);

    let steps = [
        (booting(None, None), Phase::Launching, (13, 28)),
        (booting(Some(1), None), Phase::Booting, (8, 19)),
        (booting(Some(1), Some(3)), Phase::Warming, (1, 4)),
    ];
    world.advance(4);
    for (instance, phase, eta) in steps {
        put(&world, instance);
        let told = status(&world, "s1");
        assert_eq!(
            (told.ready, told.phase, etas(&told)),
            (false, Some(phase), eta)
        );
        assert!(!told.overdue && told.note.is_none() && told.operator.is_none());
    }
    record(&world, |commit| commit.state.failed_boots = 1);
    world.advance(5);
    let late = status(&world, "s1");
    assert!(
        late.overdue && late.note.as_deref() == Some("restarting"),
        "{late:?}"
    );

    put(&world, instance(7, InstanceStatus::Ready));
    let ready = status(&world, "s1");
    assert_eq!(
        (ready.ready, ready.phase, etas(&ready)),
        (true, Some(Phase::Ready), (0, 0))
    );
    assert!(ready.note.is_none(), "nothing is restarting any more");
    put(&world, instance(7, draining(START)));
    let drains = status(&world, "s1");
    assert_eq!(
        (drains.ready, drains.phase, etas(&drains)),
        (false, None, (0, 0))
    );
    put(&world, instance(7, stopping(START)));
    assert_eq!(etas(&status(&world, "s1")), (18, 35));
    record(&world, |commit| {
        commit.state.capacity_retry_at = Some(world.clock.now())
    });
    assert_eq!(status(&world, "s1").phase, Some(Phase::WaitingForCapacity));
}

#[test]
fn the_figures_are_those_that_were_learned() {
    let world = world();
    let mut history = BootHistory::default();
    for nth in 0..9 {
        let times = BootTimes {
            launching_ms: 4_000 + nth * 1_000,
            booting_ms: 6_000,
            warming_ms: 1_000,
        };
        history.remember(BootPath::Stopped, times);
    }
    record(&world, |commit| commit.history = Some(history));
    put(&world, booting(None, None));
    world.advance(8);
    // Those that took longer than 8 s to launch: 8 to 12 s.
    assert_eq!(etas(&status(&world, "s1")), (9, 11));
}

#[test]
fn everybody_sees_why_nothing_starts_and_only_the_operator_the_cause() {
    let world = world();
    let now = world.clock.now();
    let cause = "InvalidAMIID.NotFound: \"ami-1\"\n\u{1} ".to_owned() + &"ü".repeat(400);
    record(&world, |commit| {
        commit.state.pause = Some(Pause {
            code: ErrorCode::Misconfigured,
            cause: cause.clone(),
            since: now,
            until: now + Duration::from_secs(600),
        });
        commit.state.raised = BTreeSet::from([Alarm::Misconfigured { cause }]);
    });
    world.advance(60);
    let told = status(&world, "s1");
    assert_eq!(told.code, Some(ErrorCode::Misconfigured));
    assert_eq!(told.retry_after_ms, Some(540_000));
    assert!(told.operator.is_none());
    let seen = operator(&world);
    let pause = seen.pause.expect("a pause");
    assert_eq!((pause.began_ago_ms, pause.ends_in_ms), (60_000, 540_000));
    assert!(
        pause
            .cause
            .starts_with("InvalidAMIID.NotFound: \"ami-1\"   ü"),
        "{}",
        pause.cause
    );
    assert!((500..=512).contains(&pause.cause.len()));
    assert_eq!(seen.alarms.len(), 1);
    assert!(seen.alarms[0].starts_with("misconfigured: InvalidAMIID"));
    // What is on its way is not refused, and what is over is not told.
    put(&world, booting(None, None));
    assert_eq!(status(&world, "s1").code, None);
    put(&world, instance(7, InstanceStatus::Stopped));
    world.advance(600);
    assert_eq!(
        (
            status(&world, "s1").code,
            status(&world, "s1").retry_after_ms
        ),
        (None, None)
    );
    assert_eq!(
        operator(&world)
            .pause
            .expect("until a boot is ready")
            .ends_in_ms,
        0
    );
}

#[test]
fn an_operator_sees_instances_waiters_and_caps() {
    let world = world();
    let mut served = instance(7, InstanceStatus::Ready);
    served.boot.as_mut().expect("a boot").sample = Some(Sample {
        at: Timestamp::from_millis(START + 1_000),
        streams: 2,
        viewers: 40,
    });
    let mut spare = instance(3, InstanceStatus::Stopped);
    spare.id = InstanceId::new("i-0");
    record(&world, |commit| commit.put_instances = vec![served, spare]);
    for id in ["a", "b"] {
        world.send("s1", &acquire(id));
    }
    world.advance(10);
    let seen = operator(&world);
    assert_eq!(
        (seen.leases, seen.waiters, seen.mode),
        (2, 0, OverrideMode::Auto)
    );
    let [ready, stopped] = seen.instances.as_slice() else {
        panic!("{:?}", seen.instances);
    };
    assert_eq!(
        (ready.id.as_str(), ready.state.as_str()),
        ("i-1", "ready"),
        "those that live first"
    );
    assert_eq!(
        (ready.ready_for_ms, ready.read_ago_ms),
        (Some(10_000), Some(9_000))
    );
    assert_eq!((ready.streams, ready.viewers), (Some(2), Some(40)));
    assert_eq!(
        (stopped.id.as_str(), stopped.state.as_str()),
        ("i-0", "stopped")
    );
    assert_eq!((stopped.ready_for_ms, stopped.streams), (None, None));
    let caps = seen
        .caps
        .iter()
        .map(|cap| (cap.name.as_str(), cap.spent, cap.limit, cap.window_ms));
    assert_eq!(
        caps.collect::<Vec<_>>(),
        [
            ("starts", 0, 20, 3_600_000),
            ("launches", 0, 6, 3_600_000),
            ("tenant_running_s", 0, 86_400, 86_400_000),
        ]
    );

    // Who waits is counted, `watch` too; who has gone or let go is not.
    put(&world, instance(7, InstanceStatus::Stopped));
    assert_ack(&world.send("s1", &acquire("c")), "c");
    assert_ack(&world.send("s1", &acquire_for("d", "watch")), "d");
    assert_ack(&world.send("s1", &acquire("e")), "e");
    let cancel = json!({ "action": "cancel", "id": "x", "acquire": "e" });
    assert_ack(&world.send("s1", &cancel), "x");
    assert_eq!(operator(&world).waiters, 2);
    world.disconnect("s1");
    world.advance(121);
    let seen = operator(&world);
    assert_eq!((seen.leases, seen.waiters), (0, 0));
}

#[test]
fn the_answer_names_nobody_and_holds_no_secret() {
    let world = world();
    let other = world.token(json!({ "sub": "canary-subject" }));
    assert_eq!(world.connect_with("s3", &other), 200);
    world.hello("s3", "canary-client", &[], &[]);
    put(&world, instance(7, InstanceStatus::Ready));
    let mut theirs = acquire("canary-row");
    theirs["stream_id"] = json!("canary-stream");
    world.send("s3", &theirs);
    record(&world, |commit| commit.put_intents = vec![intent()]);
    for socket in ["s1", "s2", "s3"] {
        let text = ServerMessage::Status(status(&world, socket)).encode();
        assert!(!text.contains("canary"), "{text}");
        assert!(!text.contains("203.0.113"), "an address: {text}");
    }
}

#[test]
fn the_answer_stays_under_32_kb_whatever_the_fleet_holds() {
    let world = world();
    let now = world.clock.now();
    let nasty = "\u{1}\"\\ü".repeat(2_000);
    record(&world, |commit| {
        commit.put_instances = (0..200)
            .map(|nth| {
                let mut one = instance(nth, InstanceStatus::Ready);
                one.id = InstanceId::new(format!("i-0123456789abcdef{nth}"));
                one
            })
            .collect();
        commit.state.raised = (0..100)
            .map(|nth| Alarm::StartFailed {
                cause: format!("{nth}{nasty}"),
            })
            .collect();
        commit.state.pause = Some(Pause {
            code: ErrorCode::StartFailed,
            cause: nasty.clone(),
            since: now,
            until: now,
        });
    });
    let seen = status(&world, "s2");
    let text = ServerMessage::Status(seen.clone()).encode();
    assert!(text.len() < 32 * 1024, "{} bytes", text.len());
    let seen = seen.operator.expect("the operator's part");
    assert_eq!((seen.instances.len(), seen.alarms.len()), (32, 16));
}

#[test]
fn status_only_reads_and_costs_two_operations_or_an_operator_four() {
    let world = world();
    put(&world, instance(7, InstanceStatus::Stopped));
    let before = (world.table.keys(), world.demand(), world.wakes.count());
    world.store.calm();
    status(&world, "s1");
    assert_eq!(world.store.passed(), ["connection", "fleet"]);
    world.store.calm();
    status(&world, "s2");
    assert_eq!(
        world.store.passed(),
        ["connection", "fleet", "rows", "counters"]
    );
    let after = (world.table.keys(), world.demand(), world.wakes.count());
    assert_eq!(before, after);
}

#[test]
fn status_asks_for_a_fleet_of_the_token() {
    let world = world();
    let ask = |fleet: &str| json!({ "action": "status", "id": "q", "fleet": fleet });
    assert_eq!(error_code(&world.send("s1", &ask("spare"))), "forbidden");
    assert_eq!(error_code(&world.send("s1", &ask("nowhere"))), "forbidden");
    let both = world.token(json!({ "fleets": ["main", "spare"], "scopes": ["play"] }));
    assert_eq!(world.connect_with("s4", &both), 200);
    let early = json!({ "action": "status", "id": "q", "fleet": "main" });
    assert_eq!(
        error_code(&world.send("s4", &early)),
        "protocol_error",
        "before `hello`"
    );
    world.hello("s4", "tab", &[], &[]);
    let unnamed = json!({ "action": "status", "id": "q" });
    assert_eq!(error_code(&world.send("s4", &unnamed)), "invalid_argument");
    assert!(
        matches!(world.send("s4", &ask("spare")), ServerMessage::Status(told) if told.fleet == "spare")
    );
}

#[test]
fn an_admin_scope_counts_only_from_its_issuer() {
    let mut config = operated();
    config.issuers[0].admin = false;
    let world = World::with(config);
    let token = world.token(json!({ "scopes": ["play", "admin"] }));
    assert_eq!(world.connect_with("s1", &token), 200);
    world.hello("s1", "tab", &[], &[]);
    assert!(status(&world, "s1").operator.is_none());
}

#[test]
fn a_table_that_is_down_is_told_as_rejected() {
    for operation in ["fleet", "rows", "counters"] {
        let world = world();
        world.store.next(operation, Trouble::Fails);
        match world.send("s2", &json!({ "action": "status", "id": "q" })) {
            ServerMessage::Error(error) => {
                assert_eq!(error.code, ErrorCode::ServiceUnavailable, "{operation}");
                assert_eq!(error.outcome, wakecast::Outcome::Rejected);
                assert!(error.retryable && error.id.as_deref() == Some("q"));
            }
            other => panic!("{operation}: {other:?}"),
        }
    }
}
