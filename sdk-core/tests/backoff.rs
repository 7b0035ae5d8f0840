//! Waiting before an attempt: jitter, floors, resets, and what cuts a wait.

mod support;

use std::time::Duration;

use rand_core::Rng as _;
use rand_pcg::Pcg64;
use support::{Accept, HOUR, MINUTE, SECOND, World};
use wakecast::machine::backoff::{Backoff, CAP, Cause, FLOOR};
use wakecast::machine::{Input, Refusal, RequestKey, TransportEnd};
use wakecast::{Acquire, ConnectionState, ErrorCode, ReconnectReason};

const HOUR_LONG: Duration = Duration::from_secs(3_600);

fn other(attempt: u32) -> Backoff {
    let spread = Duration::from_secs(5);
    Backoff {
        cause: Cause::Other,
        attempt,
        spread,
        retry_after: None,
        later: false,
    }
}

fn draw(random: &mut Pcg64) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

fn busy(seed: u8) -> World {
    let mut world = World::connected(seed);
    world.acquire(1, Acquire::play("live", "match"));
    world.run(SECOND);
    world
}

#[test]
fn n01_jitter_is_uniform_and_stays_at_the_cap() {
    const SEEDS: u64 = 10_000;
    const PARTS: usize = 30;
    let (mut sum, mut tables) = (0.0, 0.0);
    for attempt in 0..=2_000u32 {
        let most = if attempt < 5 {
            Duration::from_secs(1 << attempt)
        } else {
            CAP
        };
        let mut buckets = vec![0u32; 303];
        let mut parts = [0u32; PARTS];
        for seed in 0..SEEDS {
            let delay = other(attempt).delay([first_draw(seed, attempt), 0.0]);
            assert!((FLOOR..=FLOOR + most).contains(&delay), "{delay:?}");
            buckets[usize::try_from(delay.as_millis() / 100).unwrap()] += 1;
            let part = (delay - FLOOR).as_secs_f64() / most.as_secs_f64() * PARTS as f64;
            parts[(part as usize).min(PARTS - 1)] += 1;
        }
        if attempt >= 5 {
            let busiest = *buckets.iter().max().unwrap();
            assert!(
                busiest <= 70,
                "attempt {attempt}: {busiest} of 10 000 in 100 ms, 0.7 % are allowed"
            );
        }
        // Chi-square over thirty equal parts; 88.0 is the 10⁻⁷ point for 29 degrees of freedom, as
        // there are two thousand tables.
        let expected = SEEDS as f64 / PARTS as f64;
        let chi: f64 = (parts.iter())
            .map(|count| (f64::from(*count) - expected).powi(2) / expected)
            .sum();
        assert!(chi < 88.0, "attempt {attempt}: chi-square {chi}");
        sum += chi;
        tables += 1.0;
    }
    // All tables together: the sum has 29 degrees for each, and twice that as its variance. Too even
    // is as wrong as too uneven.
    let (mean, deviation) = (29.0 * tables, (58.0f64 * tables).sqrt());
    assert!(
        (sum - mean).abs() < 4.0 * deviation,
        "chi-square {sum} in all, expected {mean} ± {deviation}"
    );
}

