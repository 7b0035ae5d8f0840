//! The gateways of a service, in order of preference: which one an attempt goes to, when the client
//! moves on to the next, and how it comes back.
//!
//! Rows live in the region of their gateway. So the client moves only while it is unbound: it holds
//! no lease, and no acquire has an unknown outcome. A reconnect that holds something stays.

use std::time::Duration;

use super::backoff::CAP;
use super::constants::{
    FAILOVER_AFTER, RETURN_AFTER, RETURN_SPREAD, ROTATION_TOKEN_WAIT, SPREAD_UNTOLD, STABLE_AFTER,
};
use super::input::{Refusal, TransportEnd};
use super::links::{Link, LinkEnd, LinkStage};
use super::sorted::SortedMap;
use super::{Intent, Machine};
use crate::{ErrorCode, Instant};

/// How many gateways can be configured: more regions than a service has.
pub(super) const MAX_GATEWAYS: u8 = 8;

/// Names a gateway by its place in the order of preference; 0 is the preferred one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct GatewayIndex(pub u8);

impl GatewayIndex {
    /// The first in the order.
    pub const PREFERRED: Self = Self(0);
}

/// What is known of one gateway.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// Until when its `Retry-After` forbids an attempt. Only time or a proved link lifts it.
    pub(super) floor: Option<Instant>,
    /// Over how long it wants reconnects to spread; `None` until it has told.
    pub(super) spread: Option<Duration>,
    /// Whether its last refusal said nothing, so that an access check comes before the next attempt.
    pub(super) check_owed: bool,
    /// Attempts in a row that found it down.
    failures: u8,
}

/// Which gateway is used, and what is known of all.
#[derive(Debug, Default)]
pub(super) struct Gateways {
    /// That of the link, or of the attempt that is under way or was the last.
    current: GatewayIndex,
    /// That of the next attempt.
    next: GatewayIndex,
    pub(super) here: Known,
    /// Empty until the first move.
    others: SortedMap<GatewayIndex, Known>,
    /// Before this the preferred gateway is not tried again, unless it is its turn.
    return_from: Instant,
    /// While idle on another gateway: when the preferred one is tried.
    return_at: Option<Instant>,
}

impl Gateways {
    /// The gateway of the link, or of the attempt that is under way or was the last.
    pub(super) fn current(&self) -> GatewayIndex {
        self.current
    }

    /// Whether the next attempt goes to another gateway than the last.
    pub(super) fn moves(&self) -> bool {
        self.next != self.current
    }

    fn known(&self, gateway: GatewayIndex) -> Known {
        if gateway == self.current {
            self.here
        } else {
            self.others.get(&gateway).copied().unwrap_or_default()
        }
    }

    /// Until when no attempt may be made at a gateway; `None` once that has passed.
    fn floor_of(&self, gateway: GatewayIndex, now: Instant) -> Option<Instant> {
        self.known(gateway).floor.filter(|floor| *floor > now)
    }

    /// Until when the next attempt may not be made.
    pub(super) fn floor(&self, now: Instant) -> Option<Instant> {
        self.floor_of(self.next, now)
    }

    /// Over how long reconnects spread. A crowd that moves must fit where it goes and is as large as
    /// where it comes from: the larger of the two.
    pub(super) fn spread(&self) -> Duration {
        let told = |gateway| self.known(gateway).spread.unwrap_or(SPREAD_UNTOLD);
        match self.known(self.next).spread {
            _ if !self.moves() => told(self.current),
            None => told(self.current),
            Some(there) => there.max(told(self.current)),
        }
    }

    /// What was learnt about refusals is about another network.
    pub(super) fn forget_checks(&mut self) {
        self.here.check_owed = false;
        for known in self.others.values_mut() {
            known.check_owed = false;
        }
    }

    /// What was learnt about who can be reached is about another network, or is mended.
    fn forget_failures(&mut self) {
        self.here.failures = 0;
        for known in self.others.values_mut() {
            known.failures = 0;
        }
    }

    /// The gateway has answered: it is not down.
    pub(super) fn answered(&mut self) {
        self.here.failures = 0;
    }

    fn go(&mut self, to: GatewayIndex) {
        let there = self.others.remove(&to).unwrap_or_default();
        let left = std::mem::replace(&mut self.here, there);
        self.others.insert(self.current, left);
        (self.current, self.next) = (to, to);
    }
}

