//! What a running cloud consists of, for its owner and its admin.

use std::sync::Arc;

use tokio::sync::Mutex;
use wakecast::Secret;
use wakecast_lambda::model::{Connection, FleetKey};
use wakecast_lambda::ports::{Clock, Entropy, Store};
use wakecast_lambda::store::memory::MemoryStore;

use super::LocalError;
use super::config::{APP, LocalConfig};
use super::gate::Gate;
use super::machines::MediaMachines;
use super::reconciling::{Last, Reconciling, Waker};
use super::timeline::Timeline;
use super::tokens::{Mint, Ticket, TicketRequest, Token, TokenError, TokenRequest, random_secret};
use crate::ec2::{Machines, SimulatedEc2};
use crate::gateway::Sockets;
use crate::media::{AppConfig, MediaConfig};
use crate::real::RealMachines;

/// The parts that outlive the start.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) fleet: FleetKey,
    pub(crate) store: MemoryStore,
    pub(crate) sockets: Sockets,
    pub(crate) ec2: Arc<SimulatedEc2>,
    pub(crate) media: Media,
    pub(crate) timeline: Timeline,
    pub(super) waker: Waker,
    pub(super) reconciling: Reconciling,
    pub(super) mint: Mint,
    pub(crate) vendor_sdk: bool,
    pub(crate) access_url: String,
    pub(super) hint_secret: Secret,
    pub(super) gate: Mutex<Gate>,
}

/// What runs on the instances.
#[derive(Debug)]
pub(crate) enum Media {
    /// A stand-in on each.
    StandIns(MediaMachines),
    /// A real server behind all of them.
    Real(RealMachines),
}

impl Media {
    pub(super) fn machines(&self) -> Box<dyn Machines> {
        match self {
            Self::StandIns(machines) => Box::new(machines.clone()),
            Self::Real(machines) => Box::new(machines.clone()),
        }
    }
}

/// Whose sockets; what is `None` matches any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whose {
    pub(crate) subject: Option<String>,
    pub(crate) client_id: Option<String>,
}

impl Parts {
    /// Lists the open connections with what the table knows of them.
    pub(crate) async fn connections(&self) -> Vec<Connection> {
        let mut known = Vec::new();
        for (id, _) in self.sockets.open() {
            if let Ok(Some(connection)) = self.store.connection(&id).await {
                known.push(connection);
            }
        }
        known
    }

    /// Cuts sockets without a Close frame. Returns how many there were.
    pub(crate) async fn cut(&self, whose: &Whose, silent: bool) -> usize {
        let mut cut = 0;
        for connection in self.connections().await {
            let subject = &connection.grants.subject;
            let is_subject = whose
                .subject
                .as_ref()
                .is_none_or(|wanted| wanted == subject);
            let is_client = whose.client_id.is_none() || whose.client_id == connection.client_id;
            if is_subject && is_client {
                self.sockets.cut(&connection.id, silent);
                cut += 1;
            }
        }
        cut
    }

    /// Ends the gateway as a crash does.
    pub(crate) async fn kill_gateway(&self) {
        self.gate.lock().await.kill().await;
    }

    /// Returns whether nobody serves as the gateway.
    pub(crate) async fn gateway_is_down(&self) -> bool {
        !self.gate.lock().await.serves()
    }

    /// Starts the gateway again, unless it serves.
    pub(crate) async fn start_gateway(&self) -> Result<(), LocalError> {
        self.gate.lock().await.reopen().await
    }

    /// Mints a token.
    pub(crate) fn token(&self, request: &TokenRequest) -> Result<Token, TokenError> {
        self.mint.mint(self.clock.as_ref(), request)
    }

    /// Mints a ticket.
    pub(crate) fn ticket(&self, request: &TicketRequest) -> Result<Ticket, TokenError> {
        self.mint.ticket(self.clock.as_ref(), request)
    }

    /// Ends the reconciler's runs under way, wherever they are.
    pub(crate) fn crash_reconciler(&self) {
        self.waker.crash();
    }

    /// Returns what is known of the reconciler's runs.
    pub(crate) fn last_run(&self) -> Last {
        self.reconciling.last()
    }
}

/// Secrets of one cloud, drawn at its start.
pub(super) struct Secrets {
    /// The server's own JWT control.
    pub(super) server: Secret,
    /// The app's stream tokens.
    pub(super) stream: Secret,
    /// The hint path.
    pub(super) hint: Secret,
}

impl Secrets {
    pub(super) fn draw(entropy: &dyn Entropy) -> Self {
        Self {
            server: random_secret(entropy),
            stream: random_secret(entropy),
            hint: random_secret(entropy),
        }
    }

    /// Installs a media server that knows them.
    pub(super) fn media_config(&self, config: &LocalConfig) -> MediaConfig {
        let app = AppConfig::new(APP).with_stream_tokens(self.stream.expose());
        MediaConfig {
            webrtc: config.webrtc,
            ..MediaConfig::enterprise()
        }
        .with_apps([app])
        .with_server_secret(self.server.expose())
        .with_boot(config.boot)
    }
}