/// The first draw of a client: drivers seed from the system, so neighbours have nothing in common.
fn first_draw(seed: u64, attempt: u32) -> f64 {
    let mut mixed = (seed << 32 | u64::from(attempt)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    draw(&mut Pcg64::new(u128::from(mixed ^ (mixed >> 31)), 1))
}

#[test]
fn n01_every_attempt_draws_from_zero() {
    for attempt in 0..=2_000 {
        let low = other(attempt).delay([0.0, 0.0]);
        let high = other(attempt).delay([1.0, 1.0]);
        let exp = if attempt < 5 {
            Duration::from_secs(1 << attempt)
        } else {
            CAP
        };
        assert_eq!((low, high), (FLOOR, FLOOR + exp), "attempt {attempt}");
    }
}

#[test]
fn n01_two_clients_do_not_march_in_step() {
    let first_retry = |seed| {
        let mut world = busy(seed);
        world.cut(TransportEnd::Dropped);
        world.run(10 * SECOND);
        world.attempts[1].0
    };
    let times: std::collections::BTreeSet<u64> = (0..100).map(first_retry).collect();
    assert!(times.len() > 80, "{} different times of 100", times.len());
}

#[test]
fn n02_no_count_of_attempts_overflows() {
    for attempt in [
        0,
        1,
        15,
        16,
        17,
        31,
        32,
        63,
        64,
        1_016,
        u32::MAX - 1,
        u32::MAX,
    ] {
        for cause in [Cause::Own, Cause::Peer, Cause::Other] {
            for draws in [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0], [f64::NAN, f64::NAN]] {
                let delay = Backoff {
                    cause,
                    ..other(attempt)
                }
                .delay(draws);
                assert!(delay <= FLOOR + CAP, "{delay:?}");
                assert!(cause == Cause::Peer || delay >= FLOOR, "{delay:?}");
            }
        }
    }
    for bit in 0..32 {
        for attempt in [1u32 << bit, (1u32 << bit) - 1, (1u32 << bit) + 1] {
            let delay = other(attempt).delay([1.0, 1.0]);
            assert!((FLOOR..=FLOOR + CAP).contains(&delay), "{attempt}");
            let exponential = Duration::from_secs(1 << attempt.min(5)).min(CAP);
            assert_eq!(delay, FLOOR + exponential, "{attempt}");
        }
    }
    let long = Backoff {
        retry_after: Some(Duration::MAX),
        spread: Duration::MAX,
        ..other(1)
    };
    assert!(long.delay([1.0, 1.0]) > CAP);
}

#[test]
fn n03_a_server_that_accepts_and_closes_does_not_pin_the_client_at_the_base() {
    let mut world = World::new(3);
    world.script.accept = Accept::ThenClose(200, TransportEnd::Code(1000));
    world.acquire(
        1,
        Acquire::play("live", "match").deadline(Duration::from_secs(3_600)),
    );
    world.run(10 * MINUTE);
    // A backoff that is never reset draws 0–1, 0–2, … 0–30 s: about 45 tries in ten minutes. One
    // that is reset by each open would make more than 500.
    assert!(
        world.attempts.len() < 80,
        "{} attempts",
        world.attempts.len()
    );
    assert_eq!(world.fetches.len(), 1, "an accepted token is used again");
}

#[test]
fn n03_it_makes_as_many_attempts_as_a_backoff_that_never_resets() {
    const RUNS: u8 = 40;
    let (mut made, mut ideal) = (0, 0);
    for seed in 0..RUNS {
        let mut world = World::new(seed);
        world.script.accept = Accept::ThenClose(200, TransportEnd::Code(1000));
        world.input(Input::Connect);
        world.run(10 * MINUTE);
        made += world.attempts.len();
        assert!(world.fetches.len() <= world.attempts.len());
        // The same peer as a formula: the link lives for 280 ms, then the wait is drawn.
        let mut random = Pcg64::new(u128::from(seed), 7);
        let (mut at, mut attempt) = (20, 0);
        while at <= 10 * MINUTE {
            ideal += 1;
            let backoff = Backoff {
                cause: Cause::Peer,
                spread: Duration::from_secs(1),
                ..other(attempt)
            };
            let wait = backoff.delay([draw(&mut random), 0.0]);
            at += 280 + u64::try_from(wait.as_millis()).unwrap();
            attempt += 1;
        }
    }
    let (made, ideal) = (
        made as f64 / f64::from(RUNS),
        ideal as f64 / f64::from(RUNS),
    );
    // The mean of forty runs is known within about one attempt.
    assert!((made - ideal).abs() < 4.0, "{made} attempts, ideal {ideal}");
}

