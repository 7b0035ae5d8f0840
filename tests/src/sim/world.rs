//! One world: its clock, its cloud, its people, and the hands that hurt it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::future::{AbortHandle, BoxFuture};
use futures::stream::StreamExt;
use wakecast::machine::StateKind;
use wakecast::{ErrorCode, Secret};
use wakecast_lambda::config::{FleetConfig, LinkCaps};
use wakecast_lambda::lifecycle::Transition;
use wakecast_lambda::media::server_token;
use wakecast_lambda::model::{Instance, InstanceStatus, RowState, Timestamp};
use wakecast_lambda::ports::{Ec2State, Store};
use wakecast_lambda::store::memory::MemoryStore;
use wakecast_local::ec2::{Ec2Model, Ec2Settings, SimulatedEc2};

use super::chance::Chance;
use super::client::{Client, ClientSetup};
use super::containers::Function;
use super::executor::{Runtime, Tasks, VirtualClock};
use super::farm::Farm;
use super::functions::{
    Alarm, Call, Container, Runner, Steps, gateway_function, reconciler_function, tick,
};
use super::guards::Guards;
use super::network::{Network, NetworkFaults};
use super::observer::{self, Observer};
use super::points::Points;
use super::process::{CallFaults, Host, Role};
use super::setting;
use super::shards::{self, Shards};
use super::timeline::Timeline;
use super::users::{self, Part};

/// How finely [`World::run_until`] looks: shorter than any call, so that no step is missed.
const STEP: Duration = Duration::from_millis(1);

/// How often those look who wait for a stage of an instance: most stages last for seconds.
const GLANCE: Duration = Duration::from_millis(200);

/// What everybody in a world can reach.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The one clock.
    pub clock: VirtualClock,
    /// The story.
    pub timeline: Timeline,
    /// The network and the API Gateway.
    pub network: Network,
    /// The media servers.
    pub farm: Farm,
    /// The table, as anyone.
    pub store: MemoryStore,
    /// EC2.
    pub ec2: Arc<SimulatedEc2>,
    /// The fleet's settings.
    pub config: Arc<FleetConfig>,
    /// What sees all that truly happens.
    pub observer: Observer,
    /// How many row writes the table refuses now, in per mille: a hot partition refuses everybody.
    pub hot_rows: Arc<AtomicU64>,
    /// What the gateway lets one subject connect; to be set before anybody does.
    pub links: Rc<Cell<LinkCaps>>,
    /// The rules in force.
    pub guards: Guards,
    pub(super) notes: Rc<RefCell<Notes>>,
    glanced: Rc<RefCell<Glanced>>,
}

/// The last look at where the newest instance stands, and when it was.
type Glanced = Option<(Timestamp, Option<InstanceStatus>)>;

/// What is counted while a world moves.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// Who was given an endpoint.
    pub served: BTreeSet<String>,
    /// How acquires ended otherwise.
    pub outcomes: BTreeMap<String, u64>,
    /// Reconcile runs.
    pub runs: u64,
    /// Until when a cut media socket proves nothing: the world itself cut it.
    pub excused_until: Timestamp,
    /// Launches and starts of instances.
    pub boots: u64,
    /// Tokens that were asked for since the last one was about to end.
    pub renewals: u64,
    /// Nothing is made to go wrong in this world.
    pub kind: bool,
    /// Changes of connection state that clients took.
    pub states: BTreeSet<(StateKind, StateKind)>,
}

/// A world that can be run.
#[derive(Debug)]
pub struct World {
    runtime: Runtime,
    tasks: Tasks,
    around: Surroundings,
    chance: Chance,
    steps: Arc<Steps>,
    hands: Rc<RefCell<Hands>>,
    reconciler: Rc<Function<Container>>,
    runs: Rc<RefCell<Vec<AbortHandle>>>,
    wakes: Arc<Alarm>,
    points: Points,
    ahead: BTreeMap<Role, Arc<Mutex<Range<u64>>>>,
    seed: u64,
    /// How many clients of each name were started.
    clients: BTreeMap<String, u64>,
}

/// The faults in force for reconcilers and wakes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hands {
    /// Faults of a reconciler's calls.
    pub reconciler: CallFaults,
    /// A wake is lost, in per mille.
    pub wake_lost: u64,
    /// A wake starts two runs, in per mille.
    pub wake_twice: u64,
}

