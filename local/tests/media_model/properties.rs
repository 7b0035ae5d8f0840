//! Any inputs in any order: nothing panics, and what holds at every moment holds.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;
use wakecast_local::media::{
    BootPhase, Faults, MediaConfig, MediaModel, MediaStatus, Opening, Output, Power, Request,
    SocketId,
};

use crate::{SERVER_SECRET, sign};

#[derive(Debug, Clone)]
enum Input {
    Wait(u64),
    Get(&'static str),
    Open(&'static str),
    Say(usize, String),
    Hangup(usize),
    IngestStarted(&'static str),
    IngestEnded(&'static str),
    Freeze(&'static str),
    Thaw(&'static str),
    Stop,
    Kill,
    Crash(u64),
    Boot,
    Hang(bool),
    Hold(Option<BootPhase>),
}

const STREAMS: [&str; 3] = ["s1", "s2", "bad id"];
const PATHS: [&str; 8] = [
    "/rest/v2/liveness",
    "/rest/v2/applications",
    "/rest/v2/system-resources",
    "/rest/v2/applications/settings/live",
    "/rest/v2/request?_path=live/rest/v2/version",
    "/live/rest/v2/broadcasts/count",
    "/live/streams/s1.m3u8",
    "/",
];

fn message() -> impl Strategy<Value = String> {
    let commands = [
        "ping",
        "publish",
        "play",
        "stop",
        "takeConfiguration",
        "getStreamInfo",
        "nosuch",
    ];
    let known = (
        prop::sample::select(commands.to_vec()),
        prop::sample::select(STREAMS.to_vec()),
        prop::sample::select(vec!["offer", "answer", "other"]),
    );
    let known = known.prop_map(|(command, stream, kind)| {
        json!({ "command": command, "streamId": stream, "type": kind, "sdp": "v=0" }).to_string()
    });
    prop_oneof![9 => known, 1 => any::<String>()]
}

fn input() -> impl Strategy<Value = Input> {
    let stream = || prop::sample::select(STREAMS.to_vec());
    let hold = prop::option::of(prop::sample::select(vec![
        BootPhase::Refused,
        BootPhase::Silent,
        BootPhase::Swapping,
        BootPhase::Live,
    ]));
    prop_oneof![
        6 => prop_oneof![0_u64..200, 0_u64..5_000, 0_u64..40_000].prop_map(Input::Wait),
        4 => prop::sample::select(PATHS.to_vec()).prop_map(Input::Get),
        4 => prop::sample::select(vec!["/live/websocket", "/nosuch/websocket"]).prop_map(Input::Open),
        12 => (any::<usize>(), message()).prop_map(|(socket, text)| Input::Say(socket, text)),
        2 => any::<usize>().prop_map(Input::Hangup),
        2 => stream().prop_map(Input::IngestStarted),
        1 => stream().prop_map(Input::IngestEnded),
        1 => stream().prop_map(Input::Freeze),
        1 => stream().prop_map(Input::Thaw),
        1 => Just(Input::Stop),
        1 => Just(Input::Kill),
        1 => (0_u64..3_000).prop_map(Input::Crash),
        2 => Just(Input::Boot),
        1 => any::<bool>().prop_map(Input::Hang),
        1 => hold.prop_map(Input::Hold),
    ]
}

/// A model with its clock and everything it ever did.
struct World {
    model: MediaModel,
    now: u64,
    token: String,
    /// Whether the clock stops at each timeout, as a driver's does, or runs over them.
    punctual: bool,
    accepted: Vec<SocketId>,
    open: BTreeSet<SocketId>,
    outputs: Vec<Output>,
}

impl World {
    fn new(seed: u64, punctual: bool) -> Self {
        let config = MediaConfig {
            seed,
            ..MediaConfig::enterprise().with_server_secret(SERVER_SECRET)
        };
        let model = MediaModel::start(config, 0).expect("a sound configuration");
        Self {
            model,
            now: 0,
            token: sign(SERVER_SECRET, &json!({})),
            punctual,
            accepted: Vec::new(),
            open: BTreeSet::new(),
            outputs: Vec::new(),
        }
    }

    fn socket(&self, index: usize) -> Option<SocketId> {
        self.accepted
            .get(index.checked_rem(self.accepted.len())?)
            .copied()
    }

    fn apply(&mut self, input: &Input) {
        let (model, now) = (&mut self.model, self.now);
        match input {
            Input::Wait(ms) => self.wait(*ms),
            Input::Get(target) => {
                model.http(now, &Request::get(target).with_server_token(&self.token));
            }
            Input::Open(target) => {
                if let Opening::Accepted(socket) = model.ws_open(now, &Request::get(target)) {
                    self.accepted.push(socket);
                    self.open.insert(socket);
                }
            }
            Input::Say(index, text) => {
                if let Some(socket) = self.socket(*index) {
                    self.model.ws_text(now, socket, text);
                }
            }
            Input::Hangup(index) => {
                if let Some(socket) = self.socket(*index) {
                    self.open.remove(&socket);
                    self.model.ws_closed(now, socket);
                }
            }
            Input::IngestStarted(stream) => drop(model.ingest_started(now, "live", stream)),
            Input::IngestEnded(stream) => drop(model.ingest_ended(now, "live", stream)),
            Input::Freeze(stream) => drop(model.freeze(now, "live", stream)),
            Input::Thaw(stream) => drop(model.thaw(now, "live", stream)),
            Input::Stop => model.stop(now),
            Input::Kill => model.kill(now),
            Input::Crash(after) => model.crash(now, *after),
            Input::Boot => model.boot(now),
            Input::Hang(hang) => {
                let faults = Faults {
                    hang: *hang,
                    ..model.faults().clone()
                };
                model.set_faults(now, faults);
            }
            Input::Hold(phase) => {
                let faults = Faults {
                    hold_at: *phase,
                    ..model.faults().clone()
                };
                model.set_faults(now, faults);
            }
        }
        self.collect();
    }

    fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        while self.punctual {
            let Some(due) = self
                .model
                .next_timeout(self.now)
                .filter(|due| *due <= until)
            else {
                break;
            };
            assert!(
                due > self.now,
                "a timeout at {due} does not lie ahead of {}",
                self.now
            );
            self.now = due;
            self.model.tick(due);
            self.collect();
        }
        self.now = until;
        self.model.tick(until);
    }

    /// Nothing is sent to a socket that is not open, and each ends at most once.
    fn collect(&mut self) {
        while let Some(output) = self.model.poll() {
            match &output {
                Output::Send { socket, .. } => assert!(self.open.contains(socket), "{output:?}"),
                Output::Close { socket, .. } | Output::Drop { socket } => {
                    assert!(self.open.remove(socket), "{output:?}");
                }
                Output::Gone => assert!(self.open.is_empty()),
                Output::Datagram { .. } => panic!("media without being asked for: {output:?}"),
            }
            self.outputs.push(output);
        }
    }
}

fn check_status(before: &MediaStatus, after: &MediaStatus) {
    let counts = after.counts;
    assert!(counts.total_live_streams <= counts.live_streams);
    assert!(counts.webrtc_streams <= counts.total_live_streams);
    if matches!(after.power, Power::Down { .. }) {
        assert_eq!(
            (counts, after.sockets),
            (wakecast_local::media::Counts::default(), 0)
        );
        assert_eq!(after.phase, BootPhase::Refused);
    }
    if before.starts == after.starts && !matches!(after.power, Power::Down { .. }) {
        for app in &before.settings_lost {
            assert!(
                after.settings_lost.contains(app),
                "lost settings stay lost for the uptime"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_inputs_in_any_order(seed: u64, inputs in prop::collection::vec(input(), 1..80)) {
        let mut world = World::new(seed, true);
        for input in &inputs {
            let before = world.model.status(world.now);
            world.apply(input);
            check_status(&before, &world.model.status(world.now));
        }
        prop_assert_eq!(world.model.status(world.now).sockets, world.open.len());
    }

    #[test]
    fn a_late_driver_sees_the_same(seed: u64, inputs in prop::collection::vec(input(), 1..80)) {
        let (mut punctual, mut late) = (World::new(seed, true), World::new(seed, false));
        for input in &inputs {
            punctual.apply(input);
            late.apply(input);
            prop_assert_eq!(punctual.model.status(punctual.now), late.model.status(late.now));
        }
        prop_assert_eq!(punctual.outputs, late.outputs);
    }

    #[test]
    fn settings_are_lost_only_by_a_touch(
        seed: u64,
        waits in prop::collection::vec((0_u64..900, 0_usize..4), 1..20),
    ) {
        let mut world = World::new(seed, true);
        for (wait, path) in waits {
            world.apply(&Input::Wait(wait));
            world.apply(&Input::Get(PATHS[path]));
        }
        prop_assert!(world.model.status(world.now).settings_lost.is_empty());
    }
}
