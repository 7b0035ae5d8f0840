//! The rules of the simulated EC2, each held by a test.

#[path = "support/clock.rs"]
mod clock;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use clock::VirtualClock;
use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use proptest::prelude::*;
use wakecast_lambda::config::Offering;
use wakecast_lambda::model::{FleetKey, InstanceId, Intent, LaunchKind, Timestamp};
use wakecast_lambda::ports::{Clock, Ec2Error, Ec2Instance, Ec2State, Fleet};
use wakecast_local::ec2::{
    BootFault, CallFault, CallName, CapacityRule, Ec2Model, Ec2Settings, Halt, Happened, Happening,
    Launch, Machines, Noise, Placement, SimulatedEc2,
};
use wakecast_local::random::Span;

const T0: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn after(seconds: u64) -> Timestamp {
    T0 + Duration::from_secs(seconds)
}

fn fleet() -> FleetKey {
    FleetKey {
        tenant: "acme".to_owned(),
        fleet: "main".to_owned(),
    }
}

fn offering(instance_type: &str, zone: &str) -> Offering {
    Offering {
        instance_type: instance_type.to_owned(),
        zone: zone.to_owned(),
        subnet: format!("subnet-{zone}"),
    }
}

fn launch() -> Launch {
    Launch {
        stack: "local".to_owned(),
        fleet: fleet(),
        sequence: 7,
        offering: offering("c7g.xlarge", "eu-1a"),
        image: "ami-1".to_owned(),
        template: "3".to_owned(),
    }
}

/// What happened on the machines, shared with the test.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

#[derive(Debug, Default)]
struct Recorder {
    log: Log,
    boots: u32,
}

impl Machines for Recorder {
    fn boot(&mut self, _at: Timestamp, _instance: &InstanceId, start: u32) -> String {
        self.boots += 1;
        self.log.push(format!("boot {start}"));
        format!("10.0.0.{}", self.boots)
    }

    fn halt(&mut self, _at: Timestamp, _instance: &InstanceId, how: Halt) {
        self.log.push(format!("halt {how:?}"));
    }

    fn lead(&mut self, elastic_address: &str, to: Option<&InstanceId>) {
        self.log
            .push(format!("lead {elastic_address} {}", to.is_some()));
    }

    fn note(&mut self, happening: &Happening) {
        let seconds = happening.at.since(T0).as_secs();
        self.log.push(format!("{seconds} {:?}", happening.what));
    }
}

fn slow() -> Ec2Settings {
    Ec2Settings {
        pending: Span::exactly(Duration::from_secs(5)),
        stopping: Span::exactly(Duration::from_secs(10)),
        shutting_down: Span::exactly(Duration::from_secs(4)),
        describe_lag: Span::exactly(Duration::from_secs(2)),
        ..Ec2Settings::instant()
    }
}

fn model(settings: Ec2Settings) -> (Ec2Model, Log) {
    let log = Log::default();
    let recorder = Recorder {
        log: log.clone(),
        boots: 0,
    };
    (Ec2Model::new(settings, 1, Box::new(recorder)), log)
}

fn list(model: &mut Ec2Model, now: Timestamp) -> Vec<Ec2Instance> {
    model.describe(now, "local", &fleet()).unwrap()
}

fn state(model: &mut Ec2Model, now: Timestamp) -> Option<Ec2State> {
    list(model, now).first().map(|instance| instance.state)
}

/// A running instance at `after(100)`, visible.
fn running(settings: Ec2Settings) -> (Ec2Model, Log, InstanceId) {
    let (mut model, log) = model(settings);
    let id = model.run(T0, &launch(), "t").unwrap().id;
    model.advance(after(100));
    log.take();
    (model, log, id)
}

/// A stopped instance at `after(200)`, visible.
fn stopped(settings: Ec2Settings) -> (Ec2Model, Log, InstanceId) {
    let (mut model, log, id) = running(settings);
    model.stop(after(100), &id).unwrap();
    model.advance(after(200));
    log.take();
    (model, log, id)
}