impl World {
    /// Builds a world of one fleet from a seed.
    #[must_use]
    pub fn new(seed: u64, config: FleetConfig, ec2: Ec2Settings) -> Self {
        Self::guarded(seed, config, ec2, Guards::default())
    }

    /// Builds a world in which these guards are on.
    #[must_use]
    pub fn guarded(seed: u64, config: FleetConfig, ec2: Ec2Settings, guards: Guards) -> Self {
        let runtime = Runtime::new(setting::START);
        let (clock, tasks) = (runtime.clock(), runtime.tasks());
        let mut chance = Chance::from_seed(seed);
        let timeline = Timeline::new(clock.clone());
        let observer = Observer::new(clock.clone(), timeline.clone(), &config);
        let network = Network::new(
            clock.clone(),
            tasks.clone(),
            timeline.clone(),
            chance.fork(),
        );
        let token = server_token(
            &setting::server_secret(),
            setting::START + Duration::from_hours(9_000),
        );
        let token = token
            .map(|token| token.expose().to_owned())
            .unwrap_or_default();
        let farm = Farm::new(
            clock.clone(),
            timeline.clone(),
            observer.clone(),
            setting::installed(chance.bits()),
            token,
        );
        let mut model = Ec2Model::new(ec2, chance.bits(), farm.machines());
        if config.endpoint.elastic {
            model.allocate_elastic(&setting::fleet(), setting::ELASTIC_HOST);
        }
        let around = Surroundings {
            timeline,
            network,
            farm,
            store: guards.on_store(MemoryStore::new()),
            ec2: Arc::new(SimulatedEc2::new(
                setting::STACK,
                Arc::new(clock.clone()),
                model,
            )),
            config: Arc::new(config),
            observer,
            hot_rows: Arc::default(),
            links: Rc::default(),
            guards,
            notes: Rc::default(),
            glanced: Rc::default(),
            clock,
        };
        let (wakes, requests) = unbounded();
        let wakes = Arc::new(Alarm(wakes));
        let steps = Arc::new(Steps::default());
        let (travel, travellers) = unbounded();
        let points = Points::default();
        let ahead = [Role::Gateway, Role::Reconciler];
        let ahead = ahead.map(|role| (role, Arc::<Mutex<Range<u64>>>::default()));
        let ahead = BTreeMap::from(ahead);
        let base = |role| {
            let host = Host {
                role,
                clock: around.clock.clone(),
                observer: around.observer.clone(),
                points: points.clone(),
                travel: travel.clone(),
                ahead: ahead.get(&role).cloned().unwrap_or_default(),
                hot_rows: Arc::clone(&around.hot_rows),
            };
            (host, tasks.clone())
        };
        let (own, alarm) = (chance.fork(), Arc::clone(&wakes));
        let gateway = gateway_function(&around, base(Role::Gateway), own, alarm);
        around.network.install(gateway);
        let (shards, errands) = Shards::new(seed, &guards);
        let (own, taken) = (chance.fork(), Arc::clone(&steps));
        let reconciler = reconciler_function(&around, base(Role::Reconciler), own, taken, shards);
        let reconciler = Rc::new(reconciler);
        tasks.spawn(let_travel(tasks.clone(), travellers));
        let hands: Rc<RefCell<Hands>> = Rc::default();
        tasks.spawn(shards::serve(
            around.clone(),
            base(Role::Fanout),
            Rc::clone(&hands),
            Chance::of(seed, "the fan-out"),
            errands,
        ));
        let world = Self {
            runtime,
            tasks,
            chance,
            steps,
            hands,
            reconciler,
            runs: Rc::default(),
            wakes,
            points,
            ahead,
            around,
            seed,
            clients: BTreeMap::new(),
        };
        world.start(requests);
        world
    }

    /// Returns what everybody can reach.
    #[must_use]
    pub fn around(&self) -> &Surroundings {
        &self.around
    }

    /// Starts a client. Its own chance comes from its name, so that a world without its neighbour
    /// is the same world to it.
    pub fn client(&mut self, setup: ClientSetup) -> Client {
        let nth = self.clients.entry(setup.name.clone()).or_insert(0_u64);
        *nth += 1;
        let chance = Chance::of(self.seed, &format!("{} {nth}", setup.name));
        Client::start(&self.around, &self.tasks, setup, chance)
    }

    /// Starts a client with somebody behind it.
    pub fn person(&mut self, setup: ClientSetup, part: Part) -> Client {
        let client = self.client(setup);
        self.tasks
            .spawn(users::live(self.around.clone(), client.clone(), part));
        client
    }

