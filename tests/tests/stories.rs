//! The ten stories: the whole system on a virtual clock, one thing going wrong at a time.

use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use wakecast::machine::{
    Acquire, Answer, ConnectionState, Input, LeaseChange, LeaseStatus, RequestKey,
};
use wakecast::protocol::{Endpoint, LostReason};
use wakecast::{Error, ErrorCode};
use wakecast_lambda::model::InstanceStatus;
use wakecast_local::ec2::Ec2Settings;
use wakecast_local::media::Faults;
use wakecast_tests::sim::client::{Client, ClientSetup};
use wakecast_tests::sim::farm::{FromServer, MediaSocket};
use wakecast_tests::sim::network::NetworkFaults;
use wakecast_tests::sim::process::CallFaults;
use wakecast_tests::sim::setting;
use wakecast_tests::sim::users::APP;
use wakecast_tests::sim::world::{Hands, Surroundings, World};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
/// Longer than any boot of these stories.
const BOOT: Duration = Duration::from_mins(2);
/// Grace, settle, two looks, ticks and a stop.
const SHUTDOWN: Duration = Duration::from_mins(10);

type Outcome = oneshot::Receiver<Result<Answer, Error>>;

#[test]
fn story_01_from_the_first_acquire_to_the_stop() {
    let mut world = world(1);
    let ada = world.client(ClientSetup::named("ada"));
    let (lease, endpoint) = acquire(&mut world, &ada, Acquire::publish(APP, "match"));
    assert_eq!(
        ada.phases(),
        [
            "requested",
            "launching",
            "booting",
            "warming",
            "verifying",
            "ready"
        ],
        "{}",
        world.around().timeline
    );
    let stream = publish(&mut world, &endpoint, "match");
    world.run_for(MINUTE);
    assert_eq!(streams(&world), 1);
    drop(stream);
    let mut released = ada.release(&lease);
    assert!(settles(&mut world, &mut released, SECOND * 5).is_ok());
    assert!(
        world.run_until(SHUTDOWN, stopped),
        "{}",
        world.around().timeline
    );
    ends_well(&world, 1);
}

#[test]
fn story_02_the_socket_is_cut_before_the_ack_and_before_the_receipt_of_ready() {
    let mut world = world(2);
    let ada = world.client(ClientSetup::named("ada"));
    ada.give(Input::Connect);
    assert!(until_connected(&mut world, &ada));
    // The acquire arrives, its ack does not.
    let (_, mut outcome) = ada.acquire(Acquire::publish(APP, "match"));
    assert!(world.run_until(SECOND * 5, |around| around.waiters() > 0));
    world.around().network.cut_client("ada");
    // `ready` is sent into a link that swallows everything.
    assert!(world.run_until(BOOT, |around| is(around, "ready") || is(around, "booting")));
    assert!(world.run_until(BOOT, |around| around.warming()));
    world.around().network.swallow_client("ada");
    let answer = settles(&mut world, &mut outcome, MINUTE * 3);
    assert!(
        matches!(answer, Ok(Answer::Acquired { .. })),
        "{}",
        world.around().timeline
    );
    ends_well(&world, 1);
}

#[test]
fn story_03_a_killed_client_comes_back_with_the_same_id() {
    // After 30 s the first boot goes on. After 10 min it has been ready, idle and stopped, since
    // nobody was there: the same id wakes the same instance once more.
    for (pause, boots) in [(SECOND * 30, 1), (MINUTE * 10, 2)] {
        let mut world = world(3);
        let before = world.client(named("ada", "ada-app"));
        let (_, _lost) = before.acquire(Acquire::publish(APP, "match").id(ID));
        assert!(world.run_until(SECOND * 5, |around| around.waiters() > 0));
        before.kill();
        world.run_for(pause);
        let after = world.client(named("ada", "ada-app"));
        let (lease, _) = acquire(&mut world, &after, Acquire::publish(APP, "match").id(ID));
        assert_eq!(lease, ID);
        ends_well(&world, boots);
    }
}

#[test]
fn story_04_an_acquire_while_draining_keeps_the_instance() {
    let mut world = world(4);
    idle_instance(&mut world);
    assert!(world.run_until(SHUTDOWN, |around| is(around, "draining")));
    let bob = world.client(ClientSetup::named("bob"));
    acquire(&mut world, &bob, Acquire::publish(APP, "two"));
    ends_well(&world, 1);
}