#[test]
fn the_same_token_and_parameters_give_the_same_instance() {
    let (mut model, _) = model(slow());
    let first = model.run(T0, &launch(), "t").unwrap();
    let again = model.run(after(30), &launch(), "t").unwrap();
    assert_eq!(first.id, again.id);
    assert_eq!(
        again.state,
        Ec2State::Running,
        "the answer is the instance as it is now"
    );
    assert_eq!(model.instances().count(), 1);
}

#[test]
fn another_token_launches_another_instance() {
    let (mut model, _) = model(slow());
    let first = model.run(T0, &launch(), "t1").unwrap();
    assert_ne!(first.id, model.run(T0, &launch(), "t2").unwrap().id);
}

#[test]
fn changed_parameters_under_one_token_are_refused() {
    let (mut model, _) = model(slow());
    model.run(T0, &launch(), "t").unwrap();
    let changes: [fn(&mut Launch); 4] = [
        |it| it.image = "ami-2".to_owned(),
        |it| it.template = "4".to_owned(),
        |it| it.offering.instance_type = "c6g.xlarge".to_owned(),
        |it| it.sequence = 8,
    ];
    for change in changes {
        let mut other = launch();
        change(&mut other);
        let refused = model.run(after(1), &other, "t").unwrap_err();
        assert!(matches!(&refused, Ec2Error::TokenMismatch(why) if why.contains("Idempotent")));
    }
    assert_eq!(model.instances().count(), 1);
}

#[test]
fn a_token_is_good_for_one_zone_only() {
    let (mut model, _) = model(slow());
    let here = model.run(T0, &launch(), "t").unwrap();
    let there = Launch {
        offering: offering("c7g.xlarge", "eu-1b"),
        ..launch()
    };
    assert_ne!(here.id, model.run(T0, &there, "t").unwrap().id);
}

#[test]
fn a_refused_run_leaves_its_token_free() {
    let (mut model, _) = model(slow());
    model.script().capacity.push(CapacityRule {
        instance_type: None,
        zone: None,
        times: Some(1),
    });
    model.run(T0, &launch(), "t").unwrap_err();
    let other = Launch {
        image: "ami-2".to_owned(),
        ..launch()
    };
    model.run(T0, &other, "t").unwrap();
}

#[test]
fn a_token_that_ec2_would_not_take_is_refused() {
    let (mut model, _) = model(slow());
    for token in [String::new(), "x".repeat(65), "ä".to_owned()] {
        assert!(matches!(
            model.run(T0, &launch(), &token),
            Err(Ec2Error::Config(_))
        ));
    }
    model.run(T0, &launch(), &"x".repeat(64)).unwrap();
}

#[test]
fn a_missing_image_is_a_configuration_error() {
    let (mut model, _) = model(slow());
    let empty = Launch {
        image: String::new(),
        ..launch()
    };
    assert!(matches!(
        model.run(T0, &empty, "t"),
        Err(Ec2Error::Config(_))
    ));
}

#[test]
fn i36_describe_lags_behind_a_run() {
    let (mut model, _) = model(slow());
    let id = model.run(T0, &launch(), "t").unwrap().id;
    assert_eq!(list(&mut model, after(1)), []);
    assert!(matches!(
        model.stop(after(1), &id),
        Err(Ec2Error::NotFound(_))
    ));
    assert!(matches!(
        model.start(after(1), &id),
        Err(Ec2Error::NotFound(_))
    ));
    assert_eq!(state(&mut model, after(2)), Some(Ec2State::Pending));
    model.start(after(2), &id).unwrap();
}

#[test]
fn describe_lags_behind_each_change() {
    let (mut model, _, id) = running(slow());
    model.stop(after(100), &id).unwrap();
    assert_eq!(state(&mut model, after(101)), Some(Ec2State::Running));
    assert_eq!(state(&mut model, after(102)), Some(Ec2State::Stopping));
    assert_eq!(state(&mut model, after(111)), Some(Ec2State::Stopping));
    assert_eq!(state(&mut model, after(112)), Some(Ec2State::Stopped));
    model.start(after(200), &id).unwrap();
    assert_eq!(state(&mut model, after(201)), Some(Ec2State::Stopped));
}

