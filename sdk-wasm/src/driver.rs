//! Runs a machine in a page: one input, drain every output, arm one timer.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::Duration;

use wakecast::machine::{
    AccessAnswer, CheckId, Config, Effect, Epoch, Event, GatewayIndex, Generation, Input, Machine,
    Output, ProbeId, Refusal, RequestKey, Seed, TokenFailure, TransportEnd, WallClock,
};
use wakecast::protocol::{BEARER_PREFIX, SUBPROTOCOL};
use wakecast::{Acquire, Secret};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::clock;
use crate::page::{Page, PageEvent};
use crate::probe::Probe;
use crate::socket::{Happening, Socket};
use crate::timer::Timer;
use crate::view;

#[wasm_bindgen]
extern "C" {
    /// What the JavaScript face does for the driver. None of its methods throws.
    pub type Face;

    /// Takes an event, as JSON text.
    #[wasm_bindgen(method)]
    fn event(this: &Face, json: &str);

    /// Asks the app's token provider; answered by `token_ready` or `token_failed`.
    #[wasm_bindgen(method)]
    fn token(this: &Face, generation: f64, reason: &str);

    /// The address of a gateway, by its place in the order of preference.
    #[wasm_bindgen(method)]
    fn address(this: &Face, gateway: u8) -> String;

    /// `GET /v1/access` of a gateway with the token; answered by `access_answered` or
    /// `access_failed`.
    #[wasm_bindgen(method)]
    fn access(this: &Face, check: f64, gateway: u8, token: &str);
}

/// One client's machine with its sockets and its timer.
#[wasm_bindgen]
#[expect(missing_debug_implementations, reason = "lives in JavaScript")]
pub struct Driver {
    core: Rc<Core>,
    _page: Page,
}

struct Core {
    face: Face,
    machine: RefCell<Machine>,
    wall: RefCell<WallClock>,
    /// Inputs that came while another one was handled: a callback of the app may ask for more.
    waiting: RefCell<VecDeque<Input>>,
    handling: Cell<bool>,
    /// The page was left: until it is seen again nothing may be opened, or it could not come back.
    left: Cell<bool>,
    /// Two at most while a link is rotated: a list, which weighs far less than a map.
    sockets: RefCell<Vec<(Epoch, Socket)>>,
    probes: RefCell<Vec<(ProbeId, Probe)>>,
    timer: Timer,
}

#[wasm_bindgen]
impl Driver {
    /// Makes a driver. `access` holds a byte for each gateway: whether it has an access address.
    /// `seed` are 32 random bytes of the browser.
    #[wasm_bindgen(constructor)]
    pub fn new(
        face: Face,
        sdk: String,
        client_id: Option<String>,
        access: &[u8],
        seed: &[u8],
    ) -> Result<Self, String> {
        let seed = seed.try_into().map_err(|_| "the seed must have 32 bytes")?;
        let mut config = Config::new(sdk);
        config.client_id = client_id;
        for (index, has) in access.iter().map(|has| *has != 0).enumerate() {
            config = match index {
                0 => config.access_check(has),
                _ => config.fallback(has),
            };
        }
        config.check().map_err(|error| error.message().to_owned())?;
        let core = Rc::new_cyclic(|core: &Weak<Core>| Core {
            face,
            machine: RefCell::new(Machine::new(config, Seed(seed))),
            wall: RefCell::default(),
            waiting: RefCell::default(),
            handling: Cell::new(false),
            left: Cell::new(false),
            sockets: RefCell::default(),
            probes: RefCell::default(),
            timer: Timer::new(telling(Weak::clone(core), |core, ()| {
                core.timer.went_off();
                core.handle(Input::Timeout);
            })),
        });
        let page = Page::watch(telling(Rc::downgrade(&core), Core::page));
        Ok(Self { core, _page: page })
    }

    /// The app wants the link open.
    pub fn connect(&self) {
        self.core.handle(Input::Connect);
    }

