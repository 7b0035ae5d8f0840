//! The seams to the world. Adapters behind them hold no decisions.
//!
//! Every future is boxed and `Send`, so that ports can be swapped at run time and driven by tokio
//! as well as by the simulation's virtual clock. Dropping a future stands for a crash at that
//! await: the call may or may not have taken effect.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wakecast::Secret;

use crate::fanout::Errand;
use crate::model::{BootId, ConnectionId, FleetKey, InstanceId, Intent, Timestamp};

pub use crate::store::Store;

/// EC2, for one stack. One attempt a call: the caller decides about repetition.
#[async_trait]
pub trait Fleet: Send + Sync + fmt::Debug {
    /// Lists the fleet's instances by tag, in every state EC2 still shows, all pages.
    async fn describe(&self, fleet: &FleetKey) -> Result<Vec<Ec2Instance>, Ec2Error>;

    /// Sends `RunInstances` with the token; the same token and parameters give the same instance.
    async fn run(
        &self,
        fleet: &FleetKey,
        launch: &Intent,
        token: &str,
    ) -> Result<Ec2Instance, Ec2Error>;

    /// Sends `StartInstances` for one instance.
    async fn start(&self, instance: &InstanceId) -> Result<(), Ec2Error>;

    /// Sends `StopInstances` for one instance.
    async fn stop(&self, instance: &InstanceId) -> Result<(), Ec2Error>;

    /// Puts the fleet's Elastic IP on the instance.
    async fn associate(&self, fleet: &FleetKey, instance: &InstanceId) -> Result<(), Ec2Error>;

    /// Takes the fleet's Elastic IP off.
    async fn disassociate(&self, fleet: &FleetKey) -> Result<(), Ec2Error>;
}

/// An instance as EC2 shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ec2Instance {
    /// Its id.
    pub id: InstanceId,
    /// Its state.
    pub state: Ec2State,
    /// Its type.
    pub instance_type: String,
    /// Its availability zone.
    pub zone: String,
    /// Its own public address while it runs without an Elastic IP: host or host and port.
    pub address: Option<String>,
    /// The fleet's Elastic IP is on it.
    pub elastic: bool,
    /// The intent's number from its tag.
    pub sequence: Option<u64>,
    /// Reset at every start.
    pub launched_at: Timestamp,
    /// Tagged `wakecast:hold`.
    pub hold: bool,
}

/// EC2's instance states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ec2State {
    /// Starting.
    Pending,
    /// Running, which says nothing of the media server.
    Running,
    /// Stopping.
    Stopping,
    /// Stopped; the disk is kept.
    Stopped,
    /// Being terminated.
    ShuttingDown,
    /// Gone.
    Terminated,
}

/// Why an EC2 call failed, by what follows from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Ec2Error {
    /// This offering has no capacity now.
    #[error("no capacity: {0}")]
    Capacity(String),
    /// An account limit is reached.
    #[error("an account limit is reached: {0}")]
    Quota(String),
    /// Too many requests; the call had no effect.
    #[error("throttled: {0}")]
    Throttled(String),
    /// It is not known whether the call had an effect.
    #[error("no definite answer: {0}")]
    Ambiguous(String),
    /// The instance is not in a state for the call.
    #[error("wrong instance state: {0}")]
    State(String),
    /// EC2 does not know the instance, or not yet.
    #[error("instance not found: {0}")]
    NotFound(String),
    /// Image, template or parameters are wrong.
    #[error("wrong configuration: {0}")]
    Config(String),
    /// Permission is missing.
    #[error("not permitted: {0}")]
    Auth(String),
    /// The token was used with other parameters.
    #[error("token reused with other parameters: {0}")]
    TokenMismatch(String),
}

/// One media server at one address. A probe answers within two seconds, a sample within five.
#[async_trait]
pub trait MediaServer: Send + Sync + fmt::Debug {
    /// Root `liveness`, without a token.
    async fn liveness(&self, address: &str) -> Result<(), MediaError>;

