//! Real media: what publishers send reaches their viewers, over WebRTC.
//!
//! A [`Plane`] is a state machine like the model that holds it: datagrams, descriptions and time
//! come in, datagrams and happenings come out. It forwards RTP packets as they are; nothing is
//! decoded, stored or transcoded. Without the feature `media` the type has no value, and the
//! signalling alone is modelled.

#![cfg_attr(
    not(feature = "media"),
    allow(dead_code, reason = "nothing becomes of connections that cannot be")
)]

#[cfg(feature = "media")]
mod forward;
#[cfg(feature = "media")]
mod plane;
#[cfg(not(feature = "media"))]
#[path = "absent.rs"]
mod plane;
#[cfg(feature = "media")]
mod session;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(super) use plane::Plane;

use super::exchange::SocketId;

/// How a stand-in carries real media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebRtc {
    /// The UDP address of every session, and the one candidate that peers are told. On a real
    /// port 0 picks a free one.
    pub address: SocketAddr,
}

impl WebRtc {
    /// Whether this build can carry media: the feature `media`.
    pub const AVAILABLE: bool = cfg!(feature = "media");

    /// On this machine only: a free port of 127.0.0.1.
    pub const LOOPBACK: Self = Self::on(IpAddr::V4(Ipv4Addr::LOCALHOST));

    /// On a free port of `address`. Anything but loopback lets others in, and nothing but stream
    /// tokens guards a stand-in.
    pub const fn on(address: IpAddr) -> Self {
        Self {
            address: SocketAddr::new(address, 0),
        }
    }
}

/// One peer connection: who, what, and which way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Leg {
    pub(super) socket: SocketId,
    pub(super) way: Way,
    pub(super) stream: String,
}

/// Which way the media of a connection flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// From a publisher.
    Publish,
    /// To a viewer.
    Play,
}

impl Leg {
    pub(super) fn new(socket: SocketId, way: Way, stream: &str) -> Self {
        Self {
            socket,
            way,
            stream: stream.to_owned(),
        }
    }
}

/// What the plane does on its own; drained after every input.
#[derive(Debug)]
pub(super) enum Carried {
    /// A datagram to a peer.
    Datagram { to: SocketAddr, bytes: Vec<u8> },
    /// Something that the signalling has to know.
    Happened(Leg, Happening),
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happening {
    /// The first packet of a publisher came, or the first after a silence.
    Flowing,
    /// A publisher sends nothing; its last packet came at this time.
    Quiet { since: u64 },
    /// A viewer is connected and media is on its way.
    Connected,
    /// The peer closed, or cannot be reached any more.
    Ended,
}

/// Why a description leads to no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It cannot be read, or does not fit what was offered.
    Description,
    /// It holds no audio or video that can be passed on.
    Codecs,
    /// As many connections as the stand-in carries are open.
    Full,
}

impl Refusal {
    /// The vendor's word for it.
    pub(super) fn definition(self, way: Way) -> &'static str {
        match (self, way) {
            (Self::Description, _) => "notSetRemoteDescription",
            (Self::Codecs, _) => "no_codec_enabled_in_the_server",
            (Self::Full, Way::Publish) => "highResourceUsage",
            (Self::Full, Way::Play) => "viewerLimitReached",
        }
    }
}

/// The names of a description's media, in order.
pub(super) fn mids(description: &str) -> impl Iterator<Item = &str> {
    description
        .lines()
        .filter_map(|line| line.strip_prefix("a=mid:"))
}