#[test]
fn n03_backoff_is_reset_by_thirty_seconds_and_a_round_trip() {
    let attempt_after = |lived: u64, acks: bool| {
        let mut world = World::new(4);
        world.script.accept = Accept::Refuse(Refusal::Unreachable {
            message: "no route".into(),
        });
        world.input(Input::Connect);
        world.run(5 * MINUTE);
        world.script.accept = Accept::Yes;
        world.run(MINUTE);
        assert!(world.is_connected());
        if acks {
            world.acquire(1, Acquire::play("live", "match"));
        }
        world.run(lived);
        world.cut(TransportEnd::Dropped);
        match world.machine.state() {
            ConnectionState::Reconnecting { attempt, .. } => *attempt,
            state => panic!("{state:?}"),
        }
    };
    assert_eq!(attempt_after(2 * MINUTE, true), 1);
    assert!(attempt_after(0, true) > 5);
    assert!(
        attempt_after(2 * MINUTE, false) > 5,
        "no round trip on a quiet link yet"
    );
}

#[test]
fn n04_retry_after_is_a_floor() {
    for (status, seed) in [(429, 1), (503, 2)] {
        let retry_after = Some(Duration::from_secs(30));
        let mut world = World::new(seed);
        world.script.accept = Accept::Refuse(Refusal::Http {
            status,
            retry_after,
        });
        world.acquire(1, Acquire::play("live", "match"));
        world.run(SECOND);
        assert_eq!(world.attempts.len(), 1);
        let asked = world.attempts[0].0;
        // Neither a new acquire nor a network change cuts it.
        world.run(10 * SECOND);
        world.input(Input::NetworkChanged);
        world.acquire(2, Acquire::play("live", "other"));
        world.run(30 * SECOND);
        let again = world.attempts[1].0;
        assert!(again >= asked + 30 * SECOND, "{asked} {again}");
        assert!(
            again <= asked + 30 * SECOND + 7_500 + 100,
            "{asked} {again}"
        );
    }
}

#[test]
fn n04_retry_after_is_a_floor_through_the_background() {
    let come_back: [fn(&mut World); 2] = [
        |world| world.input(Input::Foreground),
        |world| world.acquire(1, Acquire::play("live", "match").deadline(HOUR_LONG)),
    ];
    for (seed, come_back) in (40..).zip(come_back) {
        for away in [SECOND, 4 * MINUTE] {
            let mut world = World::new(seed);
            world.script.accept = Accept::Refuse(Refusal::Http {
                status: 503,
                retry_after: Some(Duration::from_secs(300)),
            });
            world.input(Input::Connect);
            world.run(SECOND);
            let asked = world.attempts[0].0;
            world.input(Input::Background);
            assert_eq!(*world.machine.state(), ConnectionState::Paused);
            world.run(away);
            come_back(&mut world);
            // The floor, and the quarter of it that spreads those who were told the same.
            world.run(7 * MINUTE);
            let again = world.attempts[1].0;
            assert!(again >= asked + 300 * SECOND, "{asked} {again}");
            assert!(again <= asked + 376 * SECOND, "{asked} {again}");
        }
    }
}

#[test]
fn n04_a_floor_that_passes_in_the_background_holds_nobody_up() {
    let mut world = World::new(42);
    world.script.accept = Accept::Refuse(Refusal::Http {
        status: 503,
        retry_after: Some(Duration::from_secs(300)),
    });
    world.input(Input::Connect);
    world.run(SECOND);
    world.input(Input::Background);
    world.run(HOUR);
    assert_eq!(world.attempts.len(), 1, "paused means no attempts");
    world.script.accept = Accept::Yes;
    world.input(Input::Foreground);
    world.run(1_100);
    assert!(world.is_connected());
}

#[test]
fn n04_two_fresh_tokens_refused_end_in_failed() {
    let mut world = World::new(5);
    world.script.accept = Accept::Refuse(Refusal::Http {
        status: 401,
        retry_after: None,
    });
    world.acquire(1, Acquire::play("live", "match"));
    world.run(MINUTE);
    assert_eq!(world.attempts.len(), 2);
    assert_eq!(world.fetches.len(), 2);
    assert!(
        matches!(world.machine.state(), ConnectionState::Failed { error } if *error.code() == ErrorCode::TokenRejected)
    );
    assert_eq!(*world.error_of(1).code(), ErrorCode::TokenRejected);
    world.run(10 * MINUTE);
    assert_eq!(world.attempts.len(), 2, "failed means no further attempt");
}

