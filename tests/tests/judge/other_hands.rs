//! What is ours and what another hand's, when somebody else starts and stops servers.

use wakecast_tests::judge::{Fact, Media};

use crate::court::{Court, MINUTE, SECOND, id, up};

#[test]
fn a_server_that_another_hand_took_down_is_ours_once_ec2_has_shown_it() {
    let unreachable = |court: &mut Court| {
        court.hear(Fact::Unreachable {
            who: "ada".to_owned(),
            lease: "ada".to_owned(),
            server: Some(id()),
        });
    };
    let terminated = || {
        let mut court = Court::ready();
        court.hear(Fact::Terminated(id()));
        court
    };
    // EC2 answers nothing: whoever serves on what they know is right to.
    let mut court = terminated();
    for _ in 0..30 {
        court.at += MINUTE;
        court.described(1, false);
        let token_until = court.at + MINUTE;
        court.promise("ada", token_until);
        unreachable(&mut court);
    }
    assert_eq!(court.broken, Vec::<String>::new());
    // It answers, and what it shows is told.
    court.described(1, true);
    unreachable(&mut court);
    assert_eq!(court.broken, Vec::<String>::new());
    court.at += 20 * SECOND;
    unreachable(&mut court);
    court.broke("law 2", "was handed a dead endpoint");
    // Started again by another hand, it is still the boot that was granted; we who start it know.
    for (ours, broken) in [(false, false), (true, true)] {
        let mut court = terminated();
        court.hear(Fact::Stopped(id()));
        court.at += MINUTE;
        court.hear(Fact::Started { server: id(), ours });
        unreachable(&mut court);
        assert_eq!(court.broken, Vec::<String>::new());
        court.at += 20 * SECOND;
        unreachable(&mut court);
        let said = court.said("dead endpoint");
        assert_eq!(said, broken, "{:?}", court.broken);
    }
    // Nor does one that a frozen process tells of late.
    let mut court = terminated();
    let as_of = court.at;
    court.at += 10 * MINUTE;
    court.hear(Fact::Described {
        by: 1,
        readable: true,
        as_of,
    });
    court.at += MINUTE;
    unreachable(&mut court);
    assert_eq!(court.broken, Vec::<String>::new());
    // An answer that may be older than what happened shows nothing.
    let mut court = terminated();
    court.at += 10 * SECOND;
    court.described(1, true);
    court.at += 10 * MINUTE;
    unreachable(&mut court);
    assert_eq!(court.broken, Vec::<String>::new());
    // Nobody took it down: it is dead all the same.
    let mut court = Court::ready();
    unreachable(&mut court);
    court.broke("law 2", "was handed a dead endpoint");
}

#[test]
fn what_another_hand_stopped_and_started_is_another_boot_once_ec2_has_shown_it() {
    // Whether EC2 answers before the stop, and whether the server was granted in its new run.
    for (shown, granted, broken) in [
        (false, false, true),
        (true, false, false),
        (true, true, true),
    ] {
        let mut court = Court::ready();
        let before = court.at;
        court.at += 10 * MINUTE;
        court.hear(Fact::StopAccepted {
            server: id(),
            ours: false,
        });
        court.at += 10 * SECOND;
        court.hear(Fact::Stopped(id()));
        court.at += 10 * MINUTE;
        court.hear(Fact::Started {
            server: id(),
            ours: false,
        });
        court.hear(Fact::Runs(id()));
        court.at += SECOND;
        // Who reads the record is still given the boot that was.
        let since = if granted { court.at } else { before };
        court.hear(Fact::Opened {
            server: id(),
            boot: 1,
            since,
        });
        court.at += MINUTE;
        court.described(1, shown);
        court.at += SECOND;
        court.stop();
        assert_eq!(court.said("is stopped"), broken, "{:?}", court.broken);
    }
}

#[test]
fn a_run_that_was_taken_down_before_its_opening_is_written_down_is_taken_down() {
    for (ours, broken) in [(false, false), (true, true)] {
        let mut court = Court::new();
        court.hear(Fact::Launched(id()));
        court.hear(Fact::Runs(id()));
        court.hear(Fact::Media {
            server: id(),
            media: up(),
        });
        let since = court.at;
        court.at += 5 * SECOND;
        court.hear(Fact::StopAccepted { server: id(), ours });
        court.broken.clear();
        // What was decided before arrives at the table only now.
        court.at += SECOND;
        court.hear(Fact::Opened {
            server: id(),
            boot: 1,
            since,
        });
        let token_until = court.at + MINUTE;
        court.promise("ada", token_until);
        assert_eq!(
            court.said("handed an endpoint"),
            broken,
            "{:?}",
            court.broken
        );
    }
}

#[test]
fn a_stream_that_is_cut_is_ours_unless_another_hand_took_its_server_down() {
    for (ours, broken) in [(true, true), (false, false)] {
        let mut court = Court::ready();
        court.hear(Fact::StopAccepted { server: id(), ours });
        court.broken.clear();
        court.hear(Fact::Cut {
            who: "ada".to_owned(),
            server: id(),
        });
        assert_eq!(court.said("was cut off"), broken, "{:?}", court.broken);
    }
}

#[test]
fn an_early_touch_is_seen_but_where_another_hand_let_players_in() {
    for (ours, address_on, broken) in [
        (true, true, true),
        (true, false, true),
        (false, false, true),
        (false, true, false),
    ] {
        let mut court = Court::new();
        court.hear(Fact::Address {
            server: id(),
            on: address_on,
            ours: true,
        });
        court.hear(Fact::Started { server: id(), ours });
        court.hear(Fact::Runs(id()));
        court.hear(Fact::Media {
            server: id(),
            media: Media {
                touched_early: true,
                ..up()
            },
        });
        assert_eq!(court.said("was touched"), broken, "{:?}", court.broken);
    }
}