    /// The app wants an endpoint.
    #[expect(
        clippy::too_many_arguments,
        reason = "named by the face, which alone calls it"
    )]
    pub fn acquire(
        &self,
        key: f64,
        id: String,
        purpose: &str,
        app: String,
        stream_id: String,
        fleet: Option<String>,
        deadline_ms: Option<f64>,
        verify: bool,
    ) {
        let mut acquire = match purpose {
            "publish" => Acquire::publish(app, stream_id),
            "watch" => Acquire::watch(app, stream_id),
            _ => Acquire::play(app, stream_id),
        };
        acquire = acquire.id(id).verify(verify);
        if let Some(fleet) = fleet {
            acquire = acquire.fleet(fleet);
        }
        if let Some(deadline) = deadline_ms {
            acquire = acquire.deadline(millis(deadline));
        }
        let key = request(key);
        self.core.handle(Input::Acquire { key, acquire });
    }

    /// The app no longer wants what it acquires.
    pub fn cancel(&self, key: f64) {
        self.core.handle(Input::Cancel { key: request(key) });
    }

    /// The app forgot what it acquires: ends it, or gives back what it was granted.
    pub fn abandon(&self, key: f64) {
        let key = request(key);
        self.core.handle(Input::Abandon { key });
    }

    /// The app wants a lease's endpoint.
    pub fn endpoint(&self, key: f64, lease: String) {
        let key = request(key);
        self.core.handle(Input::Endpoint { key, lease });
    }

    /// The app gives a lease back.
    pub fn release(&self, key: f64, lease: String) {
        let key = request(key);
        self.core.handle(Input::Release { key, lease });
    }

    /// The app asks what a fleet does.
    pub fn status(&self, key: f64, fleet: Option<String>) {
        let key = request(key);
        self.core.handle(Input::Status { key, fleet });
    }

    /// Why the client is where it is, in plain words: what `Display` writes.
    pub fn explain(&self) -> String {
        self.core.machine.borrow().explain(clock::now()).to_string()
    }

    /// What is safe to attach to a ticket, as JSON text.
    pub fn diagnostics(&self) -> String {
        let machine = self.core.machine.borrow();
        machine.diagnostics(clock::now()).to_json()
    }

    /// The app has mended what failed.
    pub fn retry(&self) {
        self.core.handle(Input::Retry);
    }

    /// The app is done.
    pub fn close(&self) {
        self.core.handle(Input::Close);
    }

    /// The app leaves what it holds to a successor.
    pub fn detach(&self) {
        self.core.handle(Input::Detach);
    }

    /// The app lets go of an acquire, which goes on.
    pub fn detach_acquire(&self, key: f64) {
        let key = request(key);
        self.core.handle(Input::DetachAcquire { key });
    }

    /// The app lets go of a lease without giving it back.
    pub fn detach_lease(&self, lease: String) {
        self.core.handle(Input::DetachLease { lease });
    }

    /// The token provider answered.
    pub fn token_ready(&self, generation: f64, token: String, expires_in_ms: Option<f64>) {
        self.core.handle(Input::TokenReady {
            generation: Generation(generation as u64),
            token: Secret::new(token),
            expires_in: expires_in_ms.map(millis),
        });
    }

    /// The token provider failed, or refuses this user.
    pub fn token_failed(
        &self,
        generation: f64,
        message: String,
        refused: bool,
        retry_after_ms: Option<f64>,
    ) {
        let mut failure = TokenFailure::new(message);
        failure.refused = refused;
        let failure = failure.with_retry_after(retry_after_ms.map(millis));
        let generation = Generation(generation as u64);
        let input = Input::TokenFailed {
            generation,
            failure,
        };
        self.core.handle(input);
    }

    /// The access check was answered.
    pub fn access_answered(&self, check: f64, status: u16, retry_after_ms: Option<f64>) {
        self.core.handle(Input::AccessChecked {
            check: CheckId(check as u64),
            answer: AccessAnswer::Http {
                status,
                retry_after: retry_after_ms.map(millis),
            },
        });
    }

    /// The access check brought no answer.
    pub fn access_failed(&self, check: f64, message: String) {
        self.core.handle(Input::AccessChecked {
            check: CheckId(check as u64),
            answer: AccessAnswer::Unreachable { message },
        });
    }
}

impl Core {
    /// Handles an input, and whatever comes while it is handled.
    fn handle(self: &Rc<Self>, input: Input) {
        self.waiting.borrow_mut().push_back(input);
        if self.left.get() || self.handling.replace(true) {
            return;
        }
        loop {
            let Some(input) = self.waiting.borrow_mut().pop_front() else {
                break;
            };
            let now = clock::now();
            if self.wall.borrow_mut().jumped(now, clock::wall()) {
                self.machine.borrow_mut().handle(now, Input::ClockJumped);
                self.drain();
            }
            self.machine.borrow_mut().handle(now, input);
            self.drain();
        }
        self.handling.set(false);
        let next = self.machine.borrow().next_timeout();
        self.timer.arm(next.map(|(at, _)| at));
    }

    fn drain(self: &Rc<Self>) {
        loop {
            let Some(output) = self.machine.borrow_mut().poll() else {
                break;
            };
            match output {
                Output::Effect(effect) => self.execute(effect),
                Output::Event(event) => self.publish(&event),
                _ => {}
            }
        }
    }

