//! The network between clients and the gateway, and the API Gateway itself, on virtual time.

mod links;
mod upgrades;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use serde_json::Value;
use wakecast::Secret;
use wakecast::machine::{AccessAnswer, CheckId, Epoch, Input, Refusal, TransportEnd};
use wakecast_lambda::gateway::Gateway;
use wakecast_lambda::model::{ConnectionId, Timestamp};
use wakecast_lambda::ports::Connections;
use wakecast_local::gateway::{Bucket, Limits};

use super::chance::Chance;
use super::containers::{Function, Invocation};
use super::events;
use super::executor::{Tasks, VirtualClock};
use super::process::CallFaults;
use super::timeline::Timeline;
use links::{Link, LinkState, Links, Posts};

pub use upgrades::Upgrades;

/// How unkind the network is, in per mille.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetworkFaults {
    /// An upgrade is lost on the way: the client sees that the host is unreachable.
    pub connect_fails: u64,
    /// A frame meets a broken link: both sides see a reset.
    pub cut: u64,
    /// A frame makes its link a black hole: it stays open and nothing passes.
    pub black_hole: u64,
    /// A frame takes seconds.
    pub slow: u64,
    /// A message reaches the function twice.
    pub twice: u64,
    /// Two pushes change places.
    pub reorder: u64,
    /// `$disconnect` is never delivered.
    pub no_disconnect: u64,
    /// A link that the client has closed is told as closed seconds later, as in a browser.
    pub late_close: u64,
}

/// The network of a world. Cloning shares it.
#[derive(Clone)]
pub struct Network {
    shared: Rc<RefCell<Local>>,
    links: Links,
    function: Rc<RefCell<Option<Rc<Function<Gateway>>>>>,
    limits: Limits,
    clock: VirtualClock,
    tasks: Tasks,
    timeline: Timeline,
}

struct Local {
    chance: Chance,
    faults: NetworkFaults,
    calls: CallFaults,
    next_link: u64,
    bucket: Bucket,
    upgrades: Upgrades,
    by_epoch: BTreeMap<(String, Epoch), ConnectionId>,
}

impl Network {
    /// Builds a network without a gateway function yet.
    #[must_use]
    pub fn new(clock: VirtualClock, tasks: Tasks, timeline: Timeline, chance: Chance) -> Self {
        let limits = Limits::default();
        let local = Local {
            chance,
            faults: NetworkFaults::default(),
            calls: CallFaults::default(),
            next_link: 0,
            bucket: Bucket::full(
                limits.connects_per_second,
                limits.connect_burst,
                clock.true_now(),
            ),
            upgrades: Upgrades::default(),
            by_epoch: BTreeMap::new(),
        };
        Self {
            shared: Rc::new(RefCell::new(local)),
            links: Links::default(),
            function: Rc::default(),
            limits,
            clock,
            tasks,
            timeline,
        }
    }

    /// Installs the gateway function.
    pub fn install(&self, function: Function<Gateway>) {
        *self.function.borrow_mut() = Some(Rc::new(function));
    }

    /// Takes the gateway function away: nothing is invoked any more.
    pub fn uninstall(&self) {
        self.function.borrow_mut().take();
    }

    /// Changes how unkind network and function calls are.
    pub fn set_faults(&self, faults: NetworkFaults, calls: CallFaults) {
        let mut local = self.shared.borrow_mut();
        local.faults = faults;
        local.calls = calls;
    }

    /// Returns how many upgrades have reached the gateway since the last call.
    #[must_use]
    pub fn take_upgrades(&self) -> Upgrades {
        std::mem::take(&mut self.shared.borrow_mut().upgrades)
    }

    /// Returns the `@connections` port.
    #[must_use]
    pub fn connections(&self) -> Arc<dyn Connections> {
        Arc::new(Posts(Arc::downgrade(&self.links.0)))
    }

    /// Opens a link for a client.
    pub fn open(&self, client: &str, epoch: Epoch, token: Secret, inbox: UnboundedSender<Input>) {
        let network = self.clone();
        let client = client.to_owned();
        self.tasks
            .spawn(async move { network.connect(client, epoch, token, inbox).await });
    }

