//! Counts follow real sessions, and every end is noticed.

use wakecast_local::media::Faults;

use super::world::World;

/// A stream whose publisher is silent is freed within this long, measured from its last packet.
const FREED_WITHIN_MS: u64 = 30_000;

#[test]
fn counts_follow_media_and_not_the_signalling_alone() {
    let mut world = World::new();
    let publisher = world.publish("s1");
    assert_eq!(world.counts().webrtc_streams, 0);
    world.until_told(publisher, "publish_started");
    assert_eq!(world.counts().webrtc_streams, 1);
    assert_eq!(world.counts().total_live_streams, 1);

    let viewer = world.play("s1");
    assert_eq!(world.counts().webrtc_viewers, 0);
    world.until_told(viewer, "play_started");
    assert_eq!(world.counts().webrtc_viewers, 1);

    world.act(viewer, |viewer| viewer.stop());
    assert_eq!(world.counts().webrtc_viewers, 0);
    assert_eq!(world.counts().webrtc_streams, 1);
    world.act(publisher, |publisher| publisher.stop());
    assert_eq!(world.counts(), Default::default());
}

#[test]
fn when_the_publisher_leaves_its_viewers_are_told_and_closed() {
    let mut world = World::new();
    let publisher = world.publish("s1");
    let viewers = [
        world.play_when_live(publisher, "s1"),
        world.play_when_live(publisher, "s1"),
    ];
    world.act(publisher, |publisher| publisher.stop());
    world.run(100);
    assert_eq!(
        world.peer(publisher).definitions(),
        ["publish_started", "publish_finished"]
    );
    assert!(world.peer(publisher).closed);
    for viewer in viewers {
        let viewer = world.peer(viewer);
        assert_eq!(viewer.definitions(), ["play_started", "play_finished"]);
        assert!(viewer.closed, "over WebRTC as well");
    }
}

#[test]
fn a_killed_tab_frees_its_stream_at_once() {
    let mut world = World::new();
    let publisher = world.publish("s1");
    let viewer = world.play_when_live(publisher, "s1");
    world.kill(publisher);
    assert_eq!(world.counts(), Default::default());
    assert_eq!(
        world.peer(viewer).definitions().last(),
        Some(&"play_finished")
    );
    let next = world.publish("s1");
    world.until_told(next, "publish_started");
}

#[test]
fn a_publisher_cut_off_with_its_socket_open_frees_its_stream_within_30_s() {
    for seed in 0..20 {
        let mut config = super::world::config();
        config.seed = seed;
        let mut world = World::with(config);
        let publisher = world.publish("s1");
        let viewer = world.play_when_live(publisher, "s1");
        world.run(1_000);
        world.vanish(publisher);
        let taken = world.until_told(viewer, "play_finished");
        assert!((9_900..=FREED_WITHIN_MS).contains(&taken), "{taken} ms");
        assert_eq!(world.counts(), Default::default());
    }
}

#[test]
fn a_publisher_that_comes_back_in_time_keeps_its_stream() {
    let mut world = World::new();
    let publisher = world.publish("s1");
    let viewer = world.play_when_live(publisher, "s1");
    world.vanish(publisher);
    world.run(5_000);
    assert_eq!(world.counts().webrtc_streams, 1, "not noticed before 10 s");
    world.come_back(publisher);
    let before = world.peer(viewer).frames.len();
    world.run(FREED_WITHIN_MS + 10_000);
    assert_eq!(world.counts().webrtc_streams, 1);
    assert!(world.peer(viewer).frames.len() > before + 500);
}

#[test]
fn a_viewer_cut_off_with_its_socket_open_fades() {
    let mut world = World::new();
    let publisher = world.publish("s1");
    let viewer = world.play_when_live(publisher, "s1");
    world.vanish(viewer);
    let taken = world.run_until("no viewer", |world| world.counts().webrtc_viewers == 0);
    assert!(taken <= FREED_WITHIN_MS, "{taken} ms");
    assert_eq!(world.counts().webrtc_streams, 1);
}

#[test]
fn a_viewer_that_never_connects_is_given_up() {
    let mut world = World::new();
    let publisher = world.publish("s1");
    world.until_told(publisher, "publish_started");
    let socket = world.open();
    world.say(socket, r#"{"command":"play","streamId":"s1"}"#);
    world.texts.clear();
    world.run(10_000);
    assert_eq!(world.texts.len(), 1, "{:?}", world.texts);
    assert!(
        world.texts[0].1.contains("play_finished"),
        "{:?}",
        world.texts
    );
}

#[test]
fn a_stopped_server_is_silent_and_a_new_one_begins_empty() {
    let mut world = World::new();
    let publisher = world.publish("s1");
    let viewer = world.play_when_live(publisher, "s1");
    let now = world.now;
    world.model.kill(now);
    world.model.boot(now);
    let seen = world.peer(viewer).frames.len();
    world.run(2_000);
    assert_eq!(world.counts(), Default::default());
    assert!(
        world.peer(viewer).frames.len() <= seen + 1,
        "packets of its last life"
    );
}

#[test]
fn a_hanging_server_carries_nothing_until_it_goes_on() {
    let mut world = World::new();
    let publisher = world.publish("s1");
    let viewer = world.play_when_live(publisher, "s1");
    world.run(500);
    let hang = |hang| Faults {
        hang,
        ..Faults::default()
    };
    let now = world.now;
    world.model.set_faults(now, hang(true));
    world.run(100);
    let seen = world.peer(viewer).frames.len();
    world.run(1_000);
    assert_eq!(world.peer(viewer).frames.len(), seen);
    let now = world.now;
    world.model.set_faults(now, hang(false));
    world.run(2_000);
    assert!(world.peer(viewer).frames.len() > seen + 20);
}
