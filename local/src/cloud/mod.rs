//! The whole cloud: real gateway and reconciler code between a simulated EC2, media servers on
//! real ports and a table in memory.

mod config;
mod front;
mod gate;
mod machines;
mod parts;
mod reconciling;
mod sharding;
mod timeline;
mod tokens;
mod watching;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use wakecast_lambda::config::ConfigError;
use wakecast_lambda::fanout::{FanoutPorts, Worker};
use wakecast_lambda::gateway::{GatewayConfig, GatewayConfigError, GatewayPorts, Hint};
use wakecast_lambda::media::{HttpMediaServer, JwtStreamTokens, Scheme};
use wakecast_lambda::ports::{Clock, Entropy, MediaServer};
use wakecast_lambda::reconcile::{FAN_OUT_ABOVE, Ports, Reconciler};
use wakecast_lambda::store::memory::MemoryStore;

use crate::Listener;
use crate::admin::AdminApi;
use crate::ec2::{Ec2Model, Happened, SimulatedEc2};
use crate::gateway::{GatewayModel, Routes, Sockets};
use crate::real::{self, GatedMediaServer, RealMachines, RealServer, RealServerError};
use crate::system::{OsEntropy, SystemClock};
use front::ElasticFront;
use gate::Gate;
use machines::MediaMachines;
use parts::Secrets;
use reconciling::{Reconciling, Waker};
use sharding::Sharding;
use watching::{WatchedConnections, WatchedPolicy};

pub use config::{APP, LONGEST_TOKEN_LIFE, LocalConfig, Profile};
pub use timeline::{Event, Follow, Timeline, What};
pub use tokens::{Ticket, TicketRequest, Token, TokenError, TokenRequest};

pub(crate) use parts::{Media, Parts, Whose};

/// The stage of the WebSocket API, and the tag of the stack.
const STACK: &str = "local";

/// How often expired rows leave the table; the real one takes its time too.
const PURGE_EVERY: Duration = Duration::from_mins(1);

/// A socket that was cut for its age still has its `$disconnect` to come, and the function that
/// takes it may hang for twice its 29 s.
const TELLING: Duration = Duration::from_mins(2);

/// A running local cloud. [`LocalCloud::stop`] ends it cleanly, dropping it at once.
#[derive(Debug)]
pub struct LocalCloud {
    /// Where clients connect.
    pub websocket_url: String,
    /// Where clients ask why a handshake failed, and where hints go.
    pub access_url: String,
    /// Where faults are set and the state is shown.
    pub admin_url: String,
    /// The one app, which tokens name.
    pub app: String,
    parts: Arc<Parts>,
    ends_gate: EndsGate,
    admin: AdminApi,
    front: Option<ElasticFront>,
    background: Background,
}