impl Machine {
    /// Returns the gateway of the link, or of the attempt that is under way or was the last.
    pub fn gateway(&self) -> GatewayIndex {
        self.gateways.current()
    }

    /// Whether rows live, or may live, in the current gateway's region. A lease that is being given
    /// back counts while somebody waits for that; what nobody waits for does not, since a region
    /// forgets absent rows by itself after 120 s.
    fn bound(&self) -> bool {
        !self.leases.is_empty()
            || (self.acquisitions.values()).any(|open| open.asked.may_stand())
            || self.requests.gives_back()
    }

    /// Whether nothing is held, waited for or on its way.
    fn idle(&self) -> bool {
        self.leases.is_empty() && self.acquisitions.is_empty() && self.requests.only_renewals()
    }

    /// Chooses the gateway of the next attempt.
    pub(super) fn choose_gateway(&mut self) {
        let (count, now) = (self.config.gateways(), self.now);
        let current = self.gateways.current;
        if count == 1 || self.link_live() || self.bound() {
            self.gateways.next = current;
            return;
        }
        let open = |gateway: &GatewayIndex| self.gateways.floor_of(*gateway, now).is_none();
        let its_turn = current != GatewayIndex::PREFERRED && self.gateways.return_from <= now;
        self.gateways.next = if its_turn && open(&GatewayIndex::PREFERRED) {
            GatewayIndex::PREFERRED
        } else if self.gateways.here.failures < FAILOVER_AFTER {
            current
        } else {
            let after = (1..=count).map(|step| GatewayIndex((current.0 + step) % count));
            let soonest = || {
                let floor = |gateway: &GatewayIndex| self.gateways.known(*gateway).floor;
                after.clone().min_by_key(floor)
            };
            (after.clone().find(open).or_else(soonest)).unwrap_or(current)
        };
    }

    /// Another network: who can be reached is open again, the preferred gateway first.
    pub(super) fn gateways_on_new_network(&mut self) {
        self.gateways.forget_checks();
        self.gateways.forget_failures();
        self.gateways.return_from = self.now;
        self.choose_gateway();
    }

    /// The app has mended what made the client fail.
    pub(super) fn gateways_start_over(&mut self) {
        self.gateways.forget_failures();
        self.gateways.return_from = self.now;
        self.choose_gateway();
    }

    /// An attempt begins: goes to the chosen gateway, and returns it.
    pub(super) fn attempt_gateway(&mut self) -> GatewayIndex {
        let (next, failures) = (self.gateways.next, self.gateways.here.failures);
        if next != self.gateways.current && !self.bound() {
            self.move_to(next);
            // One that was left while it was well is tried once: the other is known to work.
            let only_looks = failures < FAILOVER_AFTER;
            self.gateways.here.failures = if only_looks { FAILOVER_AFTER - 1 } else { 0 };
        }
        self.gateways.next = self.gateways.current;
        self.gateways.current
    }

    /// Another gateway is the current one from here on.
    pub(super) fn move_to(&mut self, gateway: GatewayIndex) {
        if gateway == self.gateways.current {
            return;
        }
        if self.gateways.current == GatewayIndex::PREFERRED {
            self.gateways.return_from = self.now + RETURN_AFTER;
        }
        self.gateways.go(gateway);
        self.gateways.return_at = None;
        // Withdrawals were meant for the other region, which forgets absent rows by itself.
        let _ = self.requests.take_all(super::requests::Request::farewell);
    }

    /// A link or an attempt has ended: what that says about its gateway.
    pub(super) fn judge_gateway(&mut self, link: &Link, end: &LinkEnd) {
        let live = link.stage == LinkStage::Live;
        if live && self.now.since(link.live_since) >= STABLE_AFTER {
            self.gateways.here.failures = 0;
        } else if !self.environment.offline {
            let failures = &mut self.gateways.here.failures;
            *failures = failures.saturating_add(end.counts_against_gateway(live));
        }
    }

    /// A gateway has welcomed us.
    pub(super) fn arrived(&mut self) {
        self.gateways.here.floor = None;
        self.gateways.here.check_owed = false;
        let earliest = self.now + RETURN_AFTER;
        self.gateways.return_from = self.gateways.return_from.max(earliest);
    }

    /// Whether the next link of a rotation leads to another gateway.
    pub(super) fn returning(&self) -> bool {
        let successor = self.links.successor.as_ref();
        successor.is_some_and(|link| link.gateway != self.gateways.current)
    }

