//! A client of a world: the real machine, driven by the world's clock and network.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::channel::oneshot;
use futures::future::{self, AbortHandle, Either};
use futures::stream::StreamExt;
use wakecast::machine::{
    Acquire, Answer, Config, ConnectionState, Effect, Event, Input, LeaseChange, LeaseStatus,
    Machine, Output, RequestKey, Seed, TokenFailure, TokenReason,
};
use wakecast::protocol::Endpoint;
use wakecast::{Error, Instant};
use wakecast_lambda::model::Timestamp;

use super::chance::Chance;
use super::executor::Tasks;
use super::farm::FromServer;
use super::laws::ClientLaws;
use super::setting;
use super::world::Surroundings;
use crate::judge::Fact;

/// How unkind a token provider is, in per mille.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProviderFaults {
    /// It fails.
    pub fails: u64,
    /// It never answers.
    pub hangs: u64,
    /// It answers with a token that the gateway refuses.
    pub forges: u64,
    /// It answers nothing within this time of the client's life, and is late then.
    pub silent_between: Option<(Duration, Duration)>,
}

/// A running client. Cloning shares it; killing it drops the process in mid-air.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name in the timeline, and the subject of its tokens.
    pub name: String,
    inbox: UnboundedSender<Input>,
    view: Rc<RefCell<View>>,
    process: AbortHandle,
    around: Surroundings,
}

#[derive(Debug, Default)]
struct View {
    state: Option<ConnectionState>,
    next_key: u64,
    waiting: BTreeMap<RequestKey, oneshot::Sender<Result<Answer, Error>>>,
    leases: BTreeMap<String, Vec<LeaseChange>>,
    statuses: BTreeMap<String, LeaseStatus>,
    phases: Vec<String>,
}

/// What a client is started with.
#[derive(Clone, Debug)]
pub struct ClientSetup {
    /// Its name; also the subject of its tokens unless `subject` says otherwise.
    pub name: String,
    /// The subject, for two clients of one subject.
    pub subject: Option<String>,
    /// Named to the server, for a process that restarts.
    pub client_id: Option<String>,
    /// The life of its tokens.
    pub token_life: Duration,
    /// Its provider's faults.
    pub provider: ProviderFaults,
}

impl ProviderFaults {
    /// Tells whether anything is wrong with the provider.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.fails + self.hangs + self.forges > 0 || self.silent_between.is_some()
    }
}

impl ClientSetup {
    /// A client with tokens of an hour and a good provider.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            subject: None,
            client_id: None,
            token_life: Duration::from_hours(1),
            provider: ProviderFaults::default(),
        }
    }
}

impl Client {
    /// Starts a client's process.
    #[must_use]
    pub fn start(
        around: &Surroundings,
        tasks: &Tasks,
        setup: ClientSetup,
        mut chance: Chance,
    ) -> Self {
        let (inbox, inputs) = unbounded();
        let view = Rc::new(RefCell::new(View::default()));
        let mut config = Config::new("wakecast-sim/0").access_check(true);
        config.client_id = setup.client_id.clone();
        let mut seed = [0; 32];
        for chunk in seed.chunks_mut(8) {
            chunk.copy_from_slice(&chance.bits().to_le_bytes());
        }
        let driver = Driver {
            machine: around.guards.on_machine(Machine::new(config, Seed(seed))),
            laws: ClientLaws::new(setup.name.clone(), around),
            started: around.clock.true_now(),
            around: around.clone(),
            tasks: tasks.clone(),
            setup: setup.clone(),
            inbox: inbox.clone(),
            view: Rc::clone(&view),
            chance,
        };
        let process = tasks.spawn(driver.run(inputs));
        Self {
            name: setup.name,
            inbox,
            view,
            process,
            around: around.clone(),
        }
    }

    /// Hands the machine an input.
    pub fn give(&self, input: Input) {
        // A dead process hears nothing.
        let _ = self.inbox.unbounded_send(input);
    }

    /// Starts an acquire; the receiver gets its one outcome.
    pub fn acquire(
        &self,
        acquire: Acquire,
    ) -> (RequestKey, oneshot::Receiver<Result<Answer, Error>>) {
        self.ask(|key| Input::Acquire { key, acquire })
    }

    /// Asks for a lease's endpoint.
    pub fn endpoint(&self, lease: &str) -> oneshot::Receiver<Result<Answer, Error>> {
        self.ask(|key| Input::Endpoint {
            key,
            lease: lease.to_owned(),
        })
        .1
    }

