//! The grant: G1 puts the row, G2 reads the instance; only then does an endpoint go out.
//!
//! The stop writes its state before it reads the rows, and the grant writes the row before it
//! reads the state, so one of the two sees the other. Gateway and reconciler both grant by this
//! file and no other way.

use std::time::Duration;

use wakecast::Secret;
use wakecast::protocol::{Endpoint, Purpose, ServerMessage};

use crate::config::FleetConfig;
use crate::guards::{Guard, Guards};
use crate::leases;
use crate::model::{Instance, InstanceStatus, Row, RowState, Timestamp};
use crate::ports::{BootOf, Store, StreamTokens};
use crate::store::StoreError;

/// What G2 said of a row that was put as held.
#[derive(Clone, Debug, PartialEq)]
pub enum Granted {
    /// The instance is ready in that boot: this may go out.
    Ready(Box<Endpoint>),
    /// It is not; nothing may go out. This is what the instance looks like, if it is known.
    NotReady(Option<Box<Instance>>),
}

/// What a grant needs.
#[derive(Clone, Copy, Debug)]
pub struct Granting<'a> {
    /// The table.
    pub store: &'a dyn Store,
    /// Stream tokens.
    pub tokens: &'a dyn StreamTokens,
    /// The fleet's settings.
    pub config: &'a FleetConfig,
    /// The rules in force: all of them.
    pub guards: Guards,
}

impl Granting<'_> {
    /// G2: reads the instance of a row that G1 has put, and makes its endpoint if it is ready in the
    /// row's boot. `put_at` is a time before G1 was sent: the stream token's life counts from there.
    ///
    /// # Errors
    /// The table did not answer: nothing may go out.
    pub async fn verify(
        self,
        row: &Row,
        put_at: Timestamp,
        now: Timestamp,
    ) -> Result<Granted, StoreError> {
        let RowState::Held { instance, boot, .. } = &row.state else {
            return Ok(Granted::NotReady(None));
        };
        let found = self.store.instance(&row.key.fleet, instance).await?;
        let endpoint = found
            .as_ref()
            .filter(|found| is_ready(found, &(instance.clone(), *boot), self.guards))
            .and_then(|found| self.endpoint(row, found, put_at, now));
        Ok(match endpoint {
            Some(endpoint) => Granted::Ready(Box::new(endpoint)),
            None => Granted::NotReady(found.map(Box::new)),
        })
    }

    /// Grants a row on a boot that is believed to be ready: G1, G2, and the message for its owner.
    /// The row waits, or is a lease whose drain is undone. `None` if G2 found the boot over: the row
    /// is what it was, and a wait's demand is raised.
    ///
    /// # Errors
    /// A conflict if the row has changed since it was read, or the table did not answer: nothing may
    /// go out, and the row is looked at again.
    pub async fn grant_waiter(
        self,
        row: &Row,
        boot: &BootOf,
        verify_spread: Duration,
        now: Timestamp,
    ) -> Result<Option<(Row, ServerMessage)>, StoreError> {
        let held = match held_boot(row) {
            Some(held) if held == *boot => leases::undrain(row, now),
            _ => None,
        };
        let held = held.unwrap_or_else(|| leases::hold(row, boot, &self.config.timing, now));
        let held = self.store.put_row(&held, Some(row.version)).await?;
        match self.verify(&held, now, now).await? {
            Granted::Ready(endpoint) => {
                let message = leases::granted(&held, *endpoint, verify_spread);
                Ok(Some((held, message)))
            }
            Granted::NotReady(_) => {
                let before = leases::unhold(row, &held);
                self.store.put_row(&before, Some(held.version)).await?;
                if matches!(row.state, RowState::Waiting { .. }) && leases::wakes(row) {
                    self.store.raise_demand(&row.key.fleet).await?;
                }
                Ok(None)
            }
        }
    }

    /// `None` only if the address is needed and unknown, which no ready instance is.
    fn endpoint(
        self,
        row: &Row,
        instance: &Instance,
        put_at: Timestamp,
        now: Timestamp,
    ) -> Option<Endpoint> {
        let ask = row.ask.as_ref()?;
        let address = instance
            .boot
            .as_ref()
            .and_then(|boot| boot.address.as_deref());
        let urls = &self.config.endpoint;
        if address.is_none() && urls.websocket_url.contains("{address}") {
            return None;
        }
        let ends_at = put_at + self.config.timing.stream_token;
        let stream_token: Option<Secret> = ask.stream_id.as_deref().and_then(|stream| {
            let publishes = ask.purpose == Purpose::Publish;
            self.tokens.mint(&ask.app, stream, publishes, ends_at)
        });
        let left = u64::try_from(now.until(ends_at).as_millis()).unwrap_or(u64::MAX);
        Some(Endpoint {
            websocket_url: urls.websocket_url(address, &ask.app),
            http_url: urls.http_url(address, &ask.app),
            app: ask.app.clone(),
            stream_token_expires_in_ms: stream_token.is_some().then_some(left),
            stream_token,
        })
    }
}

/// Finds the boot of a ready instance, the newest if there are several.
#[must_use]
pub fn ready_boot(instances: &[Instance]) -> Option<BootOf> {
    instances
        .iter()
        .filter(|instance| instance.status == InstanceStatus::Ready)
        .filter_map(|instance| Some((instance.id.clone(), instance.boot.as_ref()?.id)))
        .max_by_key(|(_, boot)| *boot)
}

/// Returns the boot that a row holds.
#[must_use]
pub fn held_boot(row: &Row) -> Option<BootOf> {
    match &row.state {
        RowState::Held { instance, boot, .. } => Some((instance.clone(), *boot)),
        RowState::Waiting { .. } | RowState::Ended { .. } => None,
    }
}

fn is_ready(instance: &Instance, boot: &BootOf, guards: Guards) -> bool {
    instance.status == InstanceStatus::Ready
        && instance.id == boot.0
        && instance
            .boot
            .as_ref()
            .is_some_and(|found| found.id == boot.1 || !guards.on(Guard::BootId))
}