    /// When the preferred gateway is tried from a link to another one.
    pub(super) fn return_due(&self) -> Option<Instant> {
        self.gateways.return_at
    }

    /// Whether this is a moment for the way back: idle on a link to another gateway than the preferred.
    fn may_return(&self) -> bool {
        self.gateways.current != GatewayIndex::PREFERRED
            && self.intent == Intent::Open
            && self.link_live()
            && self.idle()
            && self.links.successor.is_none()
            && self.links.draining.is_none()
    }

    /// Plans the way back while nothing binds us, and gives it up as soon as something does: what is
    /// asked for now is asked for here.
    pub(super) fn plan_return(&mut self) {
        if self.returning()
            && !self.idle()
            && let Some(successor) = self.links.successor.take()
        {
            self.note_own_end(&successor);
            self.close_normally(successor.epoch);
        }
        if !self.may_return() {
            self.gateways.return_at = None;
        } else if self.gateways.return_at.is_none() {
            let known = self.gateways.known(GatewayIndex::PREFERRED);
            // A crowd that becomes idle at once must not come at once.
            let crowd = known.spread.unwrap_or(SPREAD_UNTOLD);
            let crowd = crowd.max(self.gateways.spread());
            let range = RETURN_SPREAD.max(crowd.saturating_mul(2));
            let from = self.gateways.return_from.max(self.now);
            let from = known.floor.map_or(from, |floor| floor.max(from));
            self.gateways.return_at = Some(from + self.random.up_to(range));
        }
    }

    /// Fires the way back: the next link is made to the preferred gateway, the old one stays until
    /// it is welcomed.
    pub(super) fn fire_return(&mut self) {
        if self.return_due().is_none_or(|at| at > self.now) || !self.may_return() {
            return;
        }
        let token = self.tokens.usable(self.now).cloned();
        match token.filter(|_| !self.renewing()) {
            Some(token) => {
                self.gateways.return_at = None;
                self.gateways.return_from = self.now + RETURN_AFTER;
                let link = self.open_link(token, GatewayIndex::PREFERRED);
                self.links.successor = Some(link);
            }
            None => self.gateways.return_at = Some(self.now + ROTATION_TOKEN_WAIT),
        }
    }

    /// The way back has failed: the link that works stays, and the next try is as calm.
    pub(super) fn return_failed(&mut self, gateway: GatewayIndex, retry_after: Option<Duration>) {
        let floor = retry_after.map(|floor| self.now + floor);
        let others = &mut self.gateways.others;
        let mut known = others.get(&gateway).copied().unwrap_or_default();
        known.floor = known.floor.max(floor);
        others.insert(gateway, known);
        self.gateways.return_from = self.now + RETURN_AFTER;
    }
}

impl LinkEnd {
    /// How much it counts as a sign that the gateway itself is down: nothing, one attempt, or enough
    /// to move on at once.
    ///
    /// An answer of the service counts nothing: a refused token is refused elsewhere too, and 429
    /// says that the region works and the crowd must slow down. Moving that crowd would only empty
    /// the other region's quota as well. Neither does an end of our own making: a link that went
    /// silent, most likely with our network.
    fn counts_against_gateway(&self, was_live: bool) -> u8 {
        // Told to wait for longer than the longest backoff there is nothing to try here again.
        let unavailable = |retry_after: &Option<Duration>| match retry_after {
            Some(wait) if *wait > CAP => FAILOVER_AFTER,
            _ => 1,
        };
        match self {
            Self::Refused(Refusal::Http {
                status: 401 | 403 | 426 | 429,
                ..
            }) => 0,
            Self::Refused(Refusal::Http { retry_after, .. }) => unavailable(retry_after),
            Self::Refused(_) | Self::TimedOut | Self::NoEcho => 1,
            // Its policy, or a message of ours that was too large.
            Self::Transport(TransportEnd::Code(1008 | 1009)) => 0,
            Self::Transport(TransportEnd::Code(_) | TransportEnd::Dropped) => 1,
            Self::Transport(TransportEnd::Failed { .. }) => u8::from(!was_live),
            Self::HelloRefused {
                code, retry_after, ..
            }
            | Self::Bye { code, retry_after }
                if *code == ErrorCode::ServiceUnavailable =>
            {
                unavailable(retry_after)
            }
            Self::HelloRefused { .. }
            | Self::Bye { .. }
            | Self::Silent { .. }
            | Self::Successor(_) => 0,
        }
    }
}
