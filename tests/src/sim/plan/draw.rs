//! Draws a plan from its seed.

use std::ops::Range;
use std::time::Duration;

use wakecast_lambda::model::Timestamp;
use wakecast_local::ec2::{BootFault, CallFault, CallName};

use super::{BUSY, Fault, Faults, Person, Plan, Stage, Timed, Trouble};
use crate::sim::chance::Chance;
use crate::sim::client::{ClientSetup, ProviderFaults};
use crate::sim::moods::{Mood, Turn};
use crate::sim::setting;
use crate::sim::users::{Leave, Moment, Part, Wish};

impl Plan {
    /// Draws the plan of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut chance = Chance::from_seed(seed ^ 0x5eed);
        let elastic = chance.happens(300);
        let min = u32::from(chance.happens(100));
        let kindness = Kindness::draw(&mut chance);
        let faults = kindness.faults(&mut chance);
        let many = chance.within(1..9);
        let people = (0..many)
            .map(|number| person(&mut chance, number, many, kindness))
            .collect();
        let troubles = troubles(&mut chance, kindness);
        let clocks_apart = chance.happens(330);
        Self {
            seed,
            luck: 0,
            elastic,
            min,
            kind: kindness.is_whole(),
            faults,
            people,
            troubles,
            clocks_apart,
        }
    }
}

/// How much goes wrong in a world. A third of the worlds know no trouble at all.
#[derive(Clone, Copy, Debug)]
struct Kindness {
    network: u64,
    calls: u64,
    crashes: u64,
    cloud: u64,
    moods: u64,
}

impl Kindness {
    fn draw(chance: &mut Chance) -> Self {
        if chance.happens(330) {
            return Self {
                network: 0,
                calls: 0,
                crashes: 0,
                cloud: 0,
                moods: 0,
            };
        }
        Self {
            network: chance.within(0..4) * chance.within(0..10),
            calls: chance.within(0..3) * chance.within(0..12),
            crashes: chance.within(0..3) * chance.within(0..6),
            cloud: chance.within(0..4),
            moods: chance.within(0..800),
        }
    }

    fn is_whole(self) -> bool {
        self.network + self.calls + self.crashes + self.cloud + self.moods == 0
    }

    fn faults(self, chance: &mut Chance) -> Faults {
        let mut faults = Faults::default();
        faults.set(Fault::ConnectFails, self.network * 10);
        faults.set(Fault::Cut, self.network);
        faults.set(Fault::BlackHole, self.network / 3);
        faults.set(Fault::SlowFrame, self.network * 5);
        faults.set(Fault::Twice, self.network * 5);
        faults.set(Fault::Reorder, self.network * 5);
        faults.set(Fault::NoDisconnect, self.network * 20);
        faults.set(Fault::LostRequest, self.calls);
        faults.set(Fault::LostReply, self.calls);
        faults.set(Fault::SlowCall, self.calls * 2);
        faults.set(Fault::Crash, self.crashes);
        faults.set(Fault::LateCall, self.calls / 4);
        faults.set(Fault::Freeze, self.crashes / 4);
        faults.set(Fault::WakeLost, self.calls * 10);
        faults.set(Fault::WakeTwice, self.calls * 10);
        let noise = self.cloud * chance.within(0..15);
        faults.set(Fault::Ec2Throttled, noise);
        faults.set(Fault::Ec2LostRequest, noise);
        faults.set(Fault::Ec2LostReply, noise);
        faults
    }
}

fn person(chance: &mut Chance, number: u64, people: u64, kindness: Kindness) -> Person {
    let mut setup = ClientSetup::named(&format!("{}-{number}", name(number)));
    if chance.happens(300) {
        setup.token_life = chance.millis(60_000..600_000);
    }
    if kindness.network > 0 && chance.happens(200) {
        setup.provider = ProviderFaults {
            fails: 200,
            hangs: 50,
            // One in four gives nothing but tokens that are refused, until somebody mends it.
            forges: if chance.happens(250) { 900 } else { 200 },
            silent_between: None,
        };
    }
    let wish = match chance.within(0..10) {
        0..4 => Wish::Publish,
        4..7 => Wish::Play,
        7..9 => Wish::Watch,
        _ => Wish::Idle,
    };
    let leave = match chance.within(0..12) {
        0..5 => Leave::Release,
        5..7 => Leave::Stay,
        7 => Leave::Cancel(chance.within(100..60_000)),
        8 => Leave::Kill(chance.within(100..120_000)),
        9 if chance.happens(300) => Leave::Unasked,
        9 => Leave::Close(within_tenfold(chance, 10..60_000)),
        _ => Leave::Detach,
    };
    // Each publishes a stream of their own; who plays may choose one that nobody publishes.
    let whose = if wish == Wish::Publish {
        number
    } else {
        chance.within(0..people)
    };
    let at = some_time(chance);
    let moment = chance.happens(250).then(|| {
        one_of(
            chance,
            &[
                Moment::Drain,
                Moment::LastLook,
                Moment::LastLook,
                Moment::Stopped,
            ],
        )
    });
    let part = Part {
        wish,
        stream: format!("stream-{whose}"),
        at,
        moment,
        patience: chance.millis(30_000..900_000),
        stay: chance.millis(5_000..600_000),
        leave,
    };
    let moods = moods(chance, at, kindness);
    Person { setup, part, moods }
}