    /// Sends a client's frame.
    pub fn send(&self, client: &str, epoch: Epoch, text: &Secret) {
        let Some(id) = self.link_of(client, epoch) else {
            return;
        };
        let (delay, cut, hole, twice) = {
            let mut local = self.shared.borrow_mut();
            let faults = local.faults;
            let slow = local.chance.happens(faults.slow);
            let delay = if slow {
                local.chance.millis(1_000..6_000)
            } else {
                local.chance.millis(5..80)
            };
            let cut = local.chance.happens(faults.cut);
            let hole = local.chance.happens(faults.black_hole);
            (delay, cut, hole, local.chance.happens(faults.twice))
        };
        if cut {
            self.timeline.say("network", format!("cuts {client}"));
            self.cut(&id);
            return;
        }
        let arrives = {
            let mut links = self.links.lock();
            let Some(link) = links.get_mut(&id) else {
                return;
            };
            if hole {
                self.timeline.say("network", format!("swallows {client}"));
                link.state = LinkState::BlackHole;
            }
            if link.state == LinkState::BlackHole {
                return;
            }
            // One TCP stream: what is sent later does not arrive earlier.
            link.up_free_at = link.up_free_at.max(self.clock.true_now() + delay);
            link.up_free_at
        };
        let network = self.clone();
        let text = text.expose().to_owned();
        self.tasks.spawn(async move {
            network
                .clock
                .sleep(network.clock.true_now().until(arrives))
                .await;
            if twice {
                network.spawn_message(id.clone(), text.clone());
            }
            network.spawn_message(id, text);
        });
    }

    /// Closes a client's link from its side.
    pub fn close(&self, client: &str, epoch: Epoch) {
        if let Some(id) = self.link_of(client, epoch) {
            self.tell_late(&id);
            self.forget(&id);
        }
    }

    fn tell_late(&self, id: &ConnectionId) {
        let late = {
            let mut local = self.shared.borrow_mut();
            let late_close = local.faults.late_close;
            // Without the chance nothing is drawn: other worlds stay what they are.
            let late = late_close > 0 && local.chance.happens(late_close);
            late.then(|| local.chance.millis(50..8_000))
        };
        let link = self.links.lock();
        let link = link.get(id).map(|link| (link.inbox.clone(), link.epoch));
        if let (Some(late), Some((inbox, epoch))) = (late, link) {
            let clock = self.clock.clone();
            self.tasks.spawn(async move {
                clock.sleep(late).await;
                let end = TransportEnd::Code(1000);
                let _ = inbox.unbounded_send(Input::TransportClosed { epoch, end });
            });
        }
    }

    /// Cuts every link of a client: it sees a reset.
    pub fn cut_client(&self, client: &str) {
        for id in self.links_of(client) {
            self.timeline.say("network", format!("cuts {client}"));
            self.cut(&id);
        }
    }

    /// Cuts every link of the world: all see a reset at once.
    pub fn cut_all(&self) {
        let all: Vec<_> = self.links.lock().keys().cloned().collect();
        self.timeline
            .say("network", format!("cuts {} links", all.len()));
        for id in all {
            self.cut(&id);
        }
    }

    /// Turns every link of a client into a black hole.
    pub fn swallow_client(&self, client: &str) {
        for id in self.links_of(client) {
            if let Some(link) = self.links.lock().get_mut(&id) {
                link.state = LinkState::BlackHole;
            }
        }
    }

    /// Ends every link of a dead process: the peer sees a reset, nobody hears of it here.
    pub fn reset_all(&self, client: &str) {
        for id in self.links_of(client) {
            self.forget(&id);
        }
    }

    /// Answers an access check.
    pub fn check_access(&self, check: CheckId, token: Secret, inbox: UnboundedSender<Input>) {
        let network = self.clone();
        self.tasks.spawn(async move {
            network.clock.sleep(Duration::from_millis(40)).await;
            let event = events::access(&token, network.clock.true_now());
            let answer = match network
                .call(|gateway| async move { gateway.http(&event).await })
                .await
            {
                Some(response) => AccessAnswer::Http {
                    status: events::status(&response),
                    retry_after: events::retry_after(&response),
                },
                None => AccessAnswer::Http {
                    status: 502,
                    retry_after: None,
                },
            };
            let _ = inbox.unbounded_send(Input::AccessChecked { check, answer });
        });
    }

