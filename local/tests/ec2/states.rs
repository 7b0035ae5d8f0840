//! States, what `describe` shows of them, and who may change them.

use std::time::Duration;

use proptest::prelude::*;
use wakecast_lambda::model::FleetKey;
use wakecast_lambda::ports::{Ec2Error, Ec2State};
use wakecast_local::ec2::{Ec2Model, Ec2Settings, Launch, Noise, Placement};
use wakecast_local::random::Span;

use crate::region::{
    Log, Recorder, T0, after, fleet, launch, list, model, offering, running, slow, state,
};

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
