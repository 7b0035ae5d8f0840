//! The task that runs a machine: one input, drain every output, arm one timer. It decides nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::clock::Clock;
use super::events::Event;
use super::feed::Feed;
use super::handle::Command;
use super::log;
use super::network::Network;
use super::task::OwnedTask;
use super::token::{self, TokenProvider};
use super::transport::{Place, Transport};
use super::waiters::Waiters;
use crate::machine::{self, Effect, Epoch, Input, Machine, Output, ProbeId};
use crate::{ConnectionState, Diagnostics};

/// How many inputs of sockets and calls wait for the driver. It is never long busy; a full queue
/// holds a flooding peer back at its socket.
const INPUT_CAPACITY: usize = 64;

/// What a driver is made of.
pub(super) struct Parts {
    pub(super) machine: Machine,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) provider: Arc<dyn TokenProvider>,
    pub(super) network: Arc<Network>,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) state: watch::Sender<ConnectionState>,
    pub(super) events: Arc<Feed<Event>>,
    pub(super) last: Arc<OnceLock<Diagnostics>>,
}

/// One per client. Owns the machine, its sockets and its calls; they end with it.
pub(super) struct Driver {
    parts: Parts,
    waiters: Waiters,
    inputs: mpsc::Receiver<Input>,
    sender: mpsc::Sender<Input>,
    transports: BTreeMap<Epoch, Transport>,
    closing: JoinSet<()>,
    token_call: Option<OwnedTask>,
    access_check: Option<OwnedTask>,
    probes: BTreeMap<ProbeId, OwnedTask>,
    /// Whether somebody can still command; after the last handle is gone, nobody can.
    commanded: bool,
}

impl Driver {
    pub(super) fn new(parts: Parts) -> Self {
        let (sender, inputs) = mpsc::channel(INPUT_CAPACITY);
        Self {
            parts,
            waiters: Waiters::default(),
            inputs,
            sender,
            transports: BTreeMap::new(),
            closing: JoinSet::new(),
            token_call: None,
            access_check: None,
            probes: BTreeMap::new(),
            commanded: true,
        }
    }

    /// Runs until the machine has closed and its sockets have. What is still queued for them,
    /// `release` and the close frame, is written first: the process may end as soon as `close()`
    /// returns.
    pub(super) async fn run(mut self) {
        while *self.parts.machine.state() != ConnectionState::Closed || !self.closing.is_empty() {
            if let Some(input) = self.next_input().await {
                self.handle(input);
            }
        }
    }

    /// Waits for whatever comes first. `None` when nothing has to be handled.
    async fn next_input(&mut self) -> Option<Input> {
        let timer = self.parts.machine.next_timeout();
        let clock = &self.parts.clock;
        let fired = async {
            match timer {
                Some((at, _)) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            command = self.parts.commands.recv(), if self.commanded => match command {
                Some(Command::Diagnose(waiter)) => {
                    // Whoever no longer waits gets none.
                    let _ = waiter.send(self.diagnose());
                    None
                }
                Some(command) => self.waiters.admit(command),
                None => {
                    self.commanded = false;
                    Some(Input::HandlesGone)
                }
            },
            input = self.inputs.recv() => input,
            Some(_) = self.closing.join_next() => None,
            () = fired => {
                if let Some((_, timer)) = timer {
                    log::timer(timer);
                }
                Some(Input::Timeout)
            }
        }
    }

    fn diagnose(&self) -> Diagnostics {
        let mut diagnostics = self.parts.machine.diagnostics(self.parts.clock.now());
        diagnostics.explanation.gateways = self.parts.network.addresses();
        diagnostics
    }

    fn handle(&mut self, input: Input) {
        self.parts.machine.handle(self.parts.clock.now(), input);
        while let Some(output) = self.parts.machine.poll() {
            match output {
                Output::Effect(effect) => self.execute(effect),
                Output::Event(event) => self.publish(event),
            }
        }
    }

    fn execute(&mut self, effect: Effect) {
        log::effect(&effect);
        match effect {
            Effect::OpenTransport {
                epoch,
                gateway,
                token,
            } => {
                let network = Arc::clone(&self.parts.network);
                let address = network.gateway(gateway).map(|gateway| &gateway.address);
                let span = log::connection(epoch, address, self.parts.machine.state());
                let place = Place { epoch, gateway };
                let transport = Transport::open(place, token, network, span, self.sender.clone());
                self.transports.insert(epoch, transport);
            }
            Effect::Send { epoch, text } => {
                if let Some(transport) = self.transports.get(&epoch) {
                    transport.send(text);
                }
            }
            Effect::CloseTransport { epoch, code } => {
                if let Some(transport) = self.transports.remove(&epoch) {
                    self.closing.spawn(transport.close(code));
                }
            }
            Effect::FetchToken { generation, reason } => {
                let answer = token::ask(Arc::clone(&self.parts.provider), reason);
                self.token_call = Some(self.call(async move {
                    match answer.await {
                        Ok((token, expires_in)) => Input::TokenReady {
                            generation,
                            token,
                            expires_in,
                        },
                        Err(error) => Input::TokenFailed {
                            generation,
                            failure: error.into(),
                        },
                    }
                }));
            }
            Effect::CheckAccess {
                check,
                gateway,
                token,
            } => {
                let network = Arc::clone(&self.parts.network);
                self.access_check = Some(self.call(async move {
                    Input::AccessChecked {
                        check,
                        answer: network.check_access(gateway, &token).await,
                    }
                }));
            }
            // The stream token is not presented: the media server answers a ping without one,
            // and a token that is not sent cannot leak.
            Effect::Probe {
                probe,
                url,
                stream_token: _,
            } => {
                let network = Arc::clone(&self.parts.network);
                let task = self.call(async move {
                    Input::ProbeResult {
                        probe,
                        result: network.prove(&url).await,
                    }
                });
                self.probes.insert(probe, task);
            }
            Effect::CancelProbe { probe } => {
                self.probes.remove(&probe);
            }
        }
    }

    /// Runs a call whose answer is an input. It ends when the returned task is dropped.
    fn call(&self, answer: impl Future<Output = Input> + Send + 'static) -> OwnedTask {
        let sender = self.sender.clone();
        OwnedTask::spawn(async move {
            // The driver has ended: there is nobody left to tell.
            let _ = sender.send(answer.await).await;
        })
    }

    fn publish(&mut self, event: machine::Event) {
        let event = match event {
            machine::Event::State(state) => {
                log::state(&state);
                self.parts.state.send_replace(state.clone());
                Event::State(state)
            }
            machine::Event::Settled { key, result } => {
                self.waiters.settle(key, result);
                return;
            }
            machine::Event::Progress { id, progress } => {
                self.waiters.progress(&id, &progress);
                Event::Progress { id, progress }
            }
            machine::Event::Lease {
                lease,
                status,
                change,
            } => {
                self.waiters.lease(&lease, status, &change);
                Event::Lease {
                    lease,
                    status,
                    change,
                }
            }
            machine::Event::Diagnostic(error) => {
                log::diagnostic(&error);
                Event::Diagnostic(error)
            }
        };
        // Without a reader it goes nowhere.
        self.parts.events.send(event);
    }
}

impl Drop for Driver {
    /// A runtime that shuts down takes the driver along: whoever asks later is told the truth.
    fn drop(&mut self) {
        self.parts
            .machine
            .handle(self.parts.clock.now(), Input::Detach);
        let _ = self.parts.last.set(self.diagnose());
        self.parts.state.send_replace(ConnectionState::Closed);
        self.parts.events.close();
    }
}