    async fn connect(
        self,
        client: String,
        epoch: Epoch,
        token: Secret,
        inbox: UnboundedSender<Input>,
    ) {
        let (delay, fails) = {
            let mut local = self.shared.borrow_mut();
            let fails = local.faults.connect_fails;
            (local.chance.millis(20..300), local.chance.happens(fails))
        };
        self.clock.sleep(delay).await;
        if fails {
            let refusal = Refusal::Unreachable {
                message: "lost by the simulation".to_owned(),
            };
            let _ = inbox.unbounded_send(Input::Refused { epoch, refusal });
            return;
        }
        let now = self.clock.true_now();
        let let_in = {
            let mut local = self.shared.borrow_mut();
            let let_in = local.bucket.take(now);
            local.upgrades.count(now, let_in);
            let_in
        };
        if !let_in {
            let refusal = Refusal::Http {
                status: 429,
                retry_after: None,
            };
            let _ = inbox.unbounded_send(Input::Refused { epoch, refusal });
            return;
        }
        let id = {
            let mut local = self.shared.borrow_mut();
            local.next_link += 1;
            let id = ConnectionId::new(format!("link-{}", local.next_link));
            local.by_epoch.insert((client.clone(), epoch), id.clone());
            id
        };
        let (down, pushes) = futures::channel::mpsc::unbounded();
        let link = Link {
            client: client.clone(),
            epoch,
            inbox: inbox.clone(),
            opened_at: now,
            active_at: now,
            state: LinkState::Connecting,
            up_free_at: now,
            down,
        };
        self.links.lock().insert(id.clone(), link);
        let event = events::connect(&id, now, &token);
        let response = self
            .call(|gateway| async move { gateway.websocket(&event).await })
            .await;
        let status = response.as_ref().map_or(502, events::status);
        if status != 200 {
            self.links.lock().remove(&id);
            let refusal = Refusal::Http {
                status,
                retry_after: None,
            };
            let _ = inbox.unbounded_send(Input::Refused { epoch, refusal });
            return;
        }
        let still_wanted = {
            let mut links = self.links.lock();
            let link = links.get_mut(&id);
            if let Some(link) = link {
                link.state = LinkState::Open;
                link.active_at = self.clock.true_now();
                true
            } else {
                false
            }
        };
        if !still_wanted {
            self.spawn_disconnect(id, now);
            return;
        }
        let subprotocol = response.as_ref().and_then(events::subprotocol);
        let _ = inbox.unbounded_send(Input::TransportOpened { epoch, subprotocol });
        self.tasks
            .spawn(self.clone().deliver_pushes(id.clone(), pushes));
        self.watch_age(id).await;
    }

    /// Cuts the link when it is idle or old, as the gateway does.
    async fn watch_age(&self, id: ConnectionId) {
        loop {
            let due = {
                let links = self.links.lock();
                let Some(link) = links.get(&id) else { return };
                (link.active_at + self.limits.idle).min(link.opened_at + self.limits.age)
            };
            let now = self.clock.true_now();
            if due <= now {
                self.timeline
                    .say("gateway", format!("cuts {id}: idle or old"));
                self.end(&id, TransportEnd::Code(1001));
                return;
            }
            self.clock.sleep(now.until(due)).await;
        }
    }

    async fn deliver_pushes(
        self,
        id: ConnectionId,
        mut pushes: futures::channel::mpsc::UnboundedReceiver<String>,
    ) {
        use futures::stream::StreamExt;
        while let Some(text) = pushes.next().await {
            let (delay, overtaken) = {
                let mut local = self.shared.borrow_mut();
                let faults = local.faults;
                let overtaken = local.chance.happens(faults.reorder);
                let slow = local.chance.happens(faults.slow);
                let delay = if slow { 1_000..5_000 } else { 5..60 };
                (local.chance.millis(delay), overtaken)
            };
            if overtaken {
                // Two functions push at once: what was sent earlier arrives later.
                let network = self.clone();
                let id = id.clone();
                self.tasks.spawn(async move {
                    network
                        .clock
                        .sleep(delay + Duration::from_millis(700))
                        .await;
                    network.arrive(&id, text);
                });
            } else {
                self.clock.sleep(delay).await;
                self.arrive(&id, text);
            }
        }
    }

