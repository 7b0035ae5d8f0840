//! Makes a client, and refuses what could never work.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::{mpsc, watch};

use super::address::InsecureHosts;
use super::client::Client;
use super::clock::{Clock, SystemClock};
use super::dial::Dialer;
use super::driver::{Driver, Parts};
use super::events::EVENT_CAPACITY;
use super::feed::Feed;
use super::handle::Handle;
use super::network::{Gateway, Network};
use super::proxy::Proxy;
use super::token::TokenProvider;
use crate::machine::{Config, Ids, Machine, Seed};
use crate::{ConnectionState, Error, ErrorCode, Outcome, Stage, redact_url};

/// Name and version that the server sees unless a binding sets its own.
const SDK: &str = concat!("wakecast-rust/", env!("CARGO_PKG_VERSION"));

/// The settings of a [`Client`].
#[must_use]
pub struct ClientBuilder {
    /// In order of preference, never empty: the address, and that for access checks.
    gateways: Vec<(String, Option<String>)>,
    provider: Option<Arc<dyn TokenProvider>>,
    client_id: Option<String>,
    sdk: String,
    verify: bool,
    insecure: InsecureHosts,
    roots: Vec<Vec<u8>>,
    proxy: Proxy,
    clock: Arc<dyn Clock>,
    seed: Option<[u8; 32]>,
}