#[test]
fn the_view_never_goes_back_in_time() {
    let (mut model, _, id) = running(slow());
    model.script().describe_lag = Some(Span::exactly(Duration::from_secs(30)));
    model.stop(after(100), &id).unwrap();
    model.script().describe_lag = Some(Span::ZERO);
    model.advance(after(110));
    assert_eq!(
        state(&mut model, after(129)),
        Some(Ec2State::Running),
        "stopping hides stopped"
    );
    assert_eq!(state(&mut model, after(130)), Some(Ec2State::Stopped));
}

#[test]
fn an_instance_is_pending_before_it_runs_and_stopping_before_it_is_stopped() {
    let (mut model, log) = model(slow());
    let id = model.run(T0, &launch(), "t").unwrap().id;
    assert_eq!(model.next_change(), Some(after(5)));
    model.advance(after(4));
    assert_eq!(log.take(), ["0 Launched"]);
    model.advance(after(7));
    assert_eq!(
        log.take(),
        ["boot 1", "5 Running"],
        "at its own time, not at that of the look"
    );
    model.stop(after(20), &id).unwrap();
    assert_eq!(log.take(), ["halt Stopped", "20 StopAccepted"]);
    model.advance(after(30));
    assert_eq!(log.take(), ["30 Stopped"]);
    assert_eq!(model.next_change(), None);
}

#[test]
fn start_and_stop_are_idempotent_where_ec2_says_so() {
    let (mut model, log, id) = running(slow());
    model.start(after(100), &id).unwrap();
    assert_eq!(
        log.take(),
        [""; 0],
        "a start of a running instance does nothing"
    );
    model.stop(after(101), &id).unwrap();
    model.stop(after(102), &id).unwrap();
    model.stop(after(150), &id).unwrap();
    assert_eq!(
        log.take(),
        ["halt Stopped", "101 StopAccepted", "111 Stopped"]
    );
    model.start(after(160), &id).unwrap();
    model.start(after(163), &id).unwrap();
    assert_eq!(log.take(), ["160 Started"]);
}

#[test]
fn a_pending_instance_cannot_be_stopped() {
    let (mut model, _) = model(slow());
    let id = model.run(T0, &launch(), "t").unwrap().id;
    let refused = model.stop(after(3), &id).unwrap_err();
    assert!(matches!(&refused, Ec2Error::State(why) if why.starts_with("IncorrectInstanceState")));
    assert_eq!(model.instance(&id).unwrap().state, Ec2State::Pending);
}

#[test]
fn a_stopping_instance_cannot_be_started() {
    let (mut model, _, id) = running(slow());
    model.stop(after(100), &id).unwrap();
    assert!(matches!(
        model.start(after(105), &id),
        Err(Ec2Error::State(_))
    ));
    model.start(after(112), &id).unwrap();
}

#[test]
fn a_terminated_instance_is_listed_for_a_while_and_can_do_nothing() {
    let (mut model, log, id) = running(slow());
    assert!(model.terminate(after(100), &id));
    assert!(!model.terminate(after(101), &id));
    assert_eq!(log.take(), ["halt Killed", "100 ShuttingDown"]);
    assert!(matches!(
        model.start(after(102), &id),
        Err(Ec2Error::State(_))
    ));
    assert!(matches!(
        model.stop(after(102), &id),
        Err(Ec2Error::State(_))
    ));
    assert_eq!(state(&mut model, after(106)), Some(Ec2State::Terminated));
    assert_eq!(state(&mut model, after(104 + 3600)), None);
}

#[test]
fn the_same_token_returns_even_a_terminated_instance() {
    let (mut model, _, id) = running(slow());
    model.terminate(after(100), &id);
    let again = model.run(after(110), &launch(), "t").unwrap();
    assert_eq!((again.id, again.state), (id, Ec2State::Terminated));
}

