//! Scripted faults, capacity and limits.

use wakecast_lambda::ports::{Ec2Error, Ec2State};
use wakecast_local::ec2::{BootFault, CallFault, CallName, CapacityRule, Ec2Settings, Launch};

use crate::region::{T0, after, fleet, launch, model, offering, running, slow, state, stopped};

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