#[test]
fn story_04_an_acquire_between_s2_and_s3_keeps_the_instance() {
    let mut world = world(40);
    idle_instance(&mut world);
    let bob = world.client(ClientSetup::named("bob"));
    bob.give(Input::Connect);
    assert!(until_connected(&mut world, &bob));
    assert!(world.run_until(SHUTDOWN, |around| is(around, "draining")));
    // Every call of the reconciler takes seconds now: the acquire falls between its steps.
    world.crash_reconcilers();
    let slow = CallFaults {
        slow: 1_000,
        ..CallFaults::default()
    };
    world.set_hands(Hands {
        reconciler: slow,
        ..Hands::default()
    });
    assert!(world.run_until(SHUTDOWN, |around| is(around, "stopping")));
    let (_, mut outcome) = bob.acquire(Acquire::publish(APP, "two"));
    let answer = settles(&mut world, &mut outcome, SHUTDOWN);
    assert!(
        matches!(answer, Ok(Answer::Acquired { .. })),
        "{}",
        world.around().timeline
    );
    ends_well(&world, 1);
}

#[test]
fn story_04_an_acquire_after_s4_restarts_the_same_instance() {
    let mut world = world(41);
    idle_instance(&mut world);
    let first = world.around().instance().expect("an instance").id;
    assert!(world.run_until(SHUTDOWN, |around| around.stop_accepted()));
    let bob = world.client(ClientSetup::named("bob"));
    acquire(&mut world, &bob, Acquire::publish(APP, "two"));
    assert_eq!(world.around().instance().expect("an instance").id, first);
    ends_well(&world, 2);
}

#[test]
fn story_05_a_crash_between_s2_and_s4_or_after_s4_ends_in_one_stop() {
    type Reached = fn(&Surroundings) -> bool;
    let committed: Reached = |around| is(around, "stopping");
    let announced: Reached = |around| is(around, "sent");
    let accepted: Reached = |around| around.stop_accepted();
    for reached in [committed, announced, accepted] {
        let mut world = world(5);
        idle_instance(&mut world);
        assert!(world.run_until(SHUTDOWN, reached));
        world.crash_reconcilers();
        assert!(
            world.run_until(SHUTDOWN, stopped),
            "{}",
            world.around().timeline
        );
        ends_well(&world, 1);
    }
}

#[test]
fn story_06_the_token_ends_while_waiting_for_a_boot() {
    // The provider hangs in mid-boot: the token ends before a new one comes.
    let mut world = world(6);
    let mut ada = ClientSetup::named("ada");
    ada.token_life = SECOND * 12;
    ada.provider.silent_between = Some((SECOND * 3, SECOND * 25));
    let ada = world.client(ada);
    let farm = world.around().farm.clone();
    farm.next_boot(Faults {
        slowdown_percent: 600,
        ..Faults::default()
    });
    let (_, mut outcome) = ada.acquire(Acquire::publish(APP, "match"));
    let early = world.run_until(SECOND * 20, |around| is(around, "ready"));
    assert!(!early, "the boot outlives the first token");
    assert!((&mut outcome).now_or_never().is_none());
    let answer = settles(&mut world, &mut outcome, BOOT);
    let timeline = world.around().timeline.to_string();
    assert!(matches!(answer, Ok(Answer::Acquired { .. })), "{timeline}");
    assert!(world.around().notes().renewals > 0, "{timeline}");
    ends_well(&world, 1);
}

#[test]
fn story_07_three_hours_live_with_a_rotation_and_a_gap() {
    let mut world = world(7);
    let ada = world.client(ClientSetup::named("ada"));
    let (lease, endpoint) = acquire(&mut world, &ada, Acquire::publish(APP, "match"));
    let mut stream = publish(&mut world, &endpoint, "match");
    let Some(ConnectionState::Connected { session }) = ada.state() else {
        panic!("{}", world.around().timeline);
    };
    world.run_for(MINUTE * 170);
    // The gateway cuts at two hours; the rotation came before and nobody saw it.
    let same = ConnectionState::Connected { session };
    assert_eq!(ada.state(), Some(same), "{}", world.around().timeline);
    assert!(!world.around().timeline.to_string().contains("reconnecting"));
    // 200 s without a link: longer than the server keeps an absent lease protected.
    world.set_network(unreachable(), CallFaults::default());
    world.around().network.cut_client("ada");
    world.run_for(SECOND * 200);
    world.set_network(NetworkFaults::default(), CallFaults::default());
    assert!(until_connected(&mut world, &ada));
    let mut fresh = ada.endpoint(&lease);
    assert!(
        settles(&mut world, &mut fresh, SECOND * 30).is_ok(),
        "{}",
        world.around().timeline
    );
    assert_eq!(streams(&world), 1, "{}", world.around().timeline);
    assert!(!is_cut(&mut stream));
    ends_well(&world, 1);
}

