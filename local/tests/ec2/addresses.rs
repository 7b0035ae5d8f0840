//! Own addresses and Elastic IPs.

use wakecast_lambda::ports::Ec2Error;

use crate::region::{after, fleet, launch, list, running, slow};

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