    /// Gives a lease back.
    pub fn release(&self, lease: &str) -> oneshot::Receiver<Result<Answer, Error>> {
        self.ask(|key| Input::Release {
            key,
            lease: lease.to_owned(),
        })
        .1
    }

    /// Returns the connection state that was told last.
    #[must_use]
    pub fn state(&self) -> Option<ConnectionState> {
        self.view.borrow().state.clone()
    }

    /// Returns a lease's status as it was told last.
    #[must_use]
    pub fn lease_status(&self, lease: &str) -> Option<LeaseStatus> {
        self.view.borrow().statuses.get(lease).copied()
    }

    /// Returns what was told of a lease, in order.
    #[must_use]
    pub fn lease_changes(&self, lease: &str) -> Vec<LeaseChange> {
        self.view
            .borrow()
            .leases
            .get(lease)
            .cloned()
            .unwrap_or_default()
    }

    /// Returns the phases that were shown, in order and without repetitions.
    #[must_use]
    pub fn phases(&self) -> Vec<String> {
        self.view.borrow().phases.clone()
    }

    /// Kills the process: nothing is sent, its socket is reset.
    pub fn kill(&self) {
        self.around.timeline.say(&self.name, "is killed");
        let who = self.name.clone();
        self.around.observer.tell(&Fact::Killed { who });
        self.process.abort();
        self.around.network.reset_all(&self.name);
    }

    fn ask(
        &self,
        input: impl FnOnce(RequestKey) -> Input,
    ) -> (RequestKey, oneshot::Receiver<Result<Answer, Error>>) {
        let (sender, receiver) = oneshot::channel();
        let mut view = self.view.borrow_mut();
        view.next_key += 1;
        let key = RequestKey(view.next_key);
        view.waiting.insert(key, sender);
        drop(view);
        self.give(input(key));
        (key, receiver)
    }
}

struct Driver {
    machine: Machine,
    laws: ClientLaws,
    started: Timestamp,
    around: Surroundings,
    tasks: Tasks,
    setup: ClientSetup,
    inbox: UnboundedSender<Input>,
    view: Rc<RefCell<View>>,
    chance: Chance,
}

impl Driver {
    async fn run(mut self, mut inputs: UnboundedReceiver<Input>) {
        loop {
            let input = match self.machine.next_timeout() {
                None => inputs.next().await,
                Some((at, _)) => self.input_or_timer(&mut inputs, at).await,
            };
            let Some(input) = input else { return };
            let now = self.now();
            self.laws.before(now, &input, &self.machine);
            self.machine.handle(now, input);
            while let Some(output) = self.machine.poll() {
                self.laws.output(now, &output, &self.machine);
                match output {
                    Output::Effect(effect) => self.carry_out(effect),
                    Output::Event(event) => self.tell(event),
                    _ => {}
                }
            }
            self.laws.after(now, &self.machine);
            self.around.states(&mut self.laws.taken);
        }
    }