fn moods(chance: &mut Chance, at: Timestamp, kindness: Kindness) -> Vec<Mood> {
    let mut turns = Vec::new();
    if chance.happens(kindness.moods / 2) {
        let mut when = setting::START;
        for _ in 0..chance.within(1..6) {
            when = when + chance.millis(1_000..300_000);
            let turn = one_of(
                chance,
                &[
                    Turn::Pocket,
                    Turn::Tunnel,
                    Turn::OtherNetwork,
                    Turn::ClockJump,
                    Turn::TryAgain,
                ],
            );
            turns.push((when, turn));
        }
    }
    if chance.happens(kindness.moods) {
        turns.push((some_time(chance), Turn::Cut));
    }
    if chance.happens(kindness.moods / 4) {
        // Before they ask for anything.
        let before = at.saturating_sub(chance.millis(20_000..120_000));
        let turn = one_of(
            chance,
            &[
                Turn::OpenInPocket,
                Turn::OpenAndPocket,
                Turn::OpenCutPocket,
                Turn::OpenCutPocket,
            ],
        );
        turns.push((before.max(setting::START), turn));
    }
    if chance.happens(kindness.moods / 2) {
        let turn = one_of(chance, &[Turn::RetryInPocket, Turn::RetryWhenFailed]);
        turns.push((setting::START, turn));
    }
    let mood = |(number, (at, what))| Mood {
        number,
        at,
        what,
        lasts: chance.millis(500..120_000),
        pause: chance.millis(0..400),
    };
    (1..).zip(turns).map(mood).collect()
}

fn name(number: u64) -> &'static str {
    const NAMES: [&str; 8] = ["ada", "bob", "cleo", "dan", "eve", "finn", "gus", "hana"];
    NAMES
        .get(usize::try_from(number).unwrap_or(0))
        .unwrap_or(&"zoe")
}

fn troubles(chance: &mut Chance, kindness: Kindness) -> Vec<Timed> {
    if kindness.cloud == 0 {
        return Vec::new();
    }
    let mut all = Vec::new();
    for _ in 0..chance.within(0..5) {
        let trouble = trouble(chance);
        // Some wait for a moment in the life of an instance.
        let upon = chance.happens(300).then(|| stage(chance));
        let delay = delay(chance);
        all.push((some_time(chance), upon, delay, trouble));
    }
    for _ in 0..chance.within(0..3) {
        let at = setting::START + chance.millis(0..300_000);
        // What comes upon the same stage comes together.
        let delay = delay(chance);
        let doom = doom(chance).into_iter();
        all.extend(doom.map(|(upon, trouble)| (at, upon, delay, trouble)));
    }
    let timed = |(number, (at, upon, delay, trouble))| Timed {
        number,
        at,
        upon,
        delay,
        trouble,
    };
    (1..).zip(all).map(timed).collect()
}

/// How long after a stage was reached: within the next round as often as within the next minute.
fn delay(chance: &mut Chance) -> Duration {
    Duration::from_millis(within_tenfold(chance, 10..100_000))
}

