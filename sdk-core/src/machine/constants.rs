//! Every number of the machine, with its reason.

use std::time::Duration;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

// Links.

/// Opening a socket: mobile networks with a slow TLS handshake need several seconds.
pub(super) const CONNECT_TIMEOUT: Duration = secs(10);
/// `welcome` after `hello`: a cold start of the gateway's function fits.
pub(super) const WELCOME_TIMEOUT: Duration = secs(5);
/// An access check is one HTTPS request: as long as opening a socket.
pub(super) const ACCESS_TIMEOUT: Duration = CONNECT_TIMEOUT;
/// Flush of `close()`: a round trip on a slow network; an app that quits has not more time.
pub(super) const CLOSE_FLUSH: Duration = secs(1);
/// A normal close.
pub(super) const CLOSE_NORMAL: u16 = 1000;
/// Close code for a link that we give up as dead. The range 4000–4999 is for applications.
pub(super) const CLOSE_DEAD: u16 = 4000;
/// Three access checks in a row that found nothing wrong mean that something between blocks
/// WebSockets: one can be chance, two can be one hiccup.
pub(super) const CLEAN_CHECKS_BLOCKED: u32 = 3;

// Waiting. The rows of the delay itself are in `backoff`.

/// A wait is cut at most this often, so that a flapping network or an eager app does not turn
/// backoff into a storm.
pub(super) const CUT_INTERVAL: Duration = secs(5);
/// A link that held this long, and answered once, proves the service well: the backoff starts
/// anew. A server that accepts and closes at once never gets there.
pub(super) const STABLE_AFTER: Duration = secs(30);
/// Spread of reconnects until the server tells one.
pub(super) const SPREAD_UNTOLD: Duration = secs(5);
/// Below this a spread spreads nothing.
pub(super) const SPREAD_MIN: Duration = millis(250);
/// Above this a user would rather see an error: 105 000 clients at 350 connections a second.
pub(super) const SPREAD_MAX: Duration = secs(300);

// Gateways.

/// Attempts in a row that must find a gateway down before the next one is tried: one can be chance,
/// and a client on a bad network must not leave its region for that.
pub(super) const FAILOVER_AFTER: u8 = 2;
/// The preferred gateway is tried again this long after it was left or last tried. An outage lasts
/// minutes, and a client that is well where it is has time; a thousand of them that look every five
/// minutes are four attempts a second.
pub(super) const RETURN_AFTER: Duration = secs(5 * 60);
/// Further jitter of a return, at least: many left in the same minute.
pub(super) const RETURN_SPREAD: Duration = secs(60);

// Liveness.

/// Heartbeat while a request or an acquire is open: a dead link is noticed in under 40 s.
pub(super) const HEARTBEAT_BUSY: Duration = secs(25);
/// Shortest quiet heartbeat that is believed: each ping is billed.
pub(super) const HEARTBEAT_MIN: Duration = secs(10);
/// Longest quiet heartbeat that is believed: the gateway cuts after 10 min without a message.
pub(super) const HEARTBEAT_MAX: Duration = secs(9 * 60);
/// Answer to a heartbeat: bufferbloat on mobile networks reaches seconds.
pub(super) const PONG_TIMEOUT: Duration = secs(10);
/// Answer to a probe: somebody waits for it, so it is shorter than a heartbeat's.
pub(super) const PROBE_TIMEOUT: Duration = secs(3);
/// A liveness deadline that is handled this late says that we slept, not that the peer did.
pub(super) const LATE: Duration = secs(2);
/// A probe after a late deadline is repeated once: its answer may still be in the queue.
pub(super) const LATE_PROBES: u8 = 2;
/// An acknowledgement that misses for this long asks for a probe: a slow function is not a dead link.
pub(super) const ACK_TIMEOUT: Duration = secs(5);

// Rotation, as parts of `max_age_ms`: the gateway cuts at 2 h.