#[test]
fn story_08_two_clients_of_one_subject_never_own_one_lease() {
    let mut world = world(8);
    let first = world.client(named("ada", "phone"));
    let (lease, _) = acquire(&mut world, &first, Acquire::publish(APP, "match").id(ID));
    let mut second = named("ada-too", "laptop");
    second.subject = Some("ada".to_owned());
    let second = world.client(second);
    acquire(&mut world, &second, Acquire::publish(APP, "match").id(ID));
    world.run_for(SECOND * 5);
    assert_eq!(first.lease_status(&lease), Some(LeaseStatus::Lost));
    let taken = LeaseChange::Lost {
        reason: LostReason::TakenOver,
    };
    assert!(first.lease_changes(&lease).contains(&taken));
    // The old owner's release changes nothing.
    let mut released = first.release(&lease);
    let _ = settles(&mut world, &mut released, SECOND * 40);
    assert_eq!(second.lease_status(&lease), None, "nothing was told of it");
    let mut endpoint = second.endpoint(&lease);
    assert!(settles(&mut world, &mut endpoint, SECOND * 40).is_ok());
    ends_well(&world, 1);
}

#[test]
fn story_09_a_watcher_wakes_nothing_and_is_served_when_somebody_else_does() {
    let mut world = world(9);
    let bob = world.client(ClientSetup::named("bob"));
    let (_, mut watching) = bob.acquire(Acquire::watch(APP, "match"));
    world.run_for(MINUTE * 20);
    assert_eq!(world.around().boots(), 0, "{}", world.around().timeline);
    assert!((&mut watching).now_or_never().is_none());
    let ada = world.client(ClientSetup::named("ada"));
    let (lease, _) = acquire(&mut world, &ada, Acquire::publish(APP, "match"));
    let answer = settles(&mut world, &mut watching, SECOND * 30);
    assert!(
        matches!(answer, Ok(Answer::Acquired { .. })),
        "{}",
        world.around().timeline
    );
    // The watcher keeps nothing running.
    let mut released = ada.release(&lease);
    assert!(settles(&mut world, &mut released, SECOND * 5).is_ok());
    assert!(
        world.run_until(SHUTDOWN, stopped),
        "{}",
        world.around().timeline
    );
    ends_well(&world, 1);
}

#[test]
fn story_10_the_instance_dies_under_a_lease_which_moves() {
    let mut world = world(10);
    let ada = world.client(ClientSetup::named("ada"));
    let (lease, endpoint) = acquire(&mut world, &ada, Acquire::publish(APP, "match"));
    let mut stream = publish(&mut world, &endpoint, "match");
    world.run_for(MINUTE * 2);
    let id = world.around().instance().expect("an instance").id;
    world
        .around()
        .ec2
        .with(|model, now| model.terminate(now, &id));
    assert!(is_cut(&mut stream));
    let moved = |client: &Client| {
        let changes = client.lease_changes(&lease);
        changes
            .iter()
            .any(|change| matches!(change, LeaseChange::Moved { .. }))
    };
    let there = world.run_until(MINUTE * 5, |_| moved(&ada));
    assert!(there, "{}", world.around().timeline);
    assert!(ada.lease_changes(&lease).contains(&LeaseChange::Moving));
    assert_eq!(ada.lease_status(&lease), Some(LeaseStatus::Held));
    ends_well(&world, 2);
}

#[test]
fn i38_in_a_region_without_an_image_the_waiter_is_told_misconfigured() {
    let mut config = setting::config();
    config.image = String::new();
    let mut world = World::new(11, config, Ec2Settings::default());
    let ada = world.client(ClientSetup::named("ada"));
    let (_, mut outcome) = ada.acquire(Acquire::publish(APP, "match"));
    let error = settles(&mut world, &mut outcome, MINUTE).expect_err("nothing can start");
    assert_eq!(*error.code(), ErrorCode::Misconfigured);
    assert_eq!(world.around().boots(), 0);
}

