//! From a publisher to its viewers.

use super::world::World;

/// Consecutive numbers, whatever the first one is.
fn in_order(numbers: &[u64]) -> bool {
    numbers.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

#[test]
fn frames_arrive_whole_and_in_order() {
    let mut world = World::new();
    let publisher = world.publish("s1");
    world.until_told(publisher, "publish_started");
    let viewer = world.play("s1");
    world.until_told(viewer, "play_started");
    world.run(5_000);

    let viewer = world.peer(viewer);
    assert!(viewer.frames.len() > 120, "{}", viewer.frames.len());
    assert!(in_order(&viewer.frames), "{:?}", viewer.frames);
    assert!(
        viewer.audio_frames.len() > 240,
        "{}",
        viewer.audio_frames.len()
    );
    assert!(in_order(&viewer.audio_frames));
    let sent = world.peer(publisher).frames_sent();
    assert!(
        sent - viewer.frames.last().unwrap() < 5,
        "nothing is held back"
    );
}

#[test]
fn a_viewer_is_told_of_the_start_only_once_connected() {
    let mut world = World::new();
    let publisher = world.publish("s1");
    world.until_told(publisher, "publish_started");
    let viewer = world.play("s1");
    world.until_told(viewer, "play_started");
    world.run(1_000);
    assert_eq!(world.peer(publisher).definitions(), ["publish_started"]);
    assert_eq!(world.peer(viewer).definitions(), ["play_started"]);
    assert!(!world.peer(viewer).frames.is_empty());
}

#[test]
fn each_viewer_that_joins_gets_a_keyframe_at_once() {
    let mut world = World::new();
    let publisher = world.publish("s1");
    let first = world.play_when_live(publisher, "s1");
    world.run(2_000);
    let asked = world.peer(publisher).keyframe_requests;
    assert!(asked >= 1);
    assert_eq!(world.peer(first).keyframes, asked);

    let second = world.play("s1");
    world.until_told(second, "play_started");
    let wait = world.run_until("a picture", |world| world.peer(second).keyframes > 0);
    assert!(wait <= 100, "{wait} ms");
    assert_eq!(world.peer(publisher).keyframe_requests, asked + 1);
}

#[test]
fn viewers_that_join_together_share_requests_and_each_gets_a_keyframe() {
    let mut world = World::new();
    let publisher = world.publish("s1");
    world.until_told(publisher, "publish_started");
    let mut viewers = Vec::new();
    for _ in 0..6 {
        viewers.push(world.play("s1"));
        world.run(50);
    }
    world.run(3_000);
    let asked = world.peer(publisher).keyframe_requests;
    assert!(
        (2..=3).contains(&asked),
        "{asked} requests for 6 viewers within 300 ms"
    );
    for viewer in viewers {
        assert!(world.peer(viewer).keyframes > 0);
    }
}

#[test]
fn lost_packets_are_sent_again() {
    let mut world = World::new();
    let publisher = world.publish("s1");
    let viewer = world.play_when_live(publisher, "s1");
    world.lose_every = Some(20);
    world.run(5_000);
    world.lose_every = None;
    world.run(1_000);
    let frames = &world.peer(viewer).frames;
    assert!(frames.len() > 140, "{}", frames.len());
    assert!(in_order(frames), "{frames:?}");
}

#[test]
fn a_viewer_may_join_after_the_sequence_numbers_wrapped() {
    let mut world = World::new();
    let publisher = world.publish_from("s1", 65_500);
    let early = world.play_when_live(publisher, "s1");
    world.run(5_000);
    assert!(world.peer(publisher).frames_sent() > 100, "past 65,535");
    let late = world.play("s1");
    world.until_told(late, "play_started");
    world.run(2_000);
    for viewer in [early, late] {
        let frames = &world.peer(viewer).frames;
        assert!(frames.len() > 40, "{}", frames.len());
        assert!(in_order(frames), "{frames:?}");
    }
}

#[test]
fn streams_do_not_mix() {
    let mut world = World::new();
    let one = world.publish("one");
    let two = world.publish("two");
    world.until_told(one, "publish_started");
    world.run(500);
    world.until_told(two, "publish_started");
    world.kill(one);
    let viewer = world.play("two");
    world.until_told(viewer, "play_started");
    world.run(1_000);
    assert!(world.peer(viewer).frames.len() > 20);
    assert!(in_order(&world.peer(viewer).frames));
}

impl World {
    pub(crate) fn play_when_live(
        &mut self,
        publisher: super::world::Id,
        stream: &str,
    ) -> super::world::Id {
        self.until_told(publisher, "publish_started");
        let viewer = self.play(stream);
        self.until_told(viewer, "play_started");
        viewer
    }
}