/// Earliest rotation: 1 h 35 min of 2 h.
pub(super) const ROTATE_FROM: f64 = 0.792;
/// Latest planned rotation, 1 h 55 min of 2 h; the range keeps a fleet from rotating at once.
pub(super) const ROTATE_TO: f64 = 0.958;
/// Last try of a rotation that was refused: 2 min before the cut, so that it cannot race it.
pub(super) const ROTATE_UNTIL: f64 = 0.983;
/// An age below this is not believed: rotating more often would be a storm.
pub(super) const MAX_AGE_MIN: Duration = secs(60);
/// The old link waits this long for its acknowledgements, as any request does.
pub(super) const ROTATION_DRAIN: Duration = ACK_TIMEOUT;
/// A rotation without a usable token looks again after this.
pub(super) const ROTATION_TOKEN_WAIT: Duration = secs(5);

// Tokens.

/// A token provider may show a login.
pub(super) const TOKEN_TIMEOUT: Duration = secs(15);
/// Provider calls are at least this far apart: short lives and refusals must not storm it.
pub(super) const TOKEN_INTERVAL: Duration = secs(5);
/// Further jitter before a provider that failed under a live link is asked again.
pub(super) const TOKEN_RETRY_JITTER: Duration = secs(5);
/// A refresh comes at the latest this long before the end.
pub(super) const TOKEN_MARGIN: Duration = secs(60);
/// A token with less left is not used to connect: the handshake itself may take this long.
pub(super) const TOKEN_MIN_LEFT: Duration = secs(10);
/// Fresh tokens that may be refused in a row: one can be a race with a key's rotation, two is a no.
pub(super) const FRESH_REFUSALS: u8 = 2;

// Requests.

/// Other requests than acquires end after this: longer than the gateway's 29 s for one call.
pub(super) const REQUEST_TIMEOUT: Duration = secs(30);
/// `publish` and `play` acquires, and the `endpoint` of a moving lease, are sent again this often:
/// the pull after a push that was lost.
pub(super) const RESEND_INTERVAL: Duration = secs(30);
/// `watch` acquires are sent again at least this often: they may wait for a day, and each message
/// is billed. They go out in place of the last ping before.
pub(super) const WATCH_RESEND_INTERVAL: Duration = secs(15 * 60);
/// Default deadline of `publish` and `play`: a cold start from a new image with one retry.
pub(super) const ACQUIRE_DEADLINE: Duration = secs(10 * 60);
/// Shortest deadline: less than this is not enough for a round trip.
pub(super) const DEADLINE_MIN: Duration = secs(1);
/// Requests that may wait for a link: more than a person causes.
pub(super) const QUEUE_REQUESTS: usize = 64;
/// Bytes that may wait for a link: eight messages of the largest size.
pub(super) const QUEUE_BYTES: usize = 256 * 1024;
/// Requests that may be open in all: bounds the memory of an app that asks in a loop.
pub(super) const OPEN_REQUESTS: usize = 256;
/// Acquisitions and leases in all: at most 200 bytes each, they fit into one `hello` of 32 KB.
pub(super) const ROWS: usize = 128;
/// Withdrawals that wait for a link without a waiter: one for each row.
pub(super) const FAREWELLS: usize = ROWS;
/// Longest id and fleet: keeps `hello` under its limit.
pub(super) const NAME_MAX: usize = 64;
/// Part of a message's size that does not depend on its texts.
pub(super) const MESSAGE_OVERHEAD: usize = 192;
/// A cached stream token with less left is fetched anew: a player needs some seconds to use it.
pub(super) const STREAM_TOKEN_MIN_LEFT: Duration = secs(10);

// Proof of an endpoint.

/// One try: DNS, TCP, TLS, upgrade and a ping.
pub(super) const PROOF_TRY: Duration = secs(5);
/// Pause between tries, and its jitter: 1–3 s.
pub(super) const PROOF_PAUSE: Duration = secs(1);
/// See [`PROOF_PAUSE`].
pub(super) const PROOF_PAUSE_JITTER: Duration = secs(2);
/// Tries go on for this long: a fresh address may need that until every resolver knows it.
pub(super) const PROOF_WINDOW: Duration = secs(30);

// Progress.

/// People read a progress bar about once a second.
pub(super) const PROGRESS_TICK: Duration = secs(1);
