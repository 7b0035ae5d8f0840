//! Client tokens: their scope, their parameters, what uses them up.

use wakecast_lambda::ports::{Ec2Error, Ec2State};
use wakecast_local::ec2::{CapacityRule, Launch};

use crate::region::{T0, after, launch, model, offering, running, slow};

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
fn the_same_token_returns_even_a_terminated_instance() {
    let (mut model, _, id) = running(slow());
    model.terminate(after(100), &id);
    let again = model.run(after(110), &launch(), "t").unwrap();
    assert_eq!((again.id, again.state), (id, Ec2State::Terminated));
}
