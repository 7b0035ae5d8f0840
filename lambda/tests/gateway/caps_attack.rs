//! A hostile holder of one token for `play`: many links, many ids, closed tabs that come back, leases
//! given back and asked for again, in any order, through processes with and without memories.
//!
//! Whatever it does, its grants while a server is ready protect as often an hour as the cap says,
//! and its rows stay within theirs. What waited when a server became ready is granted at that one
//! moment, and is not counted.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::executor::block_on;
use serde_json::{Value, json};
use wakecast_lambda::config::{LinkCaps, SubjectCaps};
use wakecast_lambda::grant::ready_boot;
use wakecast_lambda::leases;
use wakecast_lambda::model::{InstanceStatus, Row, RowState, Timestamp};
use wakecast_lambda::ports::Clock as _;
use wakecast_lambda::store::Store as _;

use crate::world::{
    World, acquire_for, at_once, config, draining, fleet, fleet_config, granting, message, stopping,
};

const PROTECTIONS: usize = 4;
const LIVE: u32 = 6;
const IDS: u64 = 30;
const STEPS: u32 = 200;
const SEEDS: u64 = 60;

/// The server as the attacker cannot make it, but as it may be.
const BOOTS: [u64; 3] = [7, 8, 9];

/// Splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn id(&mut self) -> String {
        format!("x{}", self.below(IDS))
    }
}

struct Attack {
    world: World,
    dice: Dice,
    links: Vec<String>,
    opened: u32,
    ready: bool,
    /// Grants that protect: of what waited when a server became ready, and all others.
    at_ready: BTreeSet<(String, Timestamp)>,
    counted: BTreeSet<(String, Timestamp)>,
    story: Vec<String>,
}

impl Attack {
    fn new(seed: u64) -> Self {
        let mut config = config();
        config.links = LinkCaps::OFF;
        for fleet in config.fleets.values_mut() {
            fleet.caps.subject = SubjectCaps {
                live_rows: Some(LIVE),
                protections_per_hour: Some(u32::try_from(PROTECTIONS).expect("few")),
                ..SubjectCaps::default()
            };
        }
        Self {
            world: World::with(config),
            dice: Dice(seed),
            links: Vec::new(),
            opened: 0,
            ready: false,
            at_ready: BTreeSet::new(),
            counted: BTreeSet::new(),
            story: Vec::new(),
        }
    }

    fn rows(&self) -> Vec<Row> {
        let now = self.world.clock.now();
        at_once(self.world.table.rows(&fleet(), now)).expect("a read")
    }

    /// Grants whoever waits, as the reconciler does while a server is ready.
    fn reconcile(&self) {
        let (config, now) = (fleet_config(), self.world.clock.now());
        let instances = at_once(self.world.table.instances(&fleet())).expect("a read");
        let Some(boot) = ready_boot(&instances) else {
            return;
        };
        for row in self.rows() {
            if leases::grantable(&row, &config.timing, now) {
                let granting = granting(&self.world.table, &config);
                let granted = granting.grant_waiter(&row, &boot, Duration::ZERO, now);
                block_on(granted).expect("a grant");
            }
        }
    }

    fn protecting(&self) -> BTreeSet<(String, Timestamp)> {
        let protects = |row: Row| match row.state {
            RowState::Held {
                granted_at,
                protected_until,
                ..
            } if protected_until > granted_at => Some((row.key.id, granted_at)),
            _ => None,
        };
        self.rows().into_iter().filter_map(protects).collect()
    }

    /// Lets the server become something else.
    fn turn(&mut self) {
        let now = self.world.now();
        let boot = BOOTS[usize::try_from(self.dice.below(3)).expect("a place")];
        let status = match self.dice.below(6) {
            0 => stopping(now),
            1 => draining(now),
            _ => InstanceStatus::Ready,
        };
        self.story
            .push(format!("the server is {status:?} in boot {boot}"));
        self.ready = status == InstanceStatus::Ready;
        self.world.given(boot, status);
        self.reconcile();
        let known: BTreeSet<_> = self.counted.union(&self.at_ready).cloned().collect();
        let fresh = self
            .protecting()
            .difference(&known)
            .cloned()
            .collect::<Vec<_>>();
        self.at_ready.extend(fresh);
    }

