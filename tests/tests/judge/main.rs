//! The judge: apart from what it judges, and able to say no. Each test breaks one law by hand.

mod court;
mod other_hands;

use std::fs;
use std::path::Path;

use court::{Court, MINUTE, SECOND, held, id};
use wakecast_tests::judge::{Fact, Purpose, Standing};

#[test]
fn the_judge_shares_no_code_with_the_judged() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/judge");
    let mut files = 0;
    for entry in fs::read_dir(folder).expect("the judge's folder") {
        let path = entry.expect("a file").path();
        let text = fs::read_to_string(&path).expect("source");
        files += 1;
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let foreign = code.contains("wakecast") || code.contains("crate::");
            let from = code
                .trim_start()
                .trim_start_matches("pub ")
                .strip_prefix("use ");
            let own = ["std::", "super::", "facts::", "known::"];
            let allowed = from.is_none_or(|from| own.iter().any(|own| from.starts_with(own)));
            assert!(
                !foreign && allowed,
                "{}:{}: the judge uses std alone: {line}",
                path.display(),
                number + 1
            );
        }
    }
    assert!(files > 5, "{files} files: was the judge moved?");
}

#[test]
fn an_idle_server_is_stopped_in_peace() {
    let mut court = Court::ready();
    court.zeros(10 * MINUTE);
    court.stop();
    assert_eq!(court.broken, Vec::<String>::new());
}

#[test]
fn a_stop_under_a_viewer_breaks_law_2() {
    let mut court = Court::ready();
    court.zeros(10 * MINUTE);
    court.hear(Fact::Closing {
        server: id(),
        again: false,
    });
    court.hear(Fact::Halted {
        server: id(),
        streams: 0,
        viewers: 1,
    });
    court.hear(Fact::StopAccepted {
        server: id(),
        ours: true,
    });
    court.broke("law 2", "1 viewers");
}

#[test]
fn a_stop_over_who_waits_breaks_law_2_and_over_who_came_later_does_not() {
    for (before, broken) in [(true, true), (false, false)] {
        let mut court = Court::ready();
        court.zeros(10 * MINUTE);
        let waits = Standing::Waits {
            until: court.at + 10 * MINUTE,
        };
        if before {
            court.record("ada", Purpose::Publish, waits.clone());
        }
        court.hear(Fact::Closing {
            server: id(),
            again: false,
        });
        if !before {
            court.record("ada", Purpose::Publish, waits);
        }
        court.hear(Fact::StopAccepted {
            server: id(),
            ours: true,
        });
        assert_eq!(
            court.said("waits or protects"),
            broken,
            "{:?}",
            court.broken
        );
    }
}

#[test]
fn a_stop_over_a_granted_publisher_breaks_law_2_until_they_were_seen() {
    for (seen, broken) in [(false, true), (true, false)] {
        let mut court = Court::ready();
        court.record("ada", Purpose::Publish, held());
        court.at += 20 * SECOND;
        if seen {
            court.report(Some((1, 0)));
        }
        court.zeros(7 * MINUTE);
        court.stop();
        assert_eq!(
            court.said("waits or protects"),
            broken,
            "{:?}",
            court.broken
        );
    }
}

#[test]
fn a_stop_under_an_endpoint_in_somebodys_hand_breaks_law_2() {
    let mut court = Court::ready();
    court.zeros(10 * MINUTE);
    court.record("ada", Purpose::Play, held());
    let token_until = court.at + MINUTE;
    court.promise("ada", token_until);
    court.at += 30 * SECOND;
    court.stop();
    court.broke("law 2", "may still come with ada");
    court.broke("law 2", "without two looks");
}

#[test]
fn of_two_looks_the_first_may_come_early_by_the_distance_of_clocks() {
    // The token ends while the looks begin: so long before, and so long after it they go on.
    for (apart, before, after, broken) in [
        (0, 0, 6, false),
        (0, 4, 3, true),
        (5, 4, 3, false),
        (5, 6, 0, false),
        (5, 3, 1, true),
        (5, 0, 4, true),
    ] {
        let mut court = Court::with(|rules| rules.clocks_apart = apart * SECOND);
        court.hear(Fact::Launched(id()));
        court.opens();
        court.promise("ada", court.at + 10 * MINUTE);
        // Long idle, and the last looks begin shortly before the token ends.
        court.zeros(5 * MINUTE);
        court.at += 5 * MINUTE - (before + 1) * SECOND;
        court.zeros((before + after + 1) * SECOND);
        court.stop();
        assert_eq!(
            court.said("without two looks"),
            broken,
            "{apart} s apart, {before} s before, {after} s after: {:?}",
            court.broken
        );
    }
}