/// Why the local cloud did not start.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A port is taken, or may not be used.
    #[error("cannot listen on {address}: {source}; choose another --port, or none for free ones")]
    Port {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The fleet's configuration cannot work.
    #[error(transparent)]
    Fleet(#[from] ConfigError),
    /// The gateway's configuration cannot work.
    #[error(transparent)]
    Gateway(#[from] GatewayConfigError),
    /// Tokens would be refused.
    #[error("tokens that live {} s: expected 1 to {} s", .0.as_secs(), LONGEST_TOKEN_LIFE.as_secs())]
    TokenLife(Duration),
    /// The real media server cannot stand behind the instances.
    #[error(transparent)]
    RealServer(#[from] RealServerError),
    /// A real media server has its own address.
    #[error("`elastic` and `media_server` at once: expected one; a real server keeps its address")]
    ElasticRealServer,
    /// The adapter that probes media servers was not built.
    #[error("the media server's adapter: {0}")]
    Media(String),
}

impl LocalCloud {
    /// Starts everything on loopback.
    ///
    /// # Errors
    /// A port is taken, the configuration cannot work, or a real media server is not as expected.
    ///
    /// # Panics
    /// Outside a tokio runtime with time and network.
    pub async fn start(config: LocalConfig) -> Result<Self, LocalError> {
        if config.elastic && config.media_server.is_some() {
            return Err(LocalError::ElasticRealServer);
        }
        let elastic = if config.elastic {
            Some(listen(config.address(3)).await?)
        } else {
            None
        };
        let elastic_address = elastic.as_ref().map(|listener| listener.address);
        let fleet_config = config.fleet_config(elastic_address);
        fleet_config.validate()?;
        if config.token_life.as_secs() == 0 || config.token_life > LONGEST_TOKEN_LIFE {
            return Err(LocalError::TokenLife(config.token_life));
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let real = match &config.media_server {
            Some(real) => Some((real, reach(real, &clock).await?)),
            None => None,
        };
        let websocket = listen(config.address(0)).await?;
        let access = listen(config.address(1)).await?;
        let admin = listen(config.address(2)).await?;

        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        let seed = config.seed.unwrap_or_else(|| entropy.next_u64());
        let timeline = Timeline::new(clock.clone());
        let secrets = Secrets::draw(entropy.as_ref());
        let fleets = BTreeMap::from([(config.fleet.clone(), fleet_config)]);
        let store = MemoryStore::new();

        let model = GatewayModel::new(config.limits, Routes::default(), seed, clock.now());
        let sockets = Sockets::new(model, clock.clone());
        let connections = Arc::new(WatchedConnections {
            inner: Arc::new(sockets.clone()),
            timeline: timeline.clone(),
        });
        let (media, server) = match real {
            Some((real, inner)) => {
                let machines = RealMachines::new(timeline.clone());
                let server: Arc<dyn MediaServer> = Arc::new(GatedMediaServer {
                    inner,
                    address: real.url.address(),
                    machines: machines.clone(),
                });
                (Media::Real(machines), server)
            }
            None => {
                let installed = secrets.media_config(&config);
                let machines = MediaMachines::new(installed, timeline.clone(), Handle::current());
                let server = adapter(&secrets.server, &clock, Scheme::Http)?;
                (Media::StandIns(machines), server)
            }
        };
        let mut ec2 = Ec2Model::new(config.ec2.clone(), seed, media.machines());
        if let Some(address) = elastic_address {
            ec2.allocate_elastic(&config.fleet, &address.to_string());
        }
        let front = match (elastic, &media) {
            (Some(listener), Media::StandIns(machines)) => {
                Some(ElasticFront::serve(listener, machines.clone()))
            }
            _ => None,
        };
        let ec2 = Arc::new(SimulatedEc2::new(STACK, clock.clone(), ec2));
        let signing = match &config.media_server {
            Some(real) => real.stream_secret.clone(),
            None => Some(secrets.stream.clone()),
        };
        let app = config.app().to_owned();
        let stream_tokens = Arc::new(JwtStreamTokens::new(
            signing.map(|secret| (app.clone(), secret)),
        ));

        let mut reconciler = Reconciler::new(
            Ports {
                store: Arc::new(store.as_reconciler()),
                fleet: ec2.clone(),
                media: server,
                connections: connections.clone(),
                clock: clock.clone(),
                entropy: entropy.clone(),
                stream_tokens: stream_tokens.clone(),
            },
            fleets.clone(),
        )
        .with_policy(Arc::new(WatchedPolicy::new(timeline.clone())));
        let worker = Worker::new(
            FanoutPorts {
                store: Arc::new(store.as_fanout()),
                connections: connections.clone(),
                clock: clock.clone(),
                entropy: entropy.clone(),
                stream_tokens: stream_tokens.clone(),
            },
            fleets.clone(),
        );
        let sharding = Arc::new(Sharding::new(worker, clock.clone()));
        reconciler = reconciler.with_fanout(sharding, FAN_OUT_ABOVE);
        if let Some(log) = config.decision_log {
            reconciler = reconciler.with_decision_log(log);
        }
        let (waker, orders) = Waker::new();
        let mint = tokens::Mint::new(
            entropy.as_ref(),
            config.fleet.clone(),
            &app,
            config.token_life,
        );
        let gate = Gate::open(
            (websocket, access),
            sockets.clone(),
            timeline.clone(),
            GatewayPorts {
                store: Arc::new(store.as_gateway()),
                connections,
                wake: Arc::new(waker.clone()),
                clock: clock.clone(),
                entropy,
                stream_tokens,
            },
            GatewayConfig {
                fleets,
                issuers: vec![mint.issuer()],
                hints: vec![Hint {
                    secret: secrets.hint.clone(),
                    fleet: config.fleet.clone(),
                }],
                origins: vec!["*".to_owned()],
                link: config.link,
                links: config.links,
                waits: config.waits,
                vendor_sdk: config.vendor_sdk,
            },
        )?;
        let tick = config.timing.tick;
        let reconciling = Reconciling::start(
            reconciler,
            clock.clone(),
            config.fleet.clone(),
            tick,
            orders,
        );
        let (websocket_url, access_url) = (gate.websocket_url(), gate.access_url());
        let parts = Arc::new(Parts {
            clock,
            fleet: config.fleet,
            store,
            sockets,
            ec2,
            media,
            timeline,
            waker,
            reconciling,
            mint,
            vendor_sdk: config.vendor_sdk,
            access_url: gate.access_url(),
            hint_secret: secrets.hint,
            gate: Mutex::new(gate),
        });
        let admin = AdminApi::serve(admin, parts.clone());
        Ok(Self {
            websocket_url,
            access_url,
            admin_url: admin.url(),
            app,
            background: Background(vec![drive(&parts), purge(&parts)]),
            ends_gate: EndsGate(parts.clone()),
            parts,
            admin,
            front,
        })
    }

    /// Mints a token, as an app's own backend would.
    ///
    /// # Errors
    /// The signature failed, which it does for no request that is known.
    pub fn token(&self, request: &TokenRequest) -> Result<Token, TokenError> {
        self.parts.token(request)
    }

    /// Mints a ticket, as an app's own backend would. It is refused while
    /// [`vendor_sdk`](LocalConfig::vendor_sdk) is off.
    ///
    /// # Errors
    /// The signature failed, which it does for no request that is known.
    pub fn ticket(&self, request: &TicketRequest) -> Result<Ticket, TokenError> {
        self.parts.ticket(request)
    }

    /// Returns what the vendor's SDK takes as its `httpEndpointUrl`.
    #[must_use]
    pub fn endpoint_url(&self, ticket: &Ticket) -> wakecast::Secret {
        ticket.endpoint_url(&self.access_url)
    }

    /// Returns the record of what happened.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.parts.timeline
    }

    /// Returns how many instances were launched; starts of stopped ones are not among them.
    #[must_use]
    pub fn launches(&self) -> usize {
        self.parts.timeline.count(Happened::Launched)
    }

    /// Returns the URL to which a media server would post its webhooks.
    #[must_use]
    pub fn hint_url(&self) -> wakecast::Secret {
        let secret = self.parts.hint_secret.expose();
        wakecast::Secret::new(format!("{}/v1/hints/{secret}", self.access_url))
    }

    /// Returns the simulated EC2, for scripts and the truth.
    #[must_use]
    pub fn ec2(&self) -> &SimulatedEc2 {
        &self.parts.ec2
    }

    /// Returns the gateway's sockets, for faults.
    #[must_use]
    pub fn sockets(&self) -> &Sockets {
        &self.parts.sockets
    }

    /// Cuts every socket of a subject without a Close frame. Returns how many there were.
    pub async fn cut(&self, subject: &str) -> usize {
        self.parts
            .cut(
                &Whose {
                    subject: Some(subject.to_owned()),
                    client_id: None,
                },
                false,
            )
            .await
    }

    /// Ends the gateway as a crash does: its sockets end without a Close frame, no `$disconnect`
    /// comes, and connects are refused until [`start_gateway`](Self::start_gateway). The table, the
    /// reconciler and the instances go on.
    pub async fn kill_gateway(&self) {
        self.parts.kill_gateway().await;
    }

    /// Starts the gateway again on its old ports, as a process that remembers nothing.
    ///
    /// # Errors
    /// Somebody else has taken a port meanwhile.
    pub async fn start_gateway(&self) -> Result<(), LocalError> {
        self.parts.start_gateway().await
    }

    /// Stops cleanly: clients get a Close frame with 1001, media servers end as on a shutdown, and
    /// every port is free when it returns.
    pub async fn stop(self) {
        drop(self.background);
        self.parts.sockets.close_all();
        self.parts.gate.lock().await.shut().await;
        drop(self.ends_gate);
        self.admin.shutdown().await;
        if let Some(front) = self.front {
            front.shutdown().await;
        }
        if let Media::StandIns(machines) = &self.parts.media {
            machines.stop_all().await;
        }
    }
}

/// Ends the gateway with its owner, whoever else still knows the parts.
#[derive(Debug)]
struct EndsGate(Arc<Parts>);

impl Drop for EndsGate {
    fn drop(&mut self) {
        // Somebody who is just ending or starting it holds it; then it ends with the parts.
        if let Ok(mut gate) = self.0.gate.try_lock() {
            gate.abandon();
        }
    }
}

/// Tasks that end with their owner.
#[derive(Debug)]
struct Background(Vec<JoinHandle<()>>);

impl Drop for Background {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

async fn listen(address: SocketAddr) -> Result<Listener, LocalError> {
    Listener::bind(address)
        .await
        .map_err(|source| LocalError::Port { address, source })
}

/// Looks at a real server, and returns the way to it.
async fn reach(
    real: &RealServer,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn MediaServer>, LocalError> {
    let scheme = if real.url.secure() {
        Scheme::Https { name: None }
    } else {
        Scheme::Http
    };
    let server = adapter(&real.server_secret, clock, scheme)?;
    real::check(server.as_ref(), real).await?;
    Ok(server)
}

fn adapter(
    secret: &wakecast::Secret,
    clock: &Arc<dyn Clock>,
    scheme: Scheme,
) -> Result<Arc<dyn MediaServer>, LocalError> {
    match HttpMediaServer::new(secret.clone(), clock.clone(), scheme) {
        Ok(server) => Ok(Arc::new(server)),
        Err(error) => Err(LocalError::Media(error.to_string())),
    }
}

/// Lets the simulated EC2's changes happen when they are due.
fn drive(parts: &Parts) -> JoinHandle<()> {
    let ec2 = parts.ec2.clone();
    tokio::spawn(async move { ec2.drive().await })
}

/// Removes expired items from the table, as the real one does by itself.
fn purge(parts: &Parts) -> JoinHandle<()> {
    let (store, clock) = (parts.store.clone(), parts.clock.clone());
    let connection_life = parts.sockets.limits().age + TELLING;
    tokio::spawn(async move {
        loop {
            clock.sleep_until(clock.now() + PURGE_EVERY).await;
            store.purge(clock.now(), connection_life);
        }
    })
}
