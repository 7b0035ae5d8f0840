//! What befalls the cloud, and when.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wakecast_lambda::model::{InstanceId, InstanceStatus, Timestamp};
use wakecast_lambda::ports::Ec2State;
use wakecast_local::ec2::{BootFault, CallFault, CallName, CapacityRule, Ec2Model, Placement};
use wakecast_local::media::Faults;
use wakecast_local::random::Span;

use crate::sim::setting;
use crate::sim::world::Surroundings;

/// By then a media server that is back is noticed and proved: two ticks, a lock that a crash left
/// behind, and calls that fail on the way.
const NOTICED: Duration = Duration::from_mins(4);

/// A stage that has not come by then is not waited for: the world must come to rest.
const LATEST: Duration = Duration::from_mins(45);

/// Row writes that a hot partition refuses, in per mille: most, not all.
const HOT: u64 = 900;

/// One thing that befalls the cloud.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// EC2 has no room for new instances.
    NoCapacity {
        /// In one zone, or in all.
        one_zone: bool,
        /// For how long.
        lasts: Duration,
    },
    /// EC2 fails at the next calls of one name.
    Ec2 {
        /// Which.
        call: CallName,
        /// How.
        fault: CallFault,
        /// How many.
        times: u32,
    },
    /// Media servers say nothing any more.
    MediaHangs {
        /// For how long.
        lasts: Duration,
    },
    /// Media servers crash and come back by themselves.
    MediaCrashes {
        /// After this time.
        back_after: Duration,
    },
    /// The next boot is slow.
    SlowBoot {
        /// This slow.
        percent: u32,
    },
    /// The next boot loses its settings.
    LostSettings,
    /// Somebody terminates an instance.
    Terminated,
    /// Somebody stops an instance.
    StoppedOutside,
    /// Somebody starts an instance that is stopped.
    StartedOutside,
    /// An operator holds an instance.
    Held {
        /// For how long.
        lasts: Duration,
    },
    /// The next boot goes wrong in EC2.
    OddBoot(BootFault),
    /// EC2 tells late what it has done.
    LaggingDescribe {
        /// For how long.
        lasts: Duration,
    },
    /// The next stop does not end.
    StuckStop,
    /// Somebody puts an instance of their own into the fleet.
    SecondInstance {
        /// It runs, or is stopped.
        runs: bool,
    },
    /// The table refuses most row writes: a hot partition.
    HotRows {
        /// For how long.
        lasts: Duration,
    },
}

/// A trouble and its time.
#[derive(Clone, Copy, Debug)]
pub struct Timed {
    /// Its number among those of the plan.
    pub number: u64,
    /// Not before.
    pub at: Timestamp,
    /// Only once an instance stands there …
    pub upon: Option<Stage>,
    /// … for so long.
    pub delay: Duration,
    /// What.
    pub trouble: Trouble,
}

/// Where the newest instance stands, as its record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the name of an `InstanceStatus`")]
pub enum Stage {
    Booting,
    Ready,
    Recovering,
    Draining,
    Stopping,
    Failing,
    Stopped,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 7] = [
        Self::Booting,
        Self::Ready,
        Self::Recovering,
        Self::Draining,
        Self::Stopping,
        Self::Failing,
        Self::Stopped,
    ];

    /// Reads it off a record; one that is gone stands nowhere.
    #[must_use]
    pub fn of(status: &InstanceStatus) -> Option<Self> {
        Some(match status {
            InstanceStatus::Booting => Self::Booting,
            InstanceStatus::Ready => Self::Ready,
            InstanceStatus::Recovering { .. } => Self::Recovering,
            InstanceStatus::Draining { .. } => Self::Draining,
            InstanceStatus::Stopping { failed: false, .. } => Self::Stopping,
            InstanceStatus::Stopping { failed: true, .. } => Self::Failing,
            InstanceStatus::Stopped => Self::Stopped,
            InstanceStatus::Gone => return None,
        })
    }
}