    /// Runs a task of the world's own.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.tasks.spawn(task);
    }

    /// Sets the faults of reconcilers and wakes.
    pub fn set_hands(&self, hands: Hands) {
        *self.hands.borrow_mut() = hands;
    }

    /// Returns a handle on the faults of reconcilers and wakes, for a task of the world.
    #[must_use]
    pub fn hands(&self) -> Rc<RefCell<Hands>> {
        Rc::clone(&self.hands)
    }

    /// Sets the faults of network and gateway function.
    pub fn set_network(&self, network: NetworkFaults, calls: CallFaults) {
        self.around.network.set_faults(network, calls);
    }

    /// Kills every reconcile run where it stands.
    pub fn crash_reconcilers(&self) {
        self.around.timeline.say("reconciler", "is killed");
        self.around.observer.crashed();
        for run in self.runs.borrow_mut().drain(..) {
            run.abort();
        }
    }

    /// Returns the points at which processes can be made to crash.
    #[must_use]
    pub fn points(&self) -> &Points {
        &self.points
    }

    /// Lets the clocks of containers be up to this far apart. To be called before the first of them
    /// starts.
    pub fn skew_clocks(&self, apart: Duration) {
        let most = u64::try_from(apart.as_millis()).unwrap_or(u64::MAX);
        for role in [Role::Gateway, Role::Reconciler] {
            self.set_clocks(role, 0..most.saturating_add(1));
        }
        self.around
            .observer
            .clocks_apart(&self.around.config, apart);
    }

    /// Lets the clocks of one function's containers be ahead by this many milliseconds.
    fn set_clocks(&self, role: Role, ahead: Range<u64>) {
        if let Some(range) = self.ahead.get(&role) {
            *range.lock().unwrap_or_else(PoisonError::into_inner) = ahead;
        }
    }

    /// Lets all clocks of one function be this much ahead of the other's. To be called before the
    /// first container starts.
    pub fn put_ahead(&self, role: Role, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.set_clocks(role, by..by.saturating_add(1));
        let apart = Duration::from_millis(by);
        self.around
            .observer
            .clocks_apart(&self.around.config, apart);
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.around.clock.true_now() + duration;
        self.runtime.run_until(end);
    }

    /// Lets time pass until `done` holds, for `limit` at most. Returns whether it holds.
    pub fn run_until(&mut self, limit: Duration, done: impl Fn(&Surroundings) -> bool) -> bool {
        let end = self.around.clock.true_now() + limit;
        while !done(&self.around) {
            if self.around.clock.true_now() >= end {
                return false;
            }
            self.run_for(STEP);
        }
        true
    }

    /// Returns the transitions of instances that were taken.
    #[must_use]
    pub fn transitions(&self) -> BTreeSet<Transition> {
        self.steps.taken()
    }

    fn start(&self, requests: UnboundedReceiver<Call>) {
        let ec2 = Arc::clone(&self.around.ec2);
        self.tasks.spawn(async move { ec2.drive().await });
        self.tasks.spawn(self.around.farm.clone().drive());
        self.tasks.spawn(observer::watch(self.around.clone()));
        self.tasks
            .spawn(tick(self.around.clone(), Arc::clone(&self.wakes)));
        let runner = Runner {
            around: self.around.clone(),
            tasks: self.tasks.clone(),
            hands: Rc::clone(&self.hands),
            function: Rc::clone(&self.reconciler),
            chance: self.chance.clone().fork(),
            runs: Rc::clone(&self.runs),
        };
        self.tasks.spawn(runner.serve(requests));
    }
}

/// The network's function holds the network: without this a world would never be freed, and a
/// million of them would fill the memory.
impl Drop for World {
    fn drop(&mut self) {
        self.around.network.uninstall();
    }
}

impl Surroundings {
    /// Mints a client token, as the app's own backend does.
    #[must_use]
    pub fn token(&self, subject: &str, life: Duration) -> Secret {
        setting::client_token(subject, self.clock.true_now() + life)
    }

    /// Returns the record of the one instance that the reconciler knows best: the newest boot.
    #[must_use]
    pub fn instance(&self) -> Option<Instance> {
        let instances = self
            .store
            .instances(&setting::fleet())
            .now_or_never()?
            .ok()?;
        instances
            .into_iter()
            .max_by_key(|instance| instance.boot.as_ref().map(|boot| boot.id))
    }

