//! One peer connection of the library, behind the one way to use it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use str0m::change::SdpPendingOffer;
use str0m::format::{CodecConfig, PayloadParams};
use str0m::media::{MediaKind, Mid};
use str0m::rtp::{RtpPacket, Ssrc};
use str0m::{Candidate, Event, IceConnectionState, Output, Rtc};

use super::{Leg, Refusal, mids};

/// Candidates taken from one peer: a browser sends a few for each of its networks, and each one
/// is a pair that is checked.
const MAX_CANDIDATES: usize = 32;

/// One connection and what it is for.
pub(super) struct Session {
    rtc: Rtc,
    pub(super) leg: Leg,
    pub(super) part: Part,
    /// When the library wants to be told the time.
    pub(super) timeout: Instant,
    candidates: usize,
}

/// What a connection is for.
pub(super) enum Part {
    Publisher(Publisher),
    Viewer(Viewer),
}

/// A connection that media comes from.
#[derive(Default)]
pub(super) struct Publisher {
    pub(super) viewers: BTreeSet<u64>,
    pub(super) tracks: BTreeMap<Mid, Incoming>,
    /// When the last packet came.
    pub(super) last_media: Option<u64>,
    /// Whether the signalling knows of a silence.
    pub(super) quiet: bool,
    /// When a keyframe was last asked for.
    pub(super) asked_at: Option<u64>,
    /// A keyframe is wanted that was not asked for yet.
    pub(super) keyframe_wanted: bool,
}

/// One audio or video of a publisher.
#[derive(Debug, Clone, Copy)]
pub(super) struct Incoming {
    pub(super) kind: MediaKind,
    /// The one encoding that is passed on; others of the same track are not.
    pub(super) ssrc: Option<Ssrc>,
}

/// A connection that media goes to.
pub(super) struct Viewer {
    pub(super) publisher: u64,
    /// The offer that was not answered yet.
    pub(super) pending: Option<SdpPendingOffer>,
    pub(super) connected: bool,
    /// It is given up if it is not connected by then.
    pub(super) deadline: u64,
    /// By the publisher's track.
    pub(super) tracks: BTreeMap<Mid, Outgoing>,
}

/// One audio or video to a viewer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing {
    pub(super) mid: Mid,
    /// What is taken off the publisher's sequence numbers.
    pub(super) offset: Option<u64>,
}

/// What the library told.
pub(super) enum Noted {
    Connected,
    Media(Mid, Box<RtpPacket>),
    KeyframeWanted,
    /// The peer answers no checks.
    Unreachable,
    /// The peer closed, or the connection broke.
    Gone,
}

/// What one act led to.
pub(super) struct Driven<T> {
    pub(super) result: Result<T, Refusal>,
    pub(super) noted: Vec<Noted>,
    /// Datagrams to send.
    pub(super) sent: Vec<(SocketAddr, Vec<u8>)>,
}

impl<T> Driven<T> {
    /// Takes the result out, once.
    pub(super) fn take(&mut self) -> Result<T, Refusal> {
        std::mem::replace(&mut self.result, Err(Refusal::Description))
    }
}

impl Session {
    /// A connection that knows no peer yet, restricted to `codecs` if there are any.
    pub(super) fn new(
        now: Instant,
        address: SocketAddr,
        leg: Leg,
        part: Part,
        codecs: Option<Vec<PayloadParams>>,
    ) -> Option<Self> {
        let rtc = guarded(|| {
            let mut config = Rtc::builder()
                .set_rtp_mode(true)
                .clear_codecs()
                .enable_opus(true, false)
                .enable_vp8(true)
                .enable_h264(true);
            if let Some(codecs) = codecs {
                *config.codec_config() = CodecConfig::new_from_payload_params(codecs);
            }
            let mut rtc = config.build(now);
            rtc.add_local_candidate(Candidate::host(address, "udp").ok()?);
            Some(rtc)
        })??;
        Some(Self {
            rtc,
            leg,
            part,
            timeout: now,
            candidates: 0,
        })
    }

