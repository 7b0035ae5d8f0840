//! What happens in a random world: who comes, and what hurts.

use std::time::Duration;

use wakecast_lambda::model::{InstanceId, InstanceStatus, Timestamp};
use wakecast_lambda::ports::Ec2State;
use wakecast_local::ec2::{
    BootFault, CallFault, CallName, CapacityRule, Ec2Model, Ec2Settings, Noise, Placement,
};
use wakecast_local::media::Faults;
use wakecast_local::random::Span;

use super::chance::Chance;
use super::client::{ClientSetup, ProviderFaults};
use super::network::NetworkFaults;
use super::process::CallFaults;
use super::setting;
use super::users::{self, Leave, Moment, Part, Wish};
use super::world::{Hands, Surroundings, World};

/// People come within this time, and trouble is over by then.
const BUSY: u64 = 25 * 60_000;
/// A world goes on until everybody is gone and the fleet had time to stop.
const WHOLE: Duration = Duration::from_mins(75);

/// Two regions' clocks, where the network between them and their time server is bad.
const CLOCKS_APART: Duration = Duration::from_secs(5);

/// By then the death of a server is noticed and told: two ticks, a lock that a crash left behind,
/// and describes that fail on the way.
const NOTICED: Duration = Duration::from_mins(4);

/// A random world that has ended.
#[derive(Debug)]
pub struct Played {
    /// The world.
    pub world: World,
    /// Its seed.
    pub seed: u64,
}

/// Builds the world of a seed and runs it to its end.
#[must_use]
pub fn play(seed: u64) -> Played {
    let mut chance = Chance::from_seed(seed ^ 0x5eed);
    let mut config = setting::config();
    config.endpoint = if chance.happens(300) {
        setting::elastic()
    } else {
        setting::template()
    };
    config.min = u32::from(chance.happens(100));
    let kindness = Kindness::draw(&mut chance);
    let mut world = World::new(seed, config, kindness.ec2(&mut chance));
    if chance.happens(330) {
        world.skew_clocks(CLOCKS_APART);
    }
    if kindness.is_whole() {
        world.around().declare_kind();
    }
    let people = chance.within(1..9);
    for number in 0..people {
        let (setup, part) = person(&mut chance, number, people, kindness);
        let client = world.person(setup, part);
        if chance.happens(kindness.cuts / 2) {
            let (around, moods) = (world.around().clone(), chance.fork());
            world.spawn(users::moods(
                around,
                client.clone(),
                moods,
                chance.within(1..6),
            ));
        }
        if chance.happens(kindness.cuts) {
            let after = chance.millis(1_000..BUSY);
            let around = world.around().clone();
            world.spawn(async move {
                around.clock.sleep(after).await;
                around.network.cut_client(&client.name);
            });
        }
    }
    world.set_network(kindness.network(), kindness.calls());
    world.set_hands(kindness.hands());
    let troubles = troubles(&mut chance, kindness);
    let around = world.around().clone();
    for trouble in troubles {
        world.spawn(trouble.befall(around.clone()));
    }
    calm_down(&world);
    world.run_for(WHOLE);
    Played { world, seed }
}

/// How much goes wrong in a world. A third of the worlds know no trouble at all.
#[derive(Clone, Copy, Debug)]
struct Kindness {
    network: u64,
    calls: u64,
    crashes: u64,
    cloud: u64,
    cuts: u64,
}

impl Kindness {
    fn draw(chance: &mut Chance) -> Self {
        if chance.happens(330) {
            return Self {
                network: 0,
                calls: 0,
                crashes: 0,
                cloud: 0,
                cuts: 0,
            };
        }
        Self {
            network: chance.within(0..4) * chance.within(0..10),
            calls: chance.within(0..3) * chance.within(0..12),
            crashes: chance.within(0..3) * chance.within(0..6),
            cloud: chance.within(0..4),
            cuts: chance.within(0..800),
        }
    }

    fn is_whole(self) -> bool {
        self.network + self.calls + self.crashes + self.cloud + self.cuts == 0
    }

    fn network(self) -> NetworkFaults {
        NetworkFaults {
            connect_fails: self.network * 10,
            cut: self.network,
            black_hole: self.network / 3,
            slow: self.network * 5,
            twice: self.network * 5,
            reorder: self.network * 5,
            no_disconnect: self.network * 20,
        }
    }

    fn calls(self) -> CallFaults {
        CallFaults {
            lost_request: self.calls,
            lost_reply: self.calls,
            slow: self.calls * 2,
            crash: self.crashes,
            late: self.calls / 4,
            pause: self.crashes / 4,
        }
    }

    fn hands(self) -> Hands {
        Hands {
            reconciler: self.calls(),
            wake_lost: self.calls * 10,
            wake_twice: self.calls * 10,
        }
    }

    fn ec2(self, chance: &mut Chance) -> Ec2Settings {
        let noise = u16::try_from(self.cloud * chance.within(0..15)).unwrap_or(0);
        Ec2Settings {
            noise: Noise {
                throttled: noise,
                lost_request: noise,
                lost_reply: noise,
            },
            ..Ec2Settings::default()
        }
    }
}