    /// Names of the running apps.
    async fn applications(&self, address: &str) -> Result<Vec<String>, MediaError>;

    /// One setting of an app, through the root API.
    async fn setting(
        &self,
        address: &str,
        app: &str,
        name: &str,
    ) -> Result<Option<Value>, MediaError>;

    /// One `ping` on the app's WebSocket, answered by `pong`.
    async fn ping(&self, address: &str, app: &str) -> Result<(), MediaError>;

    /// One `ping` through a public endpoint.
    async fn ping_endpoint(&self, websocket_url: &str) -> Result<(), MediaError>;

    /// The server's load.
    async fn load(&self, address: &str) -> Result<Load, MediaError>;
}

/// Why a look at a media server gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum MediaError {
    /// Refused, silent, an empty 500, a closed handshake, `not_initialized_yet`.
    #[error("not answering yet: {0}")]
    NotYet(String),
    /// 403.
    #[error("forbidden: {0}")]
    Forbidden(String),
    /// An answer that cannot be read.
    #[error("unreadable answer: {0}")]
    Malformed(String),
}

/// What `system-resources` said. `None` where the server does not measure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// `localLiveStreams`.
    pub live_streams: Option<u64>,
    /// `localWebRTCLiveStreams`.
    pub webrtc_streams: Option<u64>,
    /// `localWebRTCViewers`.
    pub webrtc_viewers: Option<u64>,
    /// `localHLSViewers`.
    pub hls_viewers: Option<u64>,
    /// `localDASHViewers`.
    pub dash_viewers: Option<u64>,
    /// `server-timing.start-time`, in milliseconds of the server's own clock.
    pub start_time_ms: Option<u64>,
}

/// `@connections` of the API Gateway.
#[async_trait]
pub trait Connections: Send + Sync + fmt::Debug {
    /// Sends one text message.
    async fn post(&self, connection: &ConnectionId, text: &str) -> Result<(), PostError>;

    /// Closes the socket.
    async fn delete(&self, connection: &ConnectionId) -> Result<(), PostError>;
}

/// Why a push did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// 410: closed, or still inside `$connect`.
    #[error("the connection is gone")]
    Gone,
    /// 429.
    #[error("too many posts")]
    Throttled,
    /// 403: the endpoint, its stage or the function's role is wrong.
    #[error("posting is forbidden")]
    Forbidden,
    /// Anything else.
    #[error("the gateway did not answer")]
    Unavailable,
}

/// Makes the reconciler run soon. A hint: the tick is the guarantee.
#[async_trait]
pub trait Wake: Send + Sync + fmt::Debug {
    /// Asks for one run for the fleet.
    async fn wake(&self, fleet: &FleetKey);
}

/// Invokes the fan-out, for the reconciler alone. Sent is not done: an errand may be lost, late, or
/// carried out twice.
#[async_trait]
pub trait Fanout: Send + Sync + fmt::Debug {
    /// Sends one shard its errand, without waiting for its end.
    ///
    /// # Errors
    /// It was surely not sent: the caller does it itself.
    async fn send(&self, errand: &Errand) -> Result<(), NotSent>;
}

/// An errand was surely not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the fan-out was not invoked: {0}")]
pub struct NotSent(pub String);

/// Time.
#[async_trait]
pub trait Clock: Send + Sync + fmt::Debug {
    /// Returns the present moment.
    fn now(&self) -> Timestamp;

    /// Returns once `deadline` has come.
    async fn sleep_until(&self, deadline: Timestamp);
}

/// Chance.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Draws 64 random bits.
    fn next_u64(&self) -> u64;
}

/// Mints what a client needs to reach a stream.
pub trait StreamTokens: Send + Sync + fmt::Debug {
    /// Mints a token for one stream and purpose that ends at `expires_at`; `None` where the media
    /// server takes none.
    fn mint(
        &self,
        app: &str,
        stream_id: &str,
        publish: bool,
        expires_at: Timestamp,
    ) -> Option<Secret>;
}

/// The boot an instance must still be in for a grant to hold.
pub type BootOf = (InstanceId, BootId);