#[test]
fn unknown_counts_as_busy() {
    let mut court = Court::ready();
    court.zeros(10 * MINUTE);
    court.report(None);
    court.hear(Fact::Wrote { by: 1 });
    court.zeros(MINUTE);
    court.stop();
    court.broke("law 2", "busy, unreadable or reopened");
}

#[test]
fn a_second_server_breaks_law_1() {
    let mut court = Court::ready();
    court.hear(Fact::Launched("i-2".to_owned()));
    court.broke("law 1", "2 servers live");
}

#[test]
fn what_another_hand_starts_is_no_fault_of_ours_and_counts_once_it_must_be_seen() {
    let other = || "i-2".to_owned();
    for (by_start, waits, broken) in [
        (true, 0, false),
        (true, 30 * SECOND, false),
        (true, 61 * SECOND, true),
        (false, 30 * SECOND, false),
        (false, 61 * SECOND, true),
    ] {
        let mut court = Court::new();
        if by_start {
            court.hear(Fact::Started {
                server: other(),
                ours: false,
            });
        } else {
            court.hear(Fact::Runs(other()));
            court.hear(Fact::Stranger(other()));
        }
        assert_eq!(court.broken, Vec::<String>::new());
        court.at += waits;
        court.hear(Fact::Launched(id()));
        assert_eq!(court.said("2 servers live"), broken, "{:?}", court.broken);
    }
    // And the other way round: nobody can keep another hand from a start beside ours.
    let mut court = Court::ready();
    court.at += 10 * MINUTE;
    court.hear(Fact::Started {
        server: other(),
        ours: false,
    });
    assert_eq!(court.broken, Vec::<String>::new());
    court.hear(Fact::Launched("i-3".to_owned()));
    court.broke("law 1", "2 servers live: i-1, i-3");
}

#[test]
fn what_another_hand_started_once_is_ours_when_we_start_it() {
    let mut court = Court::new();
    court.hear(Fact::Started {
        server: "i-2".to_owned(),
        ours: false,
    });
    court.hear(Fact::Stopped("i-2".to_owned()));
    court.hear(Fact::Launched(id()));
    court.hear(Fact::Started {
        server: "i-2".to_owned(),
        ours: true,
    });
    court.broke("law 1", "2 servers live");
}

#[test]
fn a_start_with_the_address_on_is_ours_if_we_did_it_or_saw_it_stand() {
    // Whose start, whether EC2 answered meanwhile, whether the address was being taken off.
    for (ours, readable, tried, broken) in [
        (true, false, false, true),
        (true, true, true, true),
        (false, false, false, false),
        (false, true, true, false),
        (false, true, false, true),
    ] {
        let mut court = Court::ready();
        court.hear(Fact::Address {
            server: id(),
            on: true,
            ours: true,
        });
        court.hear(Fact::StopAccepted {
            server: id(),
            ours: false,
        });
        court.hear(Fact::Stopped(id()));
        for _ in 0..10 {
            court.at += MINUTE;
            court.described(1, readable);
            if tried {
                court.hear(Fact::PowerCall {
                    by: 1,
                    call: "disassociate",
                });
            }
        }
        court.hear(Fact::Started { server: id(), ours });
        let said = court.said("starts with the address on it");
        assert_eq!(said, broken, "{:?}", court.broken);
    }
}

#[test]
fn a_start_too_many_breaks_law_5() {
    let mut court = Court::ready();
    for _ in 0..3 {
        court.zeros(10 * MINUTE);
        court.stop();
        court.hear(Fact::Stopped(id()));
        court.hear(Fact::Started {
            server: id(),
            ours: true,
        });
        court.opens();
    }
    court.broke("law 5", "4 starts and 1 launches");
}