fn trouble(chance: &mut Chance) -> Trouble {
    match chance.within(0..15) {
        zone @ 0..2 => Trouble::NoCapacity {
            one_zone: zone == 0,
            lasts: chance.millis(30_000..400_000),
        },
        2 | 3 => Trouble::Ec2 {
            call: one_of(
                chance,
                &[
                    CallName::Describe,
                    CallName::Run,
                    CallName::Start,
                    CallName::Stop,
                ],
            ),
            fault: one_of(
                chance,
                &[
                    CallFault::Throttled,
                    CallFault::LostRequest,
                    CallFault::LostReply,
                ],
            ),
            times: u32::try_from(chance.within(1..6)).unwrap_or(1),
        },
        4 => Trouble::MediaHangs {
            lasts: chance.millis(5_000..120_000),
        },
        5 => Trouble::MediaCrashes {
            back_after: chance.millis(500..5_000),
        },
        6 => Trouble::SlowBoot {
            percent: u32::try_from(chance.within(200..9_000)).unwrap_or(200),
        },
        7 => Trouble::LostSettings,
        8 => Trouble::Terminated,
        9 => Trouble::StoppedOutside,
        10 => Trouble::Held {
            lasts: chance.millis(60_000..900_000),
        },
        11 => Trouble::OddBoot(one_of(
            chance,
            &[BootFault::StaysPending, BootFault::FallsBack],
        )),
        12 => Trouble::LaggingDescribe {
            lasts: chance.millis(30_000..300_000),
        },
        13 => Trouble::StartedOutside,
        _ if chance.happens(500) => Trouble::StuckStop,
        _ => Trouble::SecondInstance {
            runs: chance.happens(500),
        },
    }
}

/// Troubles that come together, since each alone leads nowhere new.
fn doom(chance: &mut Chance) -> Vec<(Option<Stage>, Trouble)> {
    use Stage::{Booting, Draining, Ready, Recovering, Stopped, Stopping};
    let end = if chance.happens(600) {
        Trouble::Terminated
    } else {
        Trouble::StoppedOutside
    };
    // While EC2 cannot be read, a server goes down unseen.
    let blind = Trouble::Ec2 {
        call: CallName::Describe,
        fault: CallFault::Throttled,
        times: u32::try_from(chance.within(20..150)).unwrap_or(20),
    };
    let no_stop = Trouble::Ec2 {
        call: CallName::Stop,
        fault: CallFault::LostRequest,
        times: 2,
    };
    let restart = Trouble::MediaCrashes {
        back_after: chance.millis(2_000..30_000),
    };
    // Long enough for a stop and the next boot: their leases are told late.
    let refused = Trouble::HotRows {
        lasts: chance.millis(30_000..240_000),
    };
    let held = Trouble::Held {
        lasts: chance.millis(60_000..300_000),
    };
    match chance.within(0..12) {
        0 => vec![(Some(Ready), restart), (Some(Recovering), end)],
        1 => vec![
            (Some(Ready), restart),
            (Some(Recovering), blind),
            (Some(Recovering), end),
        ],
        2 => vec![(Some(Draining), end)],
        3 => vec![(Some(Draining), blind), (Some(Draining), end)],
        4 => vec![(Some(Draining), restart)],
        5 => vec![
            (None, no_stop),
            (Some(Stopping), blind),
            (Some(Stopping), end),
        ],
        6 => vec![(None, no_stop), (Some(Stopping), restart)],
        7 => vec![
            (Some(Ready), restart),
            (None, no_stop),
            (Some(Stopping), held),
        ],
        8 => vec![(Some(Stopping), refused), (Some(Stopped), end)],
        9 => vec![
            (Some(Stopping), refused),
            (Some(Booting), blind),
            (Some(Booting), end),
        ],
        10 => vec![
            (None, Trouble::SecondInstance { runs: false }),
            (Some(Ready), Trouble::StartedOutside),
        ],
        _ => {
            let first = stage(chance);
            vec![(Some(first), refused), (Some(first), end)]
        }
    }
}

fn stage(chance: &mut Chance) -> Stage {
    one_of(chance, &Stage::ALL)
}

fn some_time(chance: &mut Chance) -> Timestamp {
    let busy = u64::try_from(BUSY.as_millis()).unwrap_or(u64::MAX);
    setting::START + chance.millis(0..busy)
}

/// Draws so that each tenfold of the range is as likely as the next: small ones matter as much.
fn within_tenfold(chance: &mut Chance, range: Range<u64>) -> u64 {
    let start = range.start.max(1);
    let tenfolds = (range.end / start).max(1).ilog10().max(1);
    let low = start * 10_u64.pow(u32::try_from(chance.within(0..u64::from(tenfolds))).unwrap_or(0));
    chance.within(low..(low * 10).min(range.end))
}

fn one_of<T: Copy>(chance: &mut Chance, choices: &[T]) -> T {
    match chance.pick(choices) {
        Some(choice) => *choice,
        None => panic!("nothing to choose from"),
    }
}