#[test]
fn n05_come_back_later_is_heeded() {
    for code in [1012, 1013] {
        let mut world = busy(6);
        let at = world.now;
        world.cut(TransportEnd::Code(code));
        world.run(30 * SECOND);
        assert!(world.attempts[1].0 >= at + 5 * SECOND);
    }
}

#[test]
fn n07_a_network_change_cuts_the_wait_but_flapping_does_not_storm() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        world.script.accept = Accept::Refuse(Refusal::Unreachable {
            message: "no route".into(),
        });
        world.acquire(1, Acquire::play("live", "match"));
        // Long waits.
        world.run(3 * MINUTE);
        let before = world.attempts.len();
        let changed = world.now;
        world.input(Input::NetworkChanged);
        world.run(1_000);
        let made: Vec<u64> = world.attempts[before..]
            .iter()
            .map(|attempt| attempt.0)
            .collect();
        assert!(!made.is_empty() && made.len() <= 2, "{made:?}");
        assert!(made[0] <= changed + 1_000, "{made:?} after {changed}");
        // Flapping ten times a second for a minute.
        let before = world.attempts.len();
        for _ in 0..600 {
            world.input(Input::NetworkChanged);
            world.run(100);
        }
        let made = world.attempts.len() - before;
        assert!(made <= 30, "{made} attempts in a minute of flapping");
    }
}

#[test]
fn n07_flapping_between_background_and_foreground_does_not_storm() {
    let unreachable = Accept::Refuse(Refusal::Unreachable {
        message: "no route".into(),
    });
    for accept in [unreachable, Accept::Hang, Accept::Yes] {
        for pause in [100, 900, 2_000] {
            let mut world = World::new(7);
            world.script.accept = accept.clone();
            world.input(Input::Connect);
            world.run(MINUTE);
            let before = world.attempts.len();
            for _ in 0..(2 * MINUTE / (pause + 100)) {
                world.input(Input::Background);
                world.run(100);
                world.input(Input::Foreground);
                world.run(pause);
            }
            // Once per 5 s, and what the backoff itself allows.
            let made = world.attempts.len() - before;
            assert!(
                made <= 36,
                "{accept:?}, {pause} ms: {made} attempts in two minutes"
            );
        }
    }
}

#[test]
fn n07_a_wait_that_passes_in_the_background_is_not_begun_anew() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        world.script.accept = Accept::Refuse(Refusal::Unreachable {
            message: "no route".into(),
        });
        world.input(Input::Connect);
        world.run(MINUTE);
        let before = world.attempts.len();
        // A second each, so that a wait of whole seconds ends when the app comes back.
        for _ in 0..120 {
            world.input(Input::Background);
            world.run(100);
            world.input(Input::Foreground);
            world.run(900);
        }
        let made = world.attempts.len() - before;
        assert!((10..=36).contains(&made), "{made} attempts in two minutes");
    }
}

#[test]
fn n07_an_eager_app_in_the_background_does_not_storm() {
    for accept in [
        Accept::Hang,
        Accept::Refuse(Refusal::Unreachable {
            message: "no route".into(),
        }),
    ] {
        let mut world = World::new(9);
        world.script.accept = accept;
        world.input(Input::Connect);
        world.run(MINUTE);
        world.input(Input::Background);
        let before = world.attempts.len();
        for key in 0..600 {
            world.acquire(key, Acquire::play("live", "match"));
            world.run(100);
            world.input(Input::Cancel {
                key: RequestKey(key),
            });
            world.run(100);
        }
        let made = world.attempts.len() - before;
        assert!(made <= 36, "{made} attempts in two minutes");
    }
}