#[test]
fn a_start_too_many_for_one_subject_breaks_law_5() {
    // Time between starts, whether somebody else waits too, whether the operator wants a server.
    for (apart, others, min, broken) in [
        (4 * MINUTE, false, 0, true),
        (6 * MINUTE, false, 0, false),
        (4 * MINUTE, true, 0, false),
        (4 * MINUTE, false, 1, false),
    ] {
        let mut court = Court::with(|rules| rules.min = min);
        let waits = Standing::Waits {
            until: court.at + 60 * MINUTE,
        };
        court.record("ada", Purpose::Publish, waits.clone());
        court.record("bob", Purpose::Watch, waits.clone());
        if others {
            court.record("cleo", Purpose::Play, waits);
        }
        for _ in 0..3 {
            court.at += apart;
            court.hear(Fact::Intended);
        }
        assert_eq!(court.said("3 starts for ada"), broken, "{:?}", court.broken);
    }
}

#[test]
fn a_late_answer_breaks_law_3() {
    let mut court = Court::ready();
    let until = court.at + MINUTE;
    court.hear(Fact::Asked {
        who: "ada".to_owned(),
        key: 1,
        until,
    });
    court.pass(MINUTE + 5 * SECOND);
    court.broke("law 3", "ada waits for an answer to 1");
}

#[test]
fn a_row_past_its_deadline_breaks_law_3() {
    let mut court = Court::ready();
    let until = court.at + 10 * SECOND;
    court.record("ada", Purpose::Play, Standing::Waits { until });
    let began = court.at;
    court.hear(Fact::Read { began });
    court.pass(3 * MINUTE);
    court.broke("law 3", "ada is past its deadline");
}

#[test]
fn a_row_that_the_table_refuses_to_end_is_late_once_it_takes_writes_again() {
    let mut court = Court::ready();
    let until = court.at + 10 * SECOND;
    court.record("ada", Purpose::Play, Standing::Waits { until });
    let began = court.at;
    court.hear(Fact::Read { began });
    court.hear(Fact::RowsRefused(true));
    court.pass(4 * MINUTE);
    court.hear(Fact::RowsRefused(false));
    court.pass(MINUTE);
    assert_eq!(court.broken, Vec::<String>::new());
    court.pass(10 * SECOND);
    court.broke("law 3", "ada is past its deadline");
}

#[test]
fn a_run_over_nothing_is_seen_once_ec2_has_shown_that_there_is_nothing() {
    for (readable, broken) in [(false, false), (true, true)] {
        let mut court = Court::ready();
        court.hear(Fact::Terminated(id()));
        court.at += MINUTE;
        court.described(1, readable);
        court.at += 4 * MINUTE;
        court.hear(Fact::RanOut);
        assert_eq!(court.broken, Vec::<String>::new());
        court.at += 2 * MINUTE;
        court.hear(Fact::RanOut);
        assert_eq!(court.said("over nothing"), broken, "{:?}", court.broken);
    }
}

#[test]
fn a_lost_wake_up_is_seen() {
    let mut court = Court::ready();
    let until = court.at + 10 * MINUTE;
    court.record("ada", Purpose::Play, Standing::Waits { until });
    court.pass(40 * SECOND);
    court.broke("demand", "nobody has looked at ada");
}

#[test]
fn an_idle_server_that_runs_on_breaks_law_4() {
    let mut court = Court::ready();
    court.pass(8 * MINUTE);
    assert_eq!(court.broken, Vec::<String>::new());
    court.pass(MINUTE);
    court.broke("law 4", "is idle for");
}

#[test]
fn a_boot_that_comes_to_nothing_breaks_law_4() {
    let mut court = Court::new();
    court.hear(Fact::Launched(id()));
    court.hear(Fact::Runs(id()));
    court.pass(14 * MINUTE);
    court.broke("law 4", "is booting for");
}

#[test]
fn a_stop_of_what_is_held_breaks_law_7() {
    let mut court = Court::ready();
    court.hear(Fact::Hold {
        server: id(),
        on: true,
    });
    court.zeros(10 * MINUTE);
    court.stop();
    court.broke("law 7", "while it is held");
}

#[test]
fn a_call_by_a_process_that_sees_nothing_breaks_law_8() {
    let mut court = Court::ready();
    court.described(7, false);
    court.hear(Fact::PowerCall {
        by: 7,
        call: "start",
    });
    court.broke("law 8", "start is sent");
}

#[test]
fn a_dead_endpoint_is_seen() {
    let mut court = Court::ready();
    court.zeros(10 * MINUTE);
    court.stop();
    let token_until = court.at + MINUTE;
    court.promise("ada", token_until);
    court.broke("law 2", "was handed an endpoint");
}