fn person(
    chance: &mut Chance,
    number: u64,
    people: u64,
    kindness: Kindness,
) -> (ClientSetup, Part) {
    let mut setup = ClientSetup::named(&format!("{}-{number}", name(number)));
    if chance.happens(300) {
        setup.token_life = chance.millis(60_000..600_000);
    }
    if kindness.network > 0 && chance.happens(150) {
        setup.provider = ProviderFaults {
            fails: 200,
            hangs: 50,
            forges: 200,
            silent_between: None,
        };
    }
    let wish = match chance.within(0..10) {
        0..4 => Wish::Publish,
        4..7 => Wish::Play,
        7..9 => Wish::Watch,
        _ => Wish::Idle,
    };
    let leave = match chance.within(0..10) {
        0..5 => Leave::Release,
        5..7 => Leave::Stay,
        7 => Leave::Cancel(chance.within(100..60_000)),
        8 => Leave::Kill(chance.within(100..120_000)),
        _ => Leave::Detach,
    };
    // Each publishes a stream of their own; who plays may choose one that nobody publishes.
    let whose = if wish == Wish::Publish {
        number
    } else {
        chance.within(0..people)
    };
    let stream = format!("stream-{whose}");
    let at = setting::START + chance.millis(0..BUSY);
    let moment = chance.happens(250).then(|| {
        *chance
            .pick(&[
                Moment::Drain,
                Moment::LastLook,
                Moment::LastLook,
                Moment::Stopped,
            ])
            .unwrap_or(&Moment::Drain)
    });
    let patience = chance.millis(30_000..900_000);
    let stay = chance.millis(5_000..600_000);
    (
        setup,
        Part {
            wish,
            stream,
            at,
            moment,
            patience,
            stay,
            leave,
        },
    )
}

fn name(number: u64) -> &'static str {
    const NAMES: [&str; 8] = ["ada", "bob", "cleo", "dan", "eve", "finn", "gus", "hana"];
    NAMES
        .get(usize::try_from(number).unwrap_or(0))
        .unwrap_or(&"zoe")
}

/// One thing that befalls the cloud.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    NoCapacity {
        one_zone: bool,
        lasts: Duration,
    },
    Ec2 {
        call: CallName,
        fault: CallFault,
        times: u32,
    },
    MediaHangs {
        lasts: Duration,
    },
    MediaCrashes {
        back_after: Duration,
    },
    SlowBoot {
        percent: u32,
    },
    LostSettings,
    Terminated,
    StoppedOutside,
    Held {
        lasts: Duration,
    },
    OddBoot(BootFault),
    LaggingDescribe {
        lasts: Duration,
    },
    StuckStop,
    SecondInstance {
        state: Ec2State,
    },
}

#[derive(Clone, Copy, Debug)]
struct Timed {
    at: Timestamp,
    trouble: Trouble,
}