    /// Waits for the next moment in which those look who wait for a stage of the newest instance, and
    /// returns where it stands then. All look in the same moments, so that one look serves them.
    pub async fn glance(&self) -> Option<InstanceStatus> {
        let now = self.clock.true_now();
        let past = now.since(setting::START).as_millis() % GLANCE.as_millis();
        let rest = GLANCE - Duration::from_millis(u64::try_from(past).unwrap_or(0));
        self.clock.sleep(rest).await;
        let now = self.clock.true_now();
        let known = self.glanced.borrow().clone();
        if let Some((_, status)) = known.filter(|(at, _)| *at == now) {
            return status;
        }
        let status = self.instance().map(|instance| instance.status);
        *self.glanced.borrow_mut() = Some((now, status.clone()));
        status
    }

    /// Returns how often EC2 truly started or launched an instance.
    #[must_use]
    pub fn boots(&self) -> u64 {
        self.ec2
            .with(|model, _| model.instances().map(|truth| u64::from(truth.starts)).sum())
    }

    /// Returns how many rows wait.
    #[must_use]
    pub fn waiters(&self) -> usize {
        let rows = self
            .store
            .rows(&setting::fleet(), self.clock.true_now())
            .now_or_never();
        let rows = rows.and_then(Result::ok).unwrap_or_default();
        rows.iter()
            .filter(|row| matches!(row.state, RowState::Waiting { .. }))
            .count()
    }

    /// Tells whether the newest boot has come to the server's own start.
    #[must_use]
    pub fn warming(&self) -> bool {
        let boot = self.instance().and_then(|instance| instance.boot);
        boot.is_some_and(|boot| boot.live_at.is_some())
    }

    /// Tells whether EC2 has accepted a stop that has not ended yet.
    #[must_use]
    pub fn stop_accepted(&self) -> bool {
        self.ec2.with(|model, _| {
            let mut all = model.instances();
            all.any(|truth| truth.state == Ec2State::Stopping)
        })
    }

    /// Tells whether every instance stands still.
    #[must_use]
    pub fn rests(&self) -> bool {
        self.ec2.with(|model, _| {
            let mut all = model.instances();
            all.all(|truth| matches!(truth.state, Ec2State::Stopped | Ec2State::Terminated))
        })
    }

    /// Declares a world in which nothing is made to go wrong.
    pub fn declare_kind(&self) {
        self.notes.borrow_mut().kind = true;
    }

    /// Notes that somebody was given an endpoint.
    pub fn served(&self, name: &str) {
        self.notes.borrow_mut().served.insert(name.to_owned());
    }

    /// Notes how an acquire ended without a lease.
    pub fn outcome(&self, code: &ErrorCode) {
        *self
            .notes
            .borrow_mut()
            .outcomes
            .entry(code.as_str().to_owned())
            .or_default() += 1;
    }

    /// Notes that the world itself cuts or hides media servers until then.
    pub fn excuse_until(&self, until: Timestamp) {
        let mut notes = self.notes.borrow_mut();
        notes.excused_until = notes.excused_until.max(until);
        drop(notes);
        self.observer.excuse_until(until);
    }

    /// Tells whether a cut media socket proves nothing now: the world itself cut it, or a media
    /// server that crashed by itself is not back yet.
    #[must_use]
    pub fn excused(&self) -> bool {
        self.clock.true_now() < self.notes.borrow().excused_until || self.farm.comes_back()
    }

    /// Returns what was counted so far.
    #[must_use]
    pub fn notes(&self) -> Notes {
        let mut notes = self.notes.borrow().clone();
        notes.boots = self.observer.boots();
        notes
    }

    /// Counts a token that is asked for since the last one is about to end.
    pub fn renews(&self) {
        self.notes.borrow_mut().renewals += 1;
    }

    /// Notes changes of connection state.
    pub fn states(&self, taken: &mut BTreeSet<(StateKind, StateKind)>) {
        self.notes.borrow_mut().states.append(taken);
    }

    /// Notes that a run of the reconciler is as good as dead.
    pub(super) fn broken_run(&self) {
        self.observer.crashed();
    }
}

/// Lets requests that have left travel by themselves.
async fn let_travel(tasks: Tasks, mut travellers: UnboundedReceiver<BoxFuture<'static, ()>>) {
    while let Some(request) = travellers.next().await {
        tasks.spawn(request);
    }
}