#[test]
fn capacity_is_scripted_by_type_and_zone() {
    let (mut model, _) = model(slow());
    model.script().capacity.push(CapacityRule {
        instance_type: Some("c7g.xlarge".to_owned()),
        zone: Some("eu-1a".to_owned()),
        times: Some(2),
    });
    for _ in 0..2 {
        assert!(matches!(
            model.run(T0, &launch(), "t"),
            Err(Ec2Error::Capacity(_))
        ));
    }
    model.run(T0, &launch(), "t").unwrap();
    model.script().capacity = vec![CapacityRule {
        instance_type: None,
        zone: Some("eu-1a".to_owned()),
        times: None,
    }];
    assert!(matches!(
        model.run(T0, &launch(), "t2"),
        Err(Ec2Error::Capacity(_))
    ));
    let there = Launch {
        offering: offering("c7g.xlarge", "eu-1b"),
        ..launch()
    };
    model.run(T0, &there, "t3").unwrap();
}

#[test]
fn a_stopped_instance_holds_no_capacity() {
    let (mut model, _, id) = stopped(slow());
    model.script().capacity.push(CapacityRule {
        instance_type: None,
        zone: None,
        times: Some(1),
    });
    assert!(matches!(
        model.start(after(200), &id),
        Err(Ec2Error::Capacity(_))
    ));
    assert_eq!(model.instance(&id).unwrap().state, Ec2State::Stopped);
    model.start(after(201), &id).unwrap();
}

#[test]
fn refusals_have_no_effect() {
    type Test = fn(&Ec2Error) -> bool;
    let cases: [(CallFault, Test); 5] = [
        (CallFault::Throttled, |error| {
            matches!(error, Ec2Error::Throttled(_))
        }),
        (CallFault::Quota, |error| {
            matches!(error, Ec2Error::Quota(_))
        }),
        (CallFault::Config, |error| {
            matches!(error, Ec2Error::Config(_))
        }),
        (CallFault::Auth, |error| matches!(error, Ec2Error::Auth(_))),
        (CallFault::LostRequest, |error| {
            matches!(error, Ec2Error::Ambiguous(_))
        }),
    ];
    for (fault, is_right) in cases {
        let (mut model, _) = model(slow());
        model.script().fail(CallName::Run, fault, 1);
        let error = model.run(T0, &launch(), "t").unwrap_err();
        assert!(is_right(&error), "{fault:?} gave {error:?}");
        assert_eq!(model.instances().count(), 0);
        model.run(T0, &launch(), "t").unwrap();
    }
}

#[test]
fn a_lost_reply_hides_an_effect_that_took_place() {
    let (mut model, _) = model(slow());
    model.script().fail(CallName::Run, CallFault::LostReply, 1);
    assert!(matches!(
        model.run(T0, &launch(), "t"),
        Err(Ec2Error::Ambiguous(_))
    ));
    let launched = model.instances().next().unwrap().id.clone();
    assert_eq!(model.run(after(5), &launch(), "t").unwrap().id, launched);

    model.advance(after(50));
    model.script().fail(CallName::Stop, CallFault::LostReply, 1);
    assert!(matches!(
        model.stop(after(50), &launched),
        Err(Ec2Error::Ambiguous(_))
    ));
    assert_eq!(model.instance(&launched).unwrap().state, Ec2State::Stopping);
}

#[test]
fn a_fault_meets_only_the_call_it_names() {
    let (mut model, _) = model(slow());
    model
        .script()
        .fail(CallName::Describe, CallFault::Throttled, 1);
    model.run(T0, &launch(), "t").unwrap();
    assert!(matches!(
        model.describe(T0, "local", &fleet()),
        Err(Ec2Error::Throttled(_))
    ));
    assert!(model.describe(T0, "local", &fleet()).is_ok());
}

#[test]
fn an_account_limit_refuses_runs_and_starts() {
    let (mut model, _, id) = stopped(Ec2Settings {
        live_limit: Some(1),
        ..slow()
    });
    let other = model.run(after(200), &launch(), "t2").unwrap().id;
    assert!(matches!(
        model.start(after(201), &id),
        Err(Ec2Error::Quota(_))
    ));
    assert!(matches!(
        model.run(after(201), &launch(), "t3"),
        Err(Ec2Error::Quota(_))
    ));
    model.terminate(after(210), &other);
    model.start(after(211), &id).unwrap();
}