impl Timed {
    pub(super) async fn befall(self, around: Surroundings) {
        let clock = around.clock.clone();
        clock.sleep(clock.true_now().until(self.at)).await;
        if let Some(stage) = self.upon {
            if !wait_for(&around, stage).await {
                return;
            }
            clock.sleep(self.delay).await;
        }
        around.timeline.say("trouble", self.trouble.to_string());
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
            Trouble::Terminated => by_hand(&around, |model, now| {
                if let Some(id) = some_instance(model) {
                    model.terminate(now, &id);
                }
            }),
            Trouble::StoppedOutside => by_hand(&around, |model, now| {
                // An instance that cannot be stopped now is left alone, as a console would.
                let _ = some_instance(model).map(|id| model.stop_outside(now, &id));
            }),
            Trouble::StartedOutside => by_hand(&around, |model, now| {
                let stopped = |state| state == Ec2State::Stopped;
                let found = model.instances().find(|truth| stopped(truth.state));
                let id = found.map(|truth| truth.id.clone());
                let _ = id.map(|id| model.start(now, &id));
            }),
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
            Trouble::SecondInstance { runs } => {
                let offering = around.config.offerings.first().cloned();
                let state = if runs {
                    Ec2State::Running
                } else {
                    Ec2State::Stopped
                };
                by_hand(&around, |model, now| {
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
            Trouble::HotRows { lasts } => {
                // Whoever waits for a row to change waits that much longer, as after a crash.
                around.broken_run();
                around.observer.rows_refused(true);
                around.hot_rows.store(HOT, Ordering::Relaxed);
                clock.sleep(lasts).await;
                around.hot_rows.store(0, Ordering::Relaxed);
                around.observer.rows_refused(false);
                around.broken_run();
            }
        }
    }
}

/// Waits until the newest instance stands there. Returns whether it does.
async fn wait_for(around: &Surroundings, stage: Stage) -> bool {
    let end = setting::START + LATEST;
    while around.clock.true_now() < end {
        let status = around.glance().await;
        if status.as_ref().and_then(Stage::of) == Some(stage) {
            return true;
        }
    }
    false
}

/// Somebody else does something in EC2.
fn by_hand(around: &Surroundings, act: impl FnOnce(&mut Ec2Model, Timestamp)) {
    let ec2 = &around.ec2;
    // What is due at this moment is nobody else's doing.
    ec2.with(|_, _| ());
    around.observer.by_another_hand(|| ec2.with(act));
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

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: &Duration| format!("{} s", time.as_secs_f64());
        match self {
            Self::NoCapacity { one_zone, lasts } => {
                let place = if *one_zone { "one zone" } else { "every zone" };
                write!(f, "no capacity in {place} for {}", seconds(lasts))
            }
            Self::Ec2 { call, fault, times } => {
                let call = format!("{call:?}").to_lowercase();
                let how = match fault {
                    CallFault::Throttled => "throttled",
                    CallFault::LostRequest => "lost on the way to EC2",
                    CallFault::LostReply => "lost on the way back",
                    CallFault::Quota => "refused for a quota",
                    CallFault::Config => "refused as misconfigured",
                    CallFault::Auth => "refused for a permission",
                };
                write!(f, "the next {times} calls of {call} are {how}")
            }
            Self::MediaHangs { lasts } => {
                write!(f, "media servers say nothing for {}", seconds(lasts))
            }
            Self::MediaCrashes { back_after } => {
                let after = seconds(back_after);
                write!(f, "media servers crash and restart after {after}")
            }
            Self::SlowBoot { percent } => write!(f, "the next boot takes {percent} % of its time"),
            Self::LostSettings => f.write_str("the next boot loses its settings"),
            Self::Terminated => f.write_str("somebody terminates an instance"),
            Self::StoppedOutside => f.write_str("somebody stops an instance"),
            Self::StartedOutside => f.write_str("somebody starts a stopped instance"),
            Self::Held { lasts } => write!(f, "an operator holds it for {}", seconds(lasts)),
            Self::OddBoot(BootFault::StaysPending) => f.write_str("the next boot stays pending"),
            Self::OddBoot(BootFault::FallsBack) => f.write_str("the next boot falls back"),
            Self::LaggingDescribe { lasts } => {
                write!(f, "EC2 tells everything late for {}", seconds(lasts))
            }
            Self::StuckStop => f.write_str("the next stop does not end"),
            Self::SecondInstance { runs: true } => f.write_str("somebody runs a second instance"),
            Self::SecondInstance { runs: false } => {
                f.write_str("somebody leaves a stopped instance in the fleet")
            }
            Self::HotRows { lasts } => {
                let time = seconds(lasts);
                write!(f, "the table refuses most row writes for {time}")
            }
        }
    }
}
