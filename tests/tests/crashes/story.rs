//! The story: a cold start, a stream, a drain, a stop, and somebody who asks while it stops.

use std::time::Duration;

use wakecast_lambda::config::Timing;
use wakecast_local::ec2::Ec2Settings;
use wakecast_local::random::Span;
use wakecast_tests::sim::client::ClientSetup;
use wakecast_tests::sim::points::How;
use wakecast_tests::sim::process::Role;
use wakecast_tests::sim::setting;
use wakecast_tests::sim::users::{Leave, Moment, Part, Wish};
use wakecast_tests::sim::world::{Surroundings, World};

/// How the fleet is reached, which changes what is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fleet {
    /// At the instance's own address.
    Direct,
    /// Behind an Elastic IP.
    Elastic,
}

/// What happens where.
pub(crate) type Plan = Vec<(Role, usize, How)>;

/// Longer than the story takes with anything that is planned here.
const LONGEST: Duration = Duration::from_mins(40);
const STEP: Duration = Duration::from_secs(1);

/// One way the story went.
pub(crate) struct Told {
    world: World,
    people: Vec<String>,
    plan: Plan,
    fleet: Fleet,
}

/// Plays the story with what is planned.
pub(crate) fn play(fleet: Fleet, plan: &Plan) -> Told {
    play_with(fleet, plan, |_| None)
}

/// Plays the story in a world that is changed before anything happens. `change` names who else
/// comes.
pub(crate) fn play_with(
    fleet: Fleet,
    plan: &Plan,
    change: impl FnOnce(&mut World) -> Option<&'static str>,
) -> Told {
    let mut config = setting::config();
    config.timing = Timing {
        // A minute of ticks that find the lock of the dead taken shows nothing new.
        tick: STEP * 3,
        ..Timing::demonstration()
    };
    if fleet == Fleet::Elastic {
        config.endpoint = setting::elastic();
    }
    // What EC2 does takes a moment and no more: it is the calls that are counted.
    let ec2 = Ec2Settings {
        pending: Span::millis(800, 1_500),
        stopping: Span::millis(2_500, 4_000),
        describe_lag: Span::millis(100, 400),
        ..Ec2Settings::default()
    };
    let mut world = World::new(1, config, ec2);
    for (role, number, how) in plan {
        world.points().plan(*role, *number, *how);
    }
    let more = change(&mut world);
    let people: Vec<_> = ["ada", "bob"]
        .into_iter()
        .chain(more)
        .map(str::to_owned)
        .collect();
    world.person(ClientSetup::named("ada"), part("one", None));
    world.person(
        ClientSetup::named("bob"),
        part("two", Some(Moment::Stopped)),
    );
    let end = world.around().clock.true_now() + LONGEST;
    while !over(world.around(), people.len()) && world.around().clock.true_now() < end {
        world.run_for(STEP);
    }
    // What was under way when all seemed over.
    world.run_for(STEP * 5);
    let plan = plan.clone();
    Told {
        world,
        people,
        plan,
        fleet,
    }
}

fn part(stream: &str, moment: Option<Moment>) -> Part {
    Part {
        wish: Wish::Publish,
        stream: stream.to_owned(),
        at: setting::START + Duration::from_millis(300),
        moment,
        patience: Duration::from_mins(10),
        stay: Duration::from_secs(4),
        leave: Leave::Release,
    }
}

fn over(around: &Surroundings, people: usize) -> bool {
    let notes = around.notes();
    let ended: u64 = notes.outcomes.values().sum();
    let answered = notes.served.len() + usize::try_from(ended).unwrap_or(usize::MAX);
    answered >= people && around.boots() >= 2 && around.rests()
}

impl Told {
    /// The calls of a function, in their order.
    pub(crate) fn calls(&self, role: Role) -> Vec<&'static str> {
        self.world.points().passed(role)
    }

    /// How many calls of `other` went before this call of `role`.
    pub(crate) fn calls_before(&self, role: Role, number: usize, other: Role) -> usize {
        self.world.points().passed_before(role, number, other)
    }

    /// Everything that was planned has happened, every law held, everybody was served, and the
    /// server was stopped.
    pub(crate) fn ended_well(&self) {
        let Self {
            world,
            people,
            plan,
            fleet,
        } = self;
        let around = world.around();
        let told = |what: &str| format!("{fleet:?} {plan:?}: {what}\n{}", around.timeline);
        assert_eq!(
            world.points().met(),
            plan.len(),
            "{}",
            told("not all of it has happened")
        );
        let violations = around.timeline.violations();
        assert!(
            violations.is_empty(),
            "{}",
            told(&format!("{violations:?}"))
        );
        let served = around.notes().served;
        let all = people.iter().all(|name| served.contains(name));
        assert!(all, "{}", told(&format!("only {served:?} were served")));
        assert!(around.rests(), "{}", told("a server runs on"));
    }
}
