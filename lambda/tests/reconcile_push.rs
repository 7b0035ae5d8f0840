//! Pushes: the newest state only, to whoever still listens, and one failure stops nothing.

mod reconcile_world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reconcile_world::{START, Script, World, decision, instance, link};
use wakecast::protocol::{Phase, ProgressPush, ServerMessage};
use wakecast_lambda::lifecycle::{Call, Decision, Next, Power, Push};
use wakecast_lambda::model::{Grants, InstanceId, InstanceStatus, Row, RowState, Scope, Timestamp};
use wakecast_lambda::ports::PostError;
use wakecast_lambda::reconcile::{End, Outcome};
use wakecast_lambda::store::Store;

const GONE: PostError = PostError::Gone;

fn after(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

fn progress(row: &Row, phase: Phase) -> ServerMessage {
    ServerMessage::Progress(ProgressPush {
        id: row.key.id.clone(),
        rev: row.rev,
        phase,
        elapsed_ms: 0,
        eta_p50_ms: 1,
        eta_p90_ms: 2,
        overdue: false,
        note: None,
    })
}

fn push(row: &Row, phase: Phase) -> Push {
    Push {
        link: row.link.clone().expect("a link"),
        message: progress(row, phase),
    }
}

/// One round that tells every row its progress, and starts an instance.
fn tell_all(world: &World) -> Outcome {
    world.run(Script::new(|number, snapshot| match number {
        0 => Decision {
            pushes: snapshot
                .rows
                .iter()
                .map(|row| push(row, Phase::Booting))
                .collect(),
            calls: vec![Call {
                action: Power::Start {
                    sequence: 1,
                    instance: InstanceId::new("i-1"),
                },
                not_after: after(20),
            }],
            ..decision(Next::Quiet)
        },
        _ => decision(Next::Quiet),
    }))
}

/// Grants every row that waits, until none does.
fn grant_all(world: &World) -> Outcome {
    world.given(vec![instance("i-1", InstanceStatus::Ready)]);
    world.run(Script::new(|_, snapshot| {
        let waits = |row: &&Row| matches!(row.state, RowState::Waiting { .. });
        let grants = snapshot.rows.iter().filter(waits).cloned().collect();
        Decision {
            grants,
            ..decision(Next::Quiet)
        }
    }))
}

#[test]
fn i32_a_socket_inside_connect_is_tried_again_and_kept() {
    let world = World::new();
    world.waiter_by("a", link("a", START));
    world.sockets.fails("a", &[GONE, GONE]);
    assert_eq!(tell_all(&world).end, End::Quiet);
    assert_eq!(world.sockets.arrived("a"), ["progress"]);
    assert_eq!(world.row("a").absent_since, None);
    assert!(world.clock.time() < after(1), "{:?}", world.clock.time());
}

#[test]
fn i32_a_young_socket_that_never_answers_is_not_taken_for_gone() {
    let world = World::new();
    world.waiter_by("a", link("a", START));
    world.sockets.fails("a", &[GONE; 5]);
    assert_eq!(tell_all(&world).end, End::Quiet);
    assert_eq!(world.gates.count("post"), 5, "once and four times again");
    assert_eq!(world.row("a").absent_since, None, "it may yet say hello");
}

#[test]
fn i32_an_old_socket_that_is_gone_makes_its_rows_absent() {
    let world = World::new();
    world.waiter("a");
    world.waiter("b");
    world.sockets.fails("a", &[GONE]);
    assert_eq!(tell_all(&world).end, End::Quiet);
    assert_eq!(
        world.gates.count("post c-a"),
        1,
        "a closed socket is not tried again"
    );
    assert!(
        world
            .row("a")
            .absent_since
            .is_some_and(|since| since < after(1))
    );
    assert_eq!(
        world.sockets.arrived("b"),
        ["progress"],
        "the others are told"
    );
    assert_eq!(world.row("b").absent_since, None);
    let kept = world.gateway(async |table| table.connection(&link("a", START).connection).await);
    assert!(
        kept.is_ok_and(|kept| kept.is_some()),
        "its item is the gateway's to delete"
    );
    assert_eq!(world.table.violations(), Vec::<String>::new());
}

#[test]
fn i32_a_row_that_came_back_by_another_socket_is_not_made_absent() {
    let world = World::new();
    let row = world.waiter("a");
    world.sockets.fails("a", &[GONE]);
    let other = world.clone();
    world.gates.before("post", move || {
        let mut newer = row.clone();
        let mut link = link("a", START);
        link.connection = wakecast_lambda::model::ConnectionId::new("c-newer");
        newer.link = Some(link);
        other
            .gateway(async |table| table.put_row(&newer, Some(row.version)).await)
            .expect("the client's hello");
    });
    assert_eq!(tell_all(&world).end, End::Quiet);
    assert_eq!(world.row("a").absent_since, None);
}

#[test]
fn i33_a_storm_of_429_delays_no_start_and_ends() {
    let world = World::new();
    for number in 0..200 {
        world.waiter(&format!("w{number:03}"));
    }
    world.sockets.always_fails(PostError::Throttled);
    let called = Arc::new(std::sync::Mutex::new(None));
    let (clock, noted) = (Arc::clone(&world.clock), Arc::clone(&called));
    world.gates.before("start", move || {
        *noted.lock().expect("a note") = Some(clock.time())
    });
    assert_eq!(tell_all(&world).end, End::Quiet);
    assert_eq!(
        called.lock().expect("a note").expect("a call"),
        START,
        "it waited for no post"
    );
    let posts = world.gates.count("post");
    assert!(posts <= 200 * 4, "{posts} posts");
    assert!(world.clock.time() <= after(8), "{:?}", world.clock.time());
    assert_eq!(
        world.row("w000").absent_since,
        None,
        "throttled is not gone"
    );
}

#[test]
fn a_throttled_post_is_tried_again_after_a_while() {
    let world = World::new();
    world.waiter("a");
    world
        .sockets
        .fails("a", &[PostError::Throttled, PostError::Unavailable]);
    tell_all(&world);
    assert_eq!(world.sockets.arrived("a"), ["progress"]);
    assert_eq!(world.gates.count("post"), 3);
}

#[test]
fn a_socket_that_hangs_holds_up_nobody() {
    let world = World::new();
    world.waiter("a");
    world.waiter("b");
    world.sockets.answers_after("a", Duration::from_secs(3_600));
    assert_eq!(tell_all(&world).end, End::Quiet);
    assert_eq!(world.sockets.arrived("b"), ["progress"]);
    assert!(
        world.clock.time() <= after(8),
        "the round ends before the lock does"
    );
    assert_eq!(world.row("a").absent_since, None);
}

#[test]
fn only_the_newest_state_is_sent() {
    let world = World::new();
    world.waiter("a");
    world.waiter("b");
    let script = Script::new(|number, snapshot| match number {
        0 => {
            let rows: Vec<Row> = snapshot.rows.to_vec();
            let tell = |phase| rows.iter().map(move |row| push(row, phase));
            Decision {
                pushes: tell(Phase::Launching).chain(tell(Phase::Booting)).collect(),
                ..decision(Next::Quiet)
            }
        }
        _ => decision(Next::Quiet),
    });
    world.run(script);
    let texts = world.sockets.texts();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts.iter().all(|text| text.contains("booting")),
        "{texts:?}"
    );
}