#[test]
fn n08_a_day_without_a_network_does_not_end_it() {
    let mut world = World::new(8);
    world.input(Input::NetworkDown);
    world.script.accept = Accept::Refuse(Refusal::Unreachable {
        message: "no route".into(),
    });
    world.input(Input::Connect);
    world.run(24 * 60 * MINUTE);
    let offline = ReconnectReason::Offline;
    assert!(
        matches!(world.machine.state(), ConnectionState::Reconnecting { reason, .. } if *reason == offline)
    );
    let a_day = world.attempts.len();
    assert!(
        (2_880..9_000).contains(&a_day),
        "the cap's cadence: {a_day} attempts"
    );
    world.script.accept = Accept::Yes;
    world.input(Input::NetworkUp);
    world.run(2 * SECOND);
    assert!(world.is_connected());
}

#[test]
fn n08_fifty_trips_to_the_background_do_not_end_it() {
    for (seed, lost) in [(81, false), (82, true)] {
        let mut world = World::connected(seed);
        for trip in 0..50 {
            world.input(Input::Background);
            assert_eq!(*world.machine.state(), ConnectionState::Paused);
            if lost {
                world.input(Input::NetworkDown);
            }
            world.run(20 * SECOND);
            if lost {
                world.input(Input::NetworkUp);
            }
            world.input(Input::Foreground);
            world.run(1_100);
            assert!(world.is_connected(), "trip {trip}");
            world.run(10 * SECOND);
        }
    }
}

#[test]
fn n18_who_comes_back_is_connected_within_three_seconds() {
    // What a browser reports of a page that was kept: its socket was closed meanwhile.
    for seed in 0..20 {
        let mut world = World::holding(seed);
        world.script.spread = MINUTE;
        world.run(50 * MINUTE);
        world.input(Input::Background);
        let epoch = world.epoch();
        world.sleep(HOUR / 2);
        world.input(Input::TransportClosed {
            epoch,
            end: TransportEnd::Dropped,
        });
        world.input(Input::Foreground);
        world.run(3 * SECOND);
        assert!(world.is_connected(), "{:?}", world.machine.state());
        assert!(world.machine.lease_status("lease").is_some());
    }
}

#[test]
fn n19_offline_while_waiting_still_tries() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        world.script.accept = Accept::Refuse(Refusal::Unreachable {
            message: "no route".into(),
        });
        world.input(Input::Connect);
        world.run(10 * SECOND);
        world.input(Input::NetworkDown);
        world.run(MINUTE);
        let before = world.attempts.len();
        world.run(10 * MINUTE);
        let made = world.attempts.len() - before;
        assert!((20..=80).contains(&made), "the cap's cadence: {made}");
        // The hint was wrong: it works, and nobody has to say so.
        world.script.accept = Accept::Yes;
        world.run(31 * SECOND);
        assert!(world.is_connected());
    }
}

#[test]
fn n19_offline_is_a_hint() {
    let mut world = busy(19);
    world.input(Input::NetworkDown);
    world.run(5 * MINUTE);
    assert!(world.is_connected());
    assert_eq!(world.attempts.len(), 1);
}

#[test]
fn n34_close_1000_from_the_server_is_not_final() {
    for code in [1000, 1001, 1011, 3000, 4001] {
        let mut world = busy(34);
        world.cut(TransportEnd::Code(code));
        assert!(
            matches!(world.machine.state(), ConnectionState::Reconnecting { .. }),
            "{code}"
        );
        world.run(30 * SECOND);
        assert!(world.is_connected(), "after close code {code}");
    }
}

#[test]
fn reconnects_spread_as_the_server_asked() {
    let mut latest = 0;
    for seed in 0..40 {
        let mut world = World::new(seed);
        world.script.spread = 57 * SECOND;
        world.input(Input::Connect);
        world.run(SECOND);
        let at = world.now;
        world.cut(TransportEnd::Dropped);
        world.run(2 * MINUTE);
        let waited = world.attempts[1].0 - at;
        assert!(waited <= 57 * SECOND);
        latest = latest.max(waited);
    }
    assert!(
        latest > 40 * SECOND,
        "forty draws from U(0, 57 s) reach beyond 40 s: {latest}"
    );
}