    fn arrive(&self, id: &ConnectionId, text: String) {
        let mut links = self.links.lock();
        if let Some(link) = links.get_mut(id)
            && link.state == LinkState::Open
        {
            link.active_at = self.clock.true_now();
            let frame = Input::Frame {
                epoch: link.epoch,
                text: Secret::new(text),
            };
            let _ = link.inbox.unbounded_send(frame);
        }
    }

    fn spawn_message(&self, id: ConnectionId, text: String) {
        let network = self.clone();
        self.tasks
            .spawn(async move { network.message(id, text).await });
    }

    async fn message(&self, id: ConnectionId, text: String) {
        let opened_at = {
            let mut links = self.links.lock();
            let Some(link) = links.get_mut(&id) else {
                return;
            };
            link.active_at = self.clock.true_now();
            link.opened_at
        };
        if events::is_ping(&text) {
            self.links.push(&id, r#"{"type":"pong"}"#.to_owned());
            return;
        }
        let event = events::message(&id, opened_at, self.clock.true_now(), &text);
        let work = self.call(|gateway| async move { gateway.websocket(&event).await });
        let work = std::pin::pin!(work);
        let answer =
            match futures::future::select(work, self.clock.sleep(self.limits.integration)).await {
                futures::future::Either::Left((answer, _)) => answer,
                futures::future::Either::Right(_) => {
                    self.links
                        .push(&id, events::error_frame(&id, "Endpoint request timed out"));
                    return;
                }
            };
        match answer {
            Some(response) => {
                if let Some(body) = response.get("body").and_then(Value::as_str)
                    && !body.is_empty()
                {
                    self.links.push(&id, body.to_owned());
                }
            }
            None => self
                .links
                .push(&id, events::error_frame(&id, "Internal server error")),
        }
    }

    async fn call<R>(&self, body: impl FnOnce(Arc<Gateway>) -> R) -> Option<Value>
    where
        R: Future<Output = Value> + 'static,
    {
        let function = self.function.borrow().clone()?;
        let faults = self.shared.borrow().calls;
        match function.invoke(faults, body).await {
            Invocation::Returned(answer) => Some(answer),
            Invocation::Crashed(call) => {
                self.timeline
                    .say("gateway", format!("a function dies at {call}"));
                None
            }
        }
    }

    fn cut(&self, id: &ConnectionId) {
        self.end(id, TransportEnd::Dropped);
    }

    fn end(&self, id: &ConnectionId, end: TransportEnd) {
        let Some(link) = self.links.lock().remove(id) else {
            return;
        };
        let _ = link.inbox.unbounded_send(Input::TransportClosed {
            epoch: link.epoch,
            end,
        });
        self.spawn_disconnect(id.clone(), link.opened_at);
    }

    fn forget(&self, id: &ConnectionId) {
        let Some(link) = self.links.lock().remove(id) else {
            return;
        };
        // While $connect runs its own task sees that the link is gone.
        if link.state != LinkState::Connecting {
            self.spawn_disconnect(id.clone(), link.opened_at);
        }
    }

    fn spawn_disconnect(&self, id: ConnectionId, opened_at: Timestamp) {
        let (delay, lost) = {
            let mut local = self.shared.borrow_mut();
            let lost = local.faults.no_disconnect;
            (local.chance.millis(50..2_000), local.chance.happens(lost))
        };
        if lost {
            return;
        }
        let network = self.clone();
        self.tasks.spawn(async move {
            network.clock.sleep(delay).await;
            let event = events::disconnect(&id, opened_at, network.clock.true_now());
            let _ = network
                .call(|gateway| async move { gateway.websocket(&event).await })
                .await;
        });
    }

    fn link_of(&self, client: &str, epoch: Epoch) -> Option<ConnectionId> {
        self.shared
            .borrow()
            .by_epoch
            .get(&(client.to_owned(), epoch))
            .cloned()
    }

    fn links_of(&self, client: &str) -> Vec<ConnectionId> {
        let links = self.links.lock();
        let own = links.iter().filter(|(_, link)| link.client == client);
        own.map(|(id, _)| id.clone()).collect()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network({} links)", self.links.lock().len())
    }
}