#[test]
fn i35_three_thousand_waiters_all_get_ready() {
    let world = World::new();
    for number in 0..3_000 {
        world.waiter(&format!("w{number:04}"));
    }
    let outcome = grant_all(&world);
    assert_eq!(
        (outcome.end, outcome.rounds),
        (End::Quiet, 3),
        "no round writes more than 1 024"
    );
    for number in 0..3_000 {
        let name = format!("w{number:04}");
        assert_eq!(world.sockets.arrived_count(&name), 1, "{name}");
    }
    assert_eq!(world.sockets.most_open(), 64);
    let text = world.sockets.texts().into_iter().next().expect("a push");
    let ready: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(ready["type"], "ready");
    let spread = ready["verify_spread_ms"].as_u64().expect("a number");
    assert!(
        (11_000..=12_000).contains(&spread),
        "250 proofs a second: {spread} ms"
    );
    assert_eq!(world.table.violations(), Vec::<String>::new());
}

#[test]
fn an_endpoint_goes_to_no_link_whose_token_has_ended() {
    let world = World::new();
    world.waiter("alive");
    world.waiter("ended");
    world.gateway(async |table| {
        let id = link("ended", START).connection;
        let mut grants = table
            .connection(&id)
            .await
            .expect("a read")
            .expect("it")
            .grants;
        grants.expires_at = START;
        table.renew_connection(&id, &grants).await.expect("a write");
    });
    assert_eq!(grant_all(&world).end, End::Quiet);
    assert_eq!(world.sockets.arrived("alive"), ["ready"]);
    assert_eq!(world.sockets.arrived("ended"), Vec::<String>::new());
    let held = world.row("ended");
    assert!(
        matches!(held.state, RowState::Held { .. }),
        "it is told after its renewal: {held:?}"
    );
    assert_eq!(held.absent_since, None);
}

#[test]
fn an_endpoint_goes_to_no_link_whose_new_token_does_not_cover_the_row() {
    let narrower: [fn(&mut Grants); 5] = [
        |grants| grants.fleets = vec!["spare".to_owned()],
        |grants| grants.tenant = "globex".to_owned(),
        |grants| grants.apps = vec!["vod".to_owned()],
        |grants| grants.streams = vec!["match-2".to_owned()],
        |grants| grants.scopes = BTreeSet::from([Scope::Play]),
    ];
    for narrow in narrower {
        let world = World::new();
        world.waiter("covered");
        world.waiter("not");
        world.gateway(async |table| {
            let id = link("not", START).connection;
            let found = table.connection(&id).await.expect("a read");
            let mut grants = found.expect("the connection").grants;
            narrow(&mut grants);
            table.renew_connection(&id, &grants).await.expect("a write");
        });
        assert_eq!(grant_all(&world).end, End::Quiet);
        assert_eq!(world.sockets.arrived("covered"), ["ready"]);
        assert_eq!(world.sockets.arrived("not"), Vec::<String>::new());
        assert_eq!(world.row("not").absent_since, None);
    }
}

#[test]
fn progress_goes_also_to_a_link_whose_token_has_ended() {
    let world = World::new();
    world.waiter("a");
    world.gateway(async |table| {
        let id = link("a", START).connection;
        let mut grants = table
            .connection(&id)
            .await
            .expect("a read")
            .expect("it")
            .grants;
        grants.expires_at = START;
        table.renew_connection(&id, &grants).await.expect("a write");
    });
    tell_all(&world);
    assert_eq!(world.sockets.arrived("a"), ["progress"]);
}