/// An id that an app would keep across restarts.
const ID: &str = "0123456789abcdef0123456789abcdef";

fn world(seed: u64) -> World {
    World::new(seed, setting::config(), Ec2Settings::default())
}

fn named(name: &str, client_id: &str) -> ClientSetup {
    let mut setup = ClientSetup::named(name);
    setup.client_id = Some(client_id.to_owned());
    setup
}

fn acquire(world: &mut World, client: &Client, acquire: Acquire) -> (String, Endpoint) {
    let (_key, mut outcome): (RequestKey, Outcome) = client.acquire(acquire);
    match settles(world, &mut outcome, BOOT) {
        Ok(Answer::Acquired { lease, endpoint }) => (lease, endpoint),
        other => panic!("{} got {other:?}\n{}", client.name, world.around().timeline),
    }
}

fn settles(world: &mut World, outcome: &mut Outcome, limit: Duration) -> Result<Answer, Error> {
    let mut answer = None;
    for _ in 0..limit.as_millis() / 50 {
        if let Some(settled) = outcome.now_or_never() {
            answer = settled.ok();
            break;
        }
        world.run_for(Duration::from_millis(50));
    }
    answer.unwrap_or_else(|| panic!("no outcome within {limit:?}\n{}", world.around().timeline))
}

fn publish(world: &mut World, endpoint: &Endpoint, stream: &str) -> MediaSocket {
    let mut socket = world
        .around()
        .farm
        .open(endpoint)
        .expect("the server is up");
    let token = endpoint
        .stream_token
        .as_ref()
        .map(|token| token.expose().to_owned());
    let publish = serde_json::json!({ "command": "publish", "streamId": stream, "token": token });
    socket.send(&publish.to_string());
    let offer = serde_json::json!({
        "command": "takeConfiguration", "streamId": stream, "type": "offer", "sdp": "v=0",
    });
    socket.send(&offer.to_string());
    let started = std::iter::from_fn(|| socket.inbox.try_recv().ok()).any(
        |message| matches!(message, FromServer::Text(text) if text.contains("publish_started")),
    );
    assert!(started, "{}", world.around().timeline);
    socket
}

fn is_cut(socket: &mut MediaSocket) -> bool {
    std::iter::from_fn(|| socket.inbox.try_recv().ok()).any(|message| message == FromServer::Gone)
}

fn streams(world: &World) -> u64 {
    let instance = world.around().instance().expect("an instance");
    world
        .around()
        .farm
        .status(&instance.id)
        .map_or(0, |status| status.counts.live_streams)
}

/// An instance that was used and is left alone.
fn idle_instance(world: &mut World) {
    let ada = world.client(ClientSetup::named("ada"));
    let (lease, _) = acquire(world, &ada, Acquire::publish(APP, "one"));
    let mut released = ada.release(&lease);
    assert!(settles(world, &mut released, SECOND * 5).is_ok());
}

fn until_connected(world: &mut World, client: &Client) -> bool {
    world.run_until(MINUTE * 2, |_| {
        matches!(client.state(), Some(ConnectionState::Connected { .. }))
    })
}

fn unreachable() -> NetworkFaults {
    NetworkFaults {
        connect_fails: 1_000,
        ..NetworkFaults::default()
    }
}

fn stopped(around: &Surroundings) -> bool {
    is(around, "stopped")
}

fn is(around: &Surroundings, status: &str) -> bool {
    around
        .instance()
        .is_some_and(|instance| match instance.status {
            InstanceStatus::Booting => status == "booting",
            InstanceStatus::Ready => status == "ready",
            InstanceStatus::Draining { .. } => status == "draining",
            InstanceStatus::Stopping { sent_at: None, .. } => status == "stopping",
            InstanceStatus::Stopping {
                sent_at: Some(_), ..
            } => status == "sent",
            InstanceStatus::Stopped => status == "stopped",
            _ => false,
        })
}

fn ends_well(world: &World, boots: u64) {
    let timeline = &world.around().timeline;
    assert!(timeline.violations().is_empty(), "{timeline}");
    assert_eq!(world.around().boots(), boots, "{timeline}");
}