#[test]
fn an_instance_has_another_address_after_each_start() {
    let (mut model, _, id) = running(slow());
    let first = list(&mut model, after(100))[0].address.clone();
    assert_eq!(first.as_deref(), Some("10.0.0.1"));
    let launched_at = list(&mut model, after(100))[0].launched_at;
    model.stop(after(100), &id).unwrap();
    assert_eq!(list(&mut model, after(150))[0].address, None);
    model.start(after(150), &id).unwrap();
    assert_eq!(
        list(&mut model, after(153))[0].address,
        None,
        "none while pending"
    );
    let second = &list(&mut model, after(160))[0];
    assert_eq!(second.address.as_deref(), Some("10.0.0.2"));
    assert!(second.launched_at > launched_at);
}

#[test]
fn an_elastic_ip_replaces_the_own_address_while_it_is_on() {
    let (mut model, log, id) = running(slow());
    assert!(matches!(
        model.associate(after(100), &fleet(), &id),
        Err(Ec2Error::Config(_))
    ));
    model.allocate_elastic(&fleet(), "198.51.100.7");
    model.associate(after(100), &fleet(), &id).unwrap();
    model.associate(after(101), &fleet(), &id).unwrap();
    assert_eq!(log.take(), ["lead 198.51.100.7 true", "100 Associated"]);
    let seen = list(&mut model, after(103)).remove(0);
    assert_eq!(
        (seen.address.as_deref(), seen.elastic),
        (Some("198.51.100.7"), true)
    );
    model.disassociate(after(103), &fleet()).unwrap();
    model.disassociate(after(103), &fleet()).unwrap();
    let seen = list(&mut model, after(106)).remove(0);
    assert_eq!(
        (seen.address.as_deref(), seen.elastic),
        (Some("10.0.0.1"), false)
    );
}

#[test]
fn an_elastic_ip_survives_a_stop_but_not_a_termination() {
    let (mut model, _, id) = running(slow());
    model.allocate_elastic(&fleet(), "198.51.100.7");
    model.associate(after(100), &fleet(), &id).unwrap();
    model.stop(after(100), &id).unwrap();
    assert!(
        list(&mut model, after(120))[0].elastic,
        "it stays on a stopped instance"
    );
    model.terminate(after(130), &id);
    assert!(!list(&mut model, after(140))[0].elastic);
    let next = model.run(after(140), &launch(), "t2").unwrap().id;
    assert!(matches!(
        model.associate(after(143), &fleet(), &next),
        Err(Ec2Error::State(_))
    ));
    model.associate(after(146), &fleet(), &next).unwrap();
}

#[test]
fn the_tags_are_set_with_the_launch_and_separate_stacks_and_fleets() {
    let (mut model, _, _) = running(slow());
    let other_fleet = FleetKey {
        fleet: "other".to_owned(),
        ..fleet()
    };
    model
        .run(
            after(100),
            &Launch {
                fleet: other_fleet.clone(),
                ..launch()
            },
            "t2",
        )
        .unwrap();
    model
        .run(
            after(100),
            &Launch {
                stack: "prod".to_owned(),
                ..launch()
            },
            "t3",
        )
        .unwrap();
    assert_eq!(list(&mut model, after(110)).len(), 1);
    assert_eq!(list(&mut model, after(110))[0].sequence, Some(7));
    assert_eq!(
        model
            .describe(after(110), "local", &other_fleet)
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        model.describe(after(110), "prod", &fleet()).unwrap().len(),
        1
    );
}