    /// Opens one more link and names some rows, wherever they came from.
    fn come_back(&mut self) {
        let socket = format!("s{}", self.opened);
        self.opened += 1;
        self.world.connect(&socket);
        let count = self.dice.below(4);
        let names = |dice: &mut Dice| {
            let names = (0..count).map(|_| json!({ "id": dice.id() }));
            names.collect::<Vec<_>>()
        };
        let (leases, requests) = (names(&mut self.dice), names(&mut self.dice));
        let client = format!("tab{}", self.dice.below(3));
        let hello = json!({
            "action": "hello", "id": "h", "v": 1, "client_id": client, "sdk": "test",
            "leases": leases, "requests": requests,
        });
        self.say(&socket, &hello);
        self.links.push(socket);
    }

    fn say(&mut self, socket: &str, message: &Value) {
        self.story
            .push(format!("{} {socket}: {message}", self.world.now()));
        if self.dice.below(4) == 0 {
            // A process that remembers nothing.
            let event = self.world.message(socket, &message.to_string());
            block_on(self.world.fresh_gateway().websocket(&event));
        } else {
            self.world.send_text(socket, &message.to_string());
        }
    }

    fn step(&mut self) {
        let link = usize::try_from(self.dice.below(64)).expect("a place");
        let Some(socket) = self.links.get(link % self.links.len().max(1)).cloned() else {
            return self.come_back();
        };
        let id = self.dice.id();
        match self.dice.below(20) {
            0..=7 => self.say(&socket, &acquire_for(&id, "play")),
            8..=10 => self.say(&socket, &message("release", "r", "lease", &id)),
            11 => self.say(&socket, &message("cancel", "c", "acquire", &id)),
            12 | 13 => self.say(&socket, &message("endpoint", "e", "lease", &id)),
            14 | 15 => self.come_back(),
            16 => {
                self.world.disconnect(&socket);
                self.links.retain(|known| *known != socket);
                self.story.push(format!("{socket} closes"));
            }
            17 if self.dice.below(4) == 0 => self.turn(),
            _ => self.world.advance(self.dice.below(140)),
        }
        self.reconcile();
        let known = self.at_ready.clone();
        let fresh = self
            .protecting()
            .difference(&known)
            .cloned()
            .collect::<Vec<_>>();
        self.counted.extend(fresh);
    }

    fn check(&self, seed: u64) {
        let hour = |at: &Timestamp| at.as_millis() / 3_600_000;
        let told = || format!("seed {seed}\n{}", self.story.join("\n"));
        for (_, at) in &self.counted {
            let same = self
                .counted
                .iter()
                .filter(|(_, other)| hour(other) == hour(at));
            let count = same.count();
            assert!(
                count <= PROTECTIONS,
                "{count} protect in one hour: {}",
                told()
            );
        }
        let (timing, now) = (fleet_config().timing, self.world.clock.now());
        let rows = self.rows();
        let live = |row: &&Row| {
            !matches!(row.state, RowState::Ended { .. }) && !leases::dormant(row, &timing, now)
        };
        let live = rows.iter().filter(live).count();
        assert!(live <= LIVE as usize, "{live} rows live: {}", told());
        assert!(
            rows.len() <= 4 * LIVE as usize,
            "{} rows: {}",
            rows.len(),
            told()
        );
    }
}

#[test]
fn no_order_of_asking_returning_and_giving_back_protects_more_than_the_cap() {
    let (mut counted, mut at_ready) = (0, 0);
    for seed in 0..SEEDS {
        let mut attack = Attack::new(seed);
        attack.turn();
        for _ in 0..STEPS {
            attack.step();
            attack.check(seed);
        }
        counted += attack.counted.len();
        at_ready += attack.at_ready.len();
    }
    // The attacks reach what they are about.
    println!("{counted} grants were counted, {at_ready} were made as a server became ready");
    assert!(counted > 100 && at_ready > 100);
}