    fn execute(self: &Rc<Self>, effect: Effect) {
        match effect {
            Effect::OpenTransport {
                epoch,
                gateway,
                token,
            } => self.open(epoch, gateway, &token),
            Effect::Send { epoch, text } => {
                if let Some((_, socket)) = self.sockets.borrow().iter().find(|(of, _)| *of == epoch)
                {
                    socket.send(text.expose());
                }
            }
            Effect::CloseTransport { epoch, code } => {
                if let Some(socket) = take(&self.sockets, epoch) {
                    socket.close(code);
                }
            }
            Effect::FetchToken { generation, reason } => {
                self.face
                    .token(generation.0 as f64, view::token_reason(reason));
            }
            Effect::CheckAccess {
                check,
                gateway,
                token,
            } => self.face.access(check.0 as f64, gateway.0, token.expose()),
            // The stream token is not presented: the media server answers a ping without one.
            Effect::Probe { probe, url, .. } => self.probe(probe, &url),
            Effect::CancelProbe { probe } => {
                take(&self.probes, probe);
            }
            _ => {}
        }
    }

    fn open(self: &Rc<Self>, epoch: Epoch, gateway: GatewayIndex, token: &Secret) {
        let url = self.face.address(gateway.0);
        let bearer = format!("{BEARER_PREFIX}{}", token.expose());
        let tell = telling(Rc::downgrade(self), move |core, happening| {
            core.happened(epoch, happening);
        });
        match Socket::open(&url, &[SUBPROTOCOL, &bearer], tell) {
            Ok(socket) => {
                self.sockets.borrow_mut().push((epoch, socket));
            }
            // What the browser says may quote the subprotocol, and so the token.
            Err(_) => self.handle(Input::Refused {
                epoch,
                refusal: Refusal::Opaque,
            }),
        }
    }

    fn happened(self: &Rc<Self>, epoch: Epoch, happening: Happening) {
        self.handle(match happening {
            Happening::Opened(subprotocol) => Input::TransportOpened { epoch, subprotocol },
            Happening::Text(text) => Input::Frame {
                epoch,
                text: Secret::new(text),
            },
            Happening::Binary => Input::BinaryFrame { epoch },
            Happening::Refused => {
                take(&self.sockets, epoch);
                let refusal = Refusal::Opaque;
                Input::Refused { epoch, refusal }
            }
            Happening::Closed(end) => {
                take(&self.sockets, epoch);
                Input::TransportClosed { epoch, end }
            }
        });
    }

    fn probe(self: &Rc<Self>, probe: ProbeId, url: &str) {
        let tell = telling(Rc::downgrade(self), move |core, result| {
            core.handle(Input::ProbeResult { probe, result });
        });
        match Probe::begin(url, tell) {
            Ok(begun) => {
                self.probes.borrow_mut().push((probe, begun));
            }
            Err(_) => self.handle(Input::ProbeResult {
                probe,
                result: Err("the page may not open a WebSocket to this address".into()),
            }),
        }
    }

    fn page(self: &Rc<Self>, event: PageEvent) {
        match event {
            PageEvent::Online => self.handle(Input::NetworkUp),
            PageEvent::Offline => self.handle(Input::NetworkDown),
            PageEvent::Shown => {
                self.left.set(false);
                self.handle(Input::Foreground);
            }
            PageEvent::Frozen => self.handle(Input::Background),
            PageEvent::Left => {
                self.handle(Input::Background);
                self.close_all();
                self.left.set(true);
                self.timer.arm(None);
            }
        }
    }

    /// Closes every socket, those included that are opened for want of another.
    fn close_all(self: &Rc<Self>) {
        loop {
            let Some((epoch, socket)) = self.sockets.borrow_mut().pop() else {
                break;
            };
            drop(socket);
            let end = TransportEnd::Dropped;
            self.handle(Input::TransportClosed { epoch, end });
        }
        loop {
            let Some((probe, begun)) = self.probes.borrow_mut().pop() else {
                break;
            };
            drop(begun);
            let result = Err("the page was left".into());
            self.handle(Input::ProbeResult { probe, result });
        }
    }

    fn publish(&self, event: &Event) {
        self.face.event(&view::event(event));
    }
}

/// A callback that does not keep the driver alive.
fn telling<T>(core: Weak<Core>, tell: impl Fn(&Rc<Core>, T)) -> impl FnMut(T) {
    move |what| {
        if let Some(core) = core.upgrade() {
            tell(&core, what);
        }
    }
}

/// Takes a value out before it is dropped: its end must find the list free.
fn take<K: PartialEq, V>(list: &RefCell<Vec<(K, V)>>, key: K) -> Option<V> {
    let mut list = list.borrow_mut();
    let place = list.iter().position(|(of, _)| *of == key)?;
    Some(list.swap_remove(place).1)
}

fn request(key: f64) -> RequestKey {
    RequestKey(key as u64)
}

fn millis(ms: f64) -> Duration {
    Duration::from_millis(ms as u64)
}