impl ClientBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            gateways: vec![(url, None)],
            provider: None,
            client_id: None,
            sdk: SDK.to_owned(),
            verify: true,
            insecure: InsecureHosts::default(),
            roots: Vec::new(),
            proxy: Proxy::environment(),
            clock: Arc::new(SystemClock),
            seed: None,
        }
    }

    /// Sets the HTTP address of the gateway that was named last, such as
    /// `https://access.example.com/prod`, where the client asks why a connection was refused.
    /// Without it a refusal that the gateway does not explain stays unexplained.
    pub fn access_url(mut self, url: impl Into<String>) -> Self {
        if let Some((_, access)) = self.gateways.last_mut() {
            *access = Some(url.into());
        }
        self
    }

    /// Adds the same service in another region, to be used while those named before are down; at
    /// most 8 in all. What was acquired lives in its region: the client moves only while it holds no
    /// lease and no acquire may stand at a server, and comes back, without a gap, at a calm moment
    /// when nothing is held or waited for.
    ///
    /// ```
    /// # use wakecast::{Client, Token, TokenError, TokenReason};
    /// # fn example() -> wakecast::ClientBuilder {
    /// Client::builder("wss://eu.example.com/prod")
    ///     .access_url("https://access.eu.example.com/prod")
    ///     .fallback("wss://us.example.com/prod")
    ///     .access_url("https://access.us.example.com/prod")
    /// # }
    /// ```
    pub fn fallback(mut self, url: impl Into<String>) -> Self {
        self.gateways.push((url.into(), None));
        self
    }

    /// Sets where tokens come from. Required.
    pub fn token_provider(mut self, provider: impl TokenProvider) -> Self {
        self.provider = Some(Arc::new(provider));
        self
    }

    /// Names this client towards the server; random unless set. Two clients of one name take each
    /// other's leases over, so it is for an app that starts again as the same client. 1 to 128
    /// visible ASCII characters.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// Sets the name and version that the server sees, for bindings: `wakecast-kotlin/0.1.0`.
    pub fn sdk_name(mut self, name: impl Into<String>) -> Self {
        self.sdk = name.into();
        self
    }

    /// Sets whether endpoints are proved from this device's own network before they are handed
    /// over; on unless set. [`crate::Acquire::verify`] turns it off for one.
    pub fn verify(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// Allows plain `ws://` and `http://` to this host, for a test network: tokens then travel
    /// unencrypted. Loopback needs no leave.
    pub fn allow_insecure_host(mut self, host: impl AsRef<str>) -> Self {
        self.insecure.allow(host.as_ref());
        self
    }

    /// Adds a root certificate in DER. With any added, the platform's and the public ones are no
    /// longer trusted.
    pub fn root_certificate(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.roots.push(der.into());
        self
    }

    /// Sets the HTTP proxy; that of the environment unless set. A token provider has a proxy of its
    /// own.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = proxy;
        self
    }

    /// Replaces the clock, for tests on virtual time.
    #[doc(hidden)]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Replaces the randomness of the operating system, for tests that replay.
    #[doc(hidden)]
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Makes the client, which connects when something is first asked of it. Has to be called
    /// within a tokio runtime with time and I/O enabled; the client lives on it.
    ///
    /// # Errors
    ///
    /// `invalid_argument`, with what was expected: an address that is not `wss://` or `https://`
    /// (plain text is for loopback, or by [`allow_insecure_host`](Self::allow_insecure_host)),
    /// that holds a user name, query or fragment, an unusable certificate or proxy, a `client_id` that the
    /// server would refuse, no token provider, no runtime.
    pub fn build(self) -> Result<Client, Error> {
        let gateways = (self.gateways.iter())
            .map(|(url, access)| Gateway::configured(url, access.as_deref(), &self.insecure))
            .collect::<Result<Vec<_>, _>>()
            .map_err(invalid)?;
        let provider = self.provider.ok_or_else(|| {
            invalid("no token provider: give one with token_provider(|reason| async { … })".into())
        })?;
        let dialer = Dialer::new(&self.roots, &self.proxy).map_err(invalid)?;
        for gateway in &gateways {
            for place in std::iter::once(&gateway.address).chain(&gateway.access) {
                dialer.check(place).map_err(invalid)?;
            }
        }
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| {
            invalid("no tokio runtime: call build() within one, or enter it before".into())
        })?;

        // One seed for the machine and one for the ids that are drawn before the machine sees
        // them: drawn from one stream, the two would give out the same ids.
        let (machine_seed, id_seed) = match self.seed {
            Some(seed) => (seed, seed.map(|byte| byte ^ 0x5a)),
            None => (os_random()?, os_random()?),
        };
        let mut config = Config::new(self.sdk);
        for (number, gateway) in gateways.iter().enumerate() {
            let has = gateway.access.is_some();
            config = match number {
                0 => config.access_check(has),
                _ => config.fallback(has),
            };
        }
        config.client_id = self.client_id;
        config.check()?;
        let (commands, queue) = mpsc::unbounded_channel();
        let (state, latest) = watch::channel(ConnectionState::Idle);
        let events = Arc::new(Feed::new(EVENT_CAPACITY));
        let last = Arc::new(OnceLock::new());
        let handle = Arc::new(Handle {
            commands,
            state: latest,
            events: Arc::clone(&events),
            ids: Mutex::new(Ids::new(Seed(id_seed))),
            next_key: AtomicU64::new(0),
            verify: self.verify,
            last: Arc::clone(&last),
        });
        let driver = Driver::new(Parts {
            machine: Machine::new(config, Seed(machine_seed)),
            clock: self.clock,
            provider,
            network: Arc::new(Network {
                gateways,
                insecure: self.insecure,
                dialer,
            }),
            commands: queue,
            state,
            events,
            last,
        });
        runtime.spawn(driver.run());
        Ok(Client::new(handle))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gateways: Vec<_> = (self.gateways.iter())
            .map(|(url, access)| (redact_url(url), access.as_deref().map(redact_url)))
            .collect();
        f.debug_struct("ClientBuilder")
            .field("gateways", &gateways)
            .field("client_id", &self.client_id)
            .field("sdk", &self.sdk)
            .field("verify", &self.verify)
            .finish_non_exhaustive()
    }
}

pub(super) fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, Outcome::NotSent, Stage::Local).with_message(message)
}

fn os_random() -> Result<[u8; 32], Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        Error::new(ErrorCode::Misconfigured, Outcome::NotSent, Stage::Local).with_message(format!(
            "the operating system gives no randomness ({error}): allow getrandom or /dev/urandom"
        ))
    })?;
    Ok(seed)
}