fn troubles(chance: &mut Chance, kindness: Kindness) -> Vec<Timed> {
    let many = if kindness.cloud == 0 {
        0
    } else {
        chance.within(0..6)
    };
    (0..many)
        .map(|_| {
            let trouble = match chance.within(0..14) {
                0 => Trouble::NoCapacity {
                    one_zone: true,
                    lasts: chance.millis(30_000..400_000),
                },
                1 => Trouble::NoCapacity {
                    one_zone: false,
                    lasts: chance.millis(30_000..400_000),
                },
                2 | 3 => Trouble::Ec2 {
                    call: *chance
                        .pick(&[
                            CallName::Describe,
                            CallName::Run,
                            CallName::Start,
                            CallName::Stop,
                        ])
                        .unwrap_or(&CallName::Describe),
                    fault: *chance
                        .pick(&[
                            CallFault::Throttled,
                            CallFault::LostRequest,
                            CallFault::LostReply,
                        ])
                        .unwrap_or(&CallFault::Throttled),
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
                11 => Trouble::OddBoot(
                    *chance
                        .pick(&[BootFault::StaysPending, BootFault::FallsBack])
                        .unwrap_or(&BootFault::FallsBack),
                ),
                12 => Trouble::LaggingDescribe {
                    lasts: chance.millis(30_000..300_000),
                },
                _ if chance.happens(500) => Trouble::StuckStop,
                _ => Trouble::SecondInstance {
                    state: *chance
                        .pick(&[Ec2State::Running, Ec2State::Stopped])
                        .unwrap_or(&Ec2State::Stopped),
                },
            };
            Timed {
                at: setting::START + chance.millis(0..BUSY),
                trouble,
            }
        })
        .collect()
}

impl Timed {
    async fn befall(self, around: Surroundings) {
        let clock = around.clock.clone();
        clock.sleep(clock.true_now().until(self.at)).await;
        around
            .timeline
            .say("trouble", format!("{:?}", self.trouble));
        match self.trouble {
            Trouble::NoCapacity { one_zone, lasts } => {
                let zone = one_zone.then(|| setting::ZONES[0].to_owned());
                let rule = CapacityRule {
                    instance_type: None,
                    zone,
                    times: None,
                };
                around
                    .ec2
                    .with(|model, _| model.script().capacity.push(rule));
                clock.sleep(lasts).await;
                around.ec2.with(|model, _| model.script().capacity.clear());
            }
            Trouble::Ec2 { call, fault, times } => {
                around
                    .ec2
                    .with(|model, _| model.script().fail(call, fault, times));
            }
            Trouble::MediaHangs { lasts } => {
                // What hangs cannot be proved or left in order; a while later it is itself again.
                around.excuse_until(clock.true_now() + lasts + Duration::from_secs(10));
                around.farm.set_faults(&Faults {
                    hang: true,
                    ..Faults::default()
                });
                clock.sleep(lasts).await;
                around.farm.set_faults(&Faults::default());
            }
            Trouble::MediaCrashes { back_after } => {
                around.excuse_until(clock.true_now() + back_after + NOTICED);
                around.farm.crash(back_after);
            }
            Trouble::SlowBoot { percent } => {
                around.farm.next_boot(Faults {
                    slowdown_percent: percent,
                    ..Faults::default()
                });
            }
            Trouble::LostSettings => around.farm.next_boot(setting::lost_settings()),
            Trouble::Terminated => {
                around.ec2.with(|model, now| {
                    if let Some(id) = some_instance(model) {
                        model.terminate(now, &id);
                    }
                });
                excuse_until_noticed(&around).await;
            }
            Trouble::StoppedOutside => {
                around.ec2.with(|model, now| {
                    // An instance that cannot be stopped now is left alone, as a console would.
                    let _ = some_instance(model).map(|id| model.stop_outside(now, &id));
                });
                excuse_until_noticed(&around).await;
            }
            Trouble::Held { lasts } => {
                let held = around.ec2.with(|model, now| {
                    let id = some_instance(model)?;
                    model.set_hold(now, &id, true);
                    Some(id)
                });
                clock.sleep(lasts).await;
                if let Some(id) = held {
                    around
                        .ec2
                        .with(|model, now| model.set_hold(now, &id, false));
                }
            }
            Trouble::OddBoot(fault) => {
                around
                    .ec2
                    .with(|model, _| model.script().boots.push_back(fault));
            }
            Trouble::LaggingDescribe { lasts } => {
                let lag = Span::millis(5_000, 20_000);
                around
                    .ec2
                    .with(|model, _| model.script().describe_lag = Some(lag));
                clock.sleep(lasts).await;
                around
                    .ec2
                    .with(|model, _| model.script().describe_lag = None);
            }
            Trouble::StuckStop => {
                around.ec2.with(|model, _| model.script().stuck_stops += 1);
            }
            Trouble::SecondInstance { state } => {
                around.stranger();
                let offering = around.config.offerings.first().cloned();
                around.ec2.with(|model, now| {
                    let Some(offering) = offering else { return };
                    model.place(
                        now,
                        Placement {
                            stack: setting::STACK.to_owned(),
                            fleet: setting::fleet(),
                            sequence: None,
                            offering,
                            state,
                        },
                    );
                });
            }
        }
    }
}

/// Excuses dead endpoints until the reconciler has noticed that its server is gone: with EC2 not
/// readable it cannot, and must not guess.
async fn excuse_until_noticed(around: &Surroundings) {
    let end = around.clock.true_now() + NOTICED * 4;
    loop {
        around.excuse_until(around.clock.true_now() + NOTICED);
        around.clock.sleep(NOTICED / 8).await;
        let serves = around.instance().is_some_and(|instance| {
            matches!(
                instance.status,
                InstanceStatus::Ready | InstanceStatus::Draining { .. }
            ) && around.farm.status(&instance.id).is_none()
        });
        if !serves || around.clock.true_now() > end {
            return;
        }
    }
}

/// The instance that lives, or else any.
fn some_instance(model: &Ec2Model) -> Option<InstanceId> {
    let lives = |state| {
        matches!(
            state,
            Ec2State::Pending | Ec2State::Running | Ec2State::Stopping
        )
    };
    let living = model.instances().find(|truth| lives(truth.state));
    living
        .or_else(|| model.instances().next())
        .map(|truth| truth.id.clone())
}

/// Ends the random faults when the busy time is over, so that every world can come to rest.
fn calm_down(world: &World) {
    let around = world.around().clone();
    let hands = world.hands();
    world.spawn(async move {
        around.clock.sleep(Duration::from_millis(BUSY)).await;
        around
            .network
            .set_faults(NetworkFaults::default(), CallFaults::default());
        *hands.borrow_mut() = Hands::default();
        around.ec2.with(|model, _| {
            let script = model.script();
            script.calls.clear();
            script.capacity.clear();
        });
        around.farm.set_faults(&Faults::default());
    });
}