#[test]
fn hands_from_outside_stop_place_and_hold() {
    let (mut model, log, id) = running(slow());
    model.set_hold(after(100), &id, true);
    assert!(list(&mut model, after(102))[0].hold);
    model.stop_outside(after(102), &id).unwrap();
    assert_eq!(log.take(), ["halt Stopped", "102 StopAccepted"]);
    let placement = Placement {
        stack: "local".to_owned(),
        fleet: fleet(),
        sequence: None,
        offering: offering("c7g.xlarge", "eu-1a"),
        state: Ec2State::Running,
    };
    let placed = model.place(after(110), placement);
    assert_eq!(log.take(), ["boot 1"]);
    let shown = list(&mut model, after(110));
    let placed = shown.iter().find(|instance| instance.id == placed).unwrap();
    assert_eq!((placed.state, placed.sequence), (Ec2State::Running, None));
    assert!(placed.address.is_some());
}

#[test]
fn a_boot_may_hang_or_fall_back() {
    let (mut model, log) = model(slow());
    model.script().boots.push_back(BootFault::StaysPending);
    model.run(T0, &launch(), "t1").unwrap();
    assert_eq!(model.next_change(), None);
    model.script().boots.push_back(BootFault::FallsBack);
    let id = model.run(after(1), &launch(), "t2").unwrap().id;
    model.advance(after(6));
    assert_eq!(model.instance(&id).unwrap().state, Ec2State::Terminated);
    assert_eq!(log.take(), ["0 Launched", "1 Launched", "6 Terminated"]);

    let (mut model, _, id) = stopped(slow());
    model.script().boots.push_back(BootFault::FallsBack);
    model.start(after(200), &id).unwrap();
    model.advance(after(205));
    assert_eq!(model.instance(&id).unwrap().state, Ec2State::Stopped);
}

#[test]
fn a_stop_may_hang() {
    let (mut model, _, id) = running(slow());
    model.script().stuck_stops = 1;
    model.stop(after(100), &id).unwrap();
    assert_eq!(state(&mut model, after(9_000)), Some(Ec2State::Stopping));
}

proptest! {
    /// A region is its seed: the same calls give the same answers.
    #[test]
    fn equal_seeds_give_equal_worlds(seed: u64, steps in prop::collection::vec(0u8..4, 1..40)) {
        let noise = Noise { throttled: 100, lost_request: 100, lost_reply: 100 };
        let world = || {
            let settings = Ec2Settings { noise, ..Ec2Settings::default() };
            let mut model = Ec2Model::new(settings, seed, Box::new(Recorder::default()));
            let mut answers = Vec::new();
            for (i, step) in (0u64..).zip(&steps) {
                let now = after(i * 3);
                let first = model.instances().next().map(|truth| truth.id.clone());
                answers.push(match (step, first) {
                    (0, _) => format!("{:?}", model.run(now, &launch(), &format!("t{i}"))),
                    (1, Some(id)) => format!("{:?}", model.start(now, &id)),
                    (2, Some(id)) => format!("{:?}", model.stop(now, &id)),
                    _ => format!("{:?}", model.describe(now, "local", &fleet())),
                });
            }
            answers
        };
        prop_assert_eq!(world(), world());
    }

    /// Whatever happens, what is shown was true at some time, and truth keeps its order.
    #[test]
    fn states_follow_the_life_of_an_instance(seed: u64, calls in prop::collection::vec((0u8..4, 0u64..20), 1..60)) {
        let log = Log::default();
        let recorder = Recorder { log: log.clone(), boots: 0 };
        let mut model = Ec2Model::new(Ec2Settings::default(), seed, Box::new(recorder));
        let id = model.run(T0, &launch(), "t").unwrap().id;
        let mut now = T0;
        for (call, wait) in calls {
            now = now + Duration::from_secs(wait);
            let _ = match call {
                0 => model.start(now, &id),
                1 => model.stop(now, &id),
                2 => model.describe(now, "local", &fleet()).map(drop),
                _ => { model.advance(now); Ok(()) }
            };
        }
        let mut runs = false;
        for line in log.take() {
            let next = match line.split(' ').next_back() {
                Some("Running") => { prop_assert!(!runs); true }
                Some("StopAccepted") => { prop_assert!(runs); false }
                _ => runs,
            };
            runs = next;
        }
    }
}