    /// Does one thing to the library and then takes everything it has to say, which is its
    /// contract. A connection over which it panics is over, and nothing else is.
    pub(super) fn drive<T>(
        &mut self,
        act: impl FnOnce(&mut Rtc) -> Result<T, Refusal>,
    ) -> Driven<T> {
        let (mut noted, mut sent) = (Vec::new(), Vec::new());
        let result = guarded(|| {
            let result = act(&mut self.rtc);
            self.timeout = drain(&mut self.rtc, &mut noted, &mut sent);
            result
        });
        if result.is_none() || !self.rtc.is_alive() {
            noted.push(Noted::Gone);
        }
        Driven {
            result: result.unwrap_or(Err(Refusal::Description)),
            noted,
            sent,
        }
    }

    /// Whether a datagram is for this connection.
    pub(super) fn accepts(&self, input: &str0m::Input<'_>) -> bool {
        self.rtc.accepts(input)
    }

    /// The codecs agreed on for the tracks of a publisher.
    pub(super) fn codecs(&self, tracks: &BTreeMap<Mid, Incoming>) -> Vec<PayloadParams> {
        let agreed: Vec<_> = tracks
            .keys()
            .filter_map(|mid| self.rtc.media(*mid))
            .flat_map(|media| media.remote_pts())
            .collect();
        let known = self.rtc.codec_config().params().iter();
        known
            .filter(|params| agreed.contains(&&params.pt()))
            .copied()
            .collect()
    }

    /// Reads a peer's candidate. `None` for one that cannot be read, such as a name instead of an
    /// address: the peer's own checks show where it is.
    pub(super) fn candidate(&mut self, text: &str) -> Option<Candidate> {
        if self.candidates >= MAX_CANDIDATES {
            return None;
        }
        self.candidates += 1;
        guarded(|| Candidate::from_sdp_string(text).ok()).flatten()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("leg", &self.leg)
            .finish_non_exhaustive()
    }
}

/// The tracks that a peer sends us, going by our answer to it.
pub(super) fn incoming(rtc: &Rtc, answer: &str) -> BTreeMap<Mid, Incoming> {
    let media = mids(answer).filter_map(|mid| rtc.media(mid.into()));
    let sent = media.filter(|media| {
        media.direction().is_receiving() && !media.stopped() && !media.remote_pts().is_empty()
    });
    sent.map(|media| {
        let kind = media.kind();
        (media.mid(), Incoming { kind, ssrc: None })
    })
    .collect()
}

/// The library promises to panic on no input. Should it break that, one session is lost.
pub(super) fn guarded<T>(act: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(act)).ok()
}

fn drain(rtc: &mut Rtc, noted: &mut Vec<Noted>, sent: &mut Vec<(SocketAddr, Vec<u8>)>) -> Instant {
    loop {
        match rtc.poll_output() {
            Ok(Output::Timeout(at)) => return at,
            Ok(Output::Transmit(transmit)) => {
                sent.push((transmit.destination, transmit.contents.to_vec()));
            }
            Ok(Output::Event(event)) => noted.extend(note(rtc, event)),
            // It repeats what a peer sent; that the connection ends is told by its end.
            Err(_) => rtc.disconnect(),
        }
    }
}

fn note(rtc: &mut Rtc, event: Event) -> Option<Noted> {
    Some(match event {
        Event::Connected => Noted::Connected,
        Event::RtpPacket(packet) => {
            let mid = rtc.direct_api().stream_rx(&packet.header.ssrc)?.mid();
            Noted::Media(mid, Box::new(packet))
        }
        Event::KeyframeRequest(_) => Noted::KeyframeWanted,
        Event::IceConnectionStateChange(IceConnectionState::Disconnected) => Noted::Unreachable,
        Event::Closed => Noted::Gone,
        _ => return None,
    })
}