    async fn input_or_timer(
        &self,
        inputs: &mut UnboundedReceiver<Input>,
        at: Instant,
    ) -> Option<Input> {
        let wait = at.since(self.now());
        let timer = self.around.clock.sleep(wait);
        match future::select(inputs.next(), timer).await {
            Either::Left((input, _)) => input,
            Either::Right(((), _)) => Some(Input::Timeout),
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        let around = self.around.clone();
        let inbox = self.inbox.clone();
        match effect {
            Effect::OpenTransport { epoch, token, .. } => {
                around.network.open(&self.setup.name, epoch, token, inbox);
            }
            Effect::Send { epoch, text } => around.network.send(&self.setup.name, epoch, &text),
            Effect::CloseTransport { epoch, .. } => around.network.close(&self.setup.name, epoch),
            Effect::FetchToken { generation, reason } => {
                // A renewal every few minutes says nothing of a story: it is counted.
                if reason == TokenReason::Expiring {
                    around.renews();
                } else {
                    let text = format!("fetches a token: {reason:?}");
                    around.timeline.say(&self.setup.name, text);
                }
                let subject = self
                    .setup
                    .subject
                    .as_ref()
                    .unwrap_or(&self.setup.name)
                    .clone();
                let life = self.setup.token_life;
                let fails = self.chance.happens(self.setup.provider.fails);
                let hangs = self.chance.happens(self.setup.provider.hangs);
                let forges = self.chance.happens(self.setup.provider.forges);
                let delay = self.chance.millis(20..400) + self.silence();
                self.tasks.spawn(async move {
                    around.clock.sleep(delay).await;
                    if hangs {
                        return;
                    }
                    let input = if fails {
                        Input::TokenFailed {
                            generation,
                            failure: TokenFailure::new("scripted"),
                        }
                    } else {
                        let token = if forges {
                            setting::forged_token(&subject, around.clock.true_now() + life)
                        } else {
                            around.token(&subject, life)
                        };
                        Input::TokenReady {
                            generation,
                            token,
                            expires_in: Some(life),
                        }
                    };
                    let _ = inbox.unbounded_send(input);
                });
            }
            Effect::CheckAccess { check, token, .. } => {
                around.network.check_access(check, token, inbox)
            }
            Effect::Probe { probe, url, .. } => {
                let delay = self.chance.millis(10..120);
                self.tasks.spawn(async move {
                    around.clock.sleep(delay).await;
                    let result = prove(&around, &url);
                    let _ = inbox.unbounded_send(Input::ProbeResult { probe, result });
                });
            }
            _ => {}
        }
    }

    /// How long a silent provider still says nothing.
    fn silence(&self) -> Duration {
        let age = self.around.clock.true_now().since(self.started);
        match self.setup.provider.silent_between {
            Some((from, until)) if (from..until).contains(&age) => until - age,
            _ => Duration::ZERO,
        }
    }

    fn tell(&mut self, event: Event) {
        let mut view = self.view.borrow_mut();
        match event {
            Event::State(state) => {
                self.around
                    .timeline
                    .say(&self.setup.name, format!("is {}", brief(&state)));
                view.state = Some(state);
            }
            Event::Settled { key, result } => {
                let text = match &result {
                    Ok(Answer::Acquired { lease, .. }) => {
                        Some(format!("acquired {}", short(lease)))
                    }
                    // Asked for every few seconds by who waits for a stream: noise.
                    Ok(Answer::Endpoint(_)) => None,
                    Ok(_) => Some("released".to_owned()),
                    Err(error) => {
                        Some(format!("request {} ends: {}", key.0, error.code().as_str()))
                    }
                };
                if let Some(text) = text {
                    self.around.timeline.say(&self.setup.name, text);
                }
                if let Some(waiter) = view.waiting.remove(&key) {
                    let _ = waiter.send(result);
                }
            }
            Event::Progress { progress, .. } => {
                let phase = progress.phase.as_str().to_owned();
                if view.phases.last() != Some(&phase) {
                    self.around
                        .timeline
                        .say(&self.setup.name, format!("sees {phase}"));
                    view.phases.push(phase);
                }
            }
            Event::Lease {
                lease,
                status,
                change,
            } => {
                let text = format!("lease {} is {status:?}", short(&lease));
                self.around.timeline.say(&self.setup.name, text);
                view.statuses.insert(lease.clone(), status);
                view.leases.entry(lease).or_default().push(change);
            }
            _ => {}
        }
    }

    fn now(&self) -> Instant {
        let millis = self.around.clock.true_now().since(self.started).as_millis();
        Instant::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }
}

/// Reaches an endpoint as the SDK does: one `ping` answered by `pong`.
fn prove(around: &Surroundings, url: &str) -> Result<(), String> {
    let endpoint = Endpoint {
        websocket_url: url.to_owned(),
        http_url: String::new(),
        app: String::new(),
        stream_token: None,
        stream_token_expires_in_ms: None,
    };
    let mut socket = around.farm.open(&endpoint).ok_or("connection refused")?;
    socket.send(r#"{"command":"ping"}"#);
    match socket.inbox.try_recv() {
        Ok(FromServer::Text(text)) if text.contains("pong") => Ok(()),
        _ => Err("no pong".to_owned()),
    }
}

fn brief(state: &ConnectionState) -> String {
    match state {
        ConnectionState::Connected { .. } => "connected".to_owned(),
        ConnectionState::Connecting { stage } => format!("connecting: {stage:?}"),
        ConnectionState::Reconnecting {
            attempt,
            retry_in,
            reason,
        } => {
            format!(
                "reconnecting: attempt {attempt} in {} ms, {reason:?}",
                retry_in.as_millis()
            )
        }
        ConnectionState::Failed { error } => format!("failed: {}", error.code().as_str()),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// The first eight characters of an id: enough to tell two apart in a timeline.
pub(super) fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