fn intent() -> Intent {
    let Launch {
        sequence,
        offering,
        image,
        template,
        ..
    } = launch();
    Intent {
        sequence,
        kind: LaunchKind::New {
            offering,
            image,
            template,
        },
        attempt: 0,
        created_at: T0,
        charged_to: None,
        launch_charged: false,
        not_before: T0,
        tries: 0,
        unanswered: 0,
    }
}

/// Runs a future over virtual time, with the region driven beside it.
fn on_virtual_time<T: 'static>(
    settings: Ec2Settings,
    story: impl AsyncFnOnce(Arc<VirtualClock>, Arc<SimulatedEc2>) -> T + 'static,
) -> (T, Log) {
    let (model, log) = model(settings);
    let clock = VirtualClock::at(T0);
    let ec2 = Arc::new(SimulatedEc2::new("local", clock.clone(), model));
    let mut pool = LocalPool::new();
    let driven = ec2.clone();
    pool.spawner()
        .spawn_local(async move { driven.drive().await })
        .unwrap();
    let (told, answer) = futures::channel::oneshot::channel();
    let at = clock.clone();
    pool.spawner()
        .spawn_local(async move {
            let _ = told.send(story(at, ec2).await);
        })
        .unwrap();
    let mut answer = answer;
    loop {
        pool.run_until_stalled();
        if let Some(value) = answer.try_recv().unwrap() {
            return (value, log);
        }
        assert!(clock.jump(), "everybody waits and nobody sleeps");
    }
}

#[test]
fn the_adapter_boots_machines_when_they_are_due() {
    let ((), log) = on_virtual_time(slow(), async |clock, ec2| {
        ec2.run(&fleet(), &intent(), "t").await.unwrap();
        clock.sleep_until(after(6)).await;
    });
    assert_eq!(log.take(), ["0 Launched", "boot 1", "5 Running"]);
}

#[test]
fn the_adapter_takes_the_time_of_the_way_there_and_back() {
    let settings = Ec2Settings {
        request: Span::exactly(Duration::from_secs(1)),
        reply: Span::exactly(Duration::from_secs(2)),
        ..slow()
    };
    let (took, log) = on_virtual_time(settings, async |clock, ec2| {
        ec2.run(&fleet(), &intent(), "t").await.unwrap();
        clock.now().since(T0)
    });
    assert_eq!(took, Duration::from_secs(3));
    assert_eq!(log.take(), ["1 Launched"]);
}

#[test]
fn the_adapter_gives_up_on_a_lost_reply_after_the_call_timeout() {
    let (took, log) = on_virtual_time(slow(), async |clock, ec2| {
        ec2.with(|model, _| model.script().fail(CallName::Run, CallFault::LostReply, 1));
        let lost = ec2.run(&fleet(), &intent(), "t").await.unwrap_err();
        assert!(matches!(lost, Ec2Error::Ambiguous(_)));
        clock.now().since(T0)
    });
    assert_eq!(took, Duration::from_secs(5));
    assert_eq!(log.take()[0], format!("0 {:?}", Happened::Launched));
}

#[test]
fn a_call_dropped_on_its_way_has_no_effect() {
    let settings = Ec2Settings {
        request: Span::exactly(Duration::from_secs(1)),
        ..slow()
    };
    let ((), log) = on_virtual_time(settings, async |_, ec2| {
        let intent = intent();
        let fleet = fleet();
        let call = std::pin::pin!(ec2.run(&fleet, &intent, "t"));
        let _ = futures::poll!(call);
    });
    assert_eq!(log.take(), [""; 0]);
}

#[test]
fn the_adapter_refuses_to_run_an_intent_that_starts() {
    let ((), _) = on_virtual_time(slow(), async |_, ec2| {
        let start = Intent {
            kind: LaunchKind::Start {
                instance: InstanceId::new("i-1"),
            },
            ..intent()
        };
        assert!(matches!(
            ec2.run(&fleet(), &start, "t").await,
            Err(Ec2Error::Config(_))
        ));
    });
}
