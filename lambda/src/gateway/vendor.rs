//! `GET /?source=sdk&ticket=…`: the contract of Ant Media's own JavaScript SDK.
//!
//! That SDK asks again 3 s after every answer that is not 2xx, for ever and whatever it says, and
//! takes every 2xx for an endpoint. So only an endpoint is 200; all else is told to people, in the
//! status and the body.

use std::time::Duration;

use serde_json::json;
use wakecast::protocol::Endpoint;
use wakecast::{ErrorCode, Secret};

use super::Gateway;
use super::call::Caller;
use super::event::{HttpEvent, Response};
use super::reply::Refusal;
use super::requests::{check_app, check_ask};
use super::rows::{Answer, Known, OnMiss, RowCall};
use crate::auth::{AuthError, FIRST_USE, TICKET_LIFE, Ticket, allows};
use crate::leases;
use crate::model::{Row, RowState, Timestamp, WaitKind};
use crate::store::keys::{CONNECT_WINDOW, window_end};
use crate::store::{NoRoom, StoreError, TicketUse};

/// The vendor's SDK asks this often.
const POLL: Duration = Duration::from_secs(3);

/// A ticket that was refused for its rate may come again after this long.
const BUSY: Duration = Duration::from_secs(1);

/// The first use of a ticket is remembered for longer than the ticket can be good, whatever the clocks
/// of its issuer and of the processes here say.
const MEMORY: Duration = Duration::from_secs(15 * 60);

impl Gateway {
    /// Answers one request of the vendor's SDK. It counts as the caller's waiter, or as its lease, for
    /// as long as an absent client's.
    pub(super) async fn vendor(&self, event: &HttpEvent) -> Response {
        match self.poll(event).await {
            Ok(endpoint) => granted(&endpoint),
            Err(refusal) => refusal.into_response(),
        }
    }

    async fn poll(&self, event: &HttpEvent) -> Result<Endpoint, Refusal> {
        let now = self.ports.clock.now();
        let verified = self.verifier.verify_ticket(&asked(event)?, now);
        let ticket = verified.map_err(|error| {
            tracing::info!(%error, "a ticket was refused");
            Refusal::from(error)
        })?;
        let ends_at = self.until(&ticket, now).await?;
        let caller = Caller::bearer(&ticket, now);
        let (fleet, config) = self.fleet(&caller, Some(&ticket.fleet))?;
        let ask = &ticket.ask;
        check_ask(ask)?;
        allows(&ticket.grants, &fleet, ask)?;
        check_app(ask, config)?;
        let wait = self.config.waits.of(ask.purpose, now.until(ends_at));
        let ready = self.believed_ready(&fleet).await?;
        let call = RowCall {
            gateway: self,
            caller: &caller,
            key: caller.row_key(fleet, &ticket.id)?,
            config,
            known: Known::Unread,
            ready,
            guarded: false,
            on_miss: OnMiss::Wait(WaitKind::Acquire),
        };
        let answer = call
            .run(|row, visit| leases::poll(row, visit, ask, wait))
            .await?;
        match answer {
            Answer::Granted(_, endpoint) => Ok(*endpoint),
            Answer::Waiting { row, .. } | Answer::NotReady(row, _) => {
                Err(Refusal::starting(phase(&row), POLL))
            }
            Answer::Over(row) => Err(Refusal::coded(end_code(&row))),
            Answer::NotAllowed(error) => Err(error.into()),
            Answer::Full => Err(Refusal::full()),
            Answer::Quota => Err(Refusal::quota(config.caps.subject.live_rows)),
            Answer::TakenOver(_) | Answer::OtherAsk | Answer::Unknown => Err(Refusal::new(
                ErrorCode::LeaseLost,
                "another client has taken this lease over: sign a new ticket",
            )),
        }
    }

    /// Returns until when the ticket is good: a while from its first use, which is written before
    /// anything follows from it. Of two first uses at once the table keeps one.
    async fn until(&self, ticket: &Ticket, now: Timestamp) -> Result<Timestamp, Refusal> {
        let known = self.recall.admit_ticket(&ticket.id, now);
        let first = match known.ok_or_else(|| Refusal::throttled(BUSY))? {
            Some(first) => first,
            None => {
                let first = self.first_use(ticket, now).await?;
                self.recall.remember_first_use(&ticket.id, first);
                first
            }
        };
        let ends_at = ticket.grants.expires_at.min(first + TICKET_LIFE);
        if now >= ends_at {
            return Err(AuthError::Expired.into());
        }
        Ok(ends_at)
    }

    async fn first_use(&self, ticket: &Ticket, now: Timestamp) -> Result<Timestamp, Refusal> {
        let (store, grants) = (&self.ports.store, &ticket.grants);
        if now.since(ticket.issued_at) > FIRST_USE {
            let noted = store.ticket_use(&grants.tenant, &grants.subject, &ticket.id);
            return noted.await?.ok_or_else(|| AuthError::TicketTooLate.into());
        }
        let first = TicketUse {
            tenant: grants.tenant.clone(),
            subject: grants.subject.clone(),
            ticket: ticket.id.clone(),
            at: now,
            expires_at: now + MEMORY,
        };
        match store.use_ticket(&first, &self.config.links).await {
            Err(StoreError::NoRoom(NoRoom::Connects)) => Err(Refusal::throttled(
                now.until(window_end(now, CONNECT_WINDOW)),
            )),
            noted => Ok(noted?),
        }
    }
}

/// Takes the ticket out of the query. Names that are encoded or repeated are refused, so that nobody on
/// the way, a log that redacts included, reads another ticket than we do.
fn asked(event: &HttpEvent) -> Result<Secret, Refusal> {
    let (mut source, mut ticket) = (None, None);
    for (name, value) in event.parameters() {
        let place = match name {
            "source" => &mut source,
            "ticket" => &mut ticket,
            _ if name.contains(['%', '+']) => {
                return Err(Refusal::invalid("write the names of parameters plainly"));
            }
            _ => continue,
        };
        if place.replace(value).is_some() {
            return Err(Refusal::invalid(format!("`{name}` comes twice: send one")));
        }
    }
    if source != Some("sdk") {
        return Err(Refusal::invalid(
            "this is for the SDK of Ant Media, which adds `source=sdk`: give it this URL as its \
             httpEndpointUrl",
        ));
    }
    match ticket {
        Some(ticket) if !ticket.is_empty() => Ok(Secret::new(ticket)),
        _ => Err(Refusal::new(
            ErrorCode::TokenRejected,
            "no ticket: add `ticket=` with one that your backend signs for each page",
        )),
    }
}

/// The vendor's words, and the stream token for the page to hand over.
fn granted(endpoint: &Endpoint) -> Response {
    let mut body = json!({
        "fqdn": host(&endpoint.websocket_url),
        "websocket_url": endpoint.websocket_url,
        // The SDK sends a HEAD there. Without the slash the server redirects to where it is, and
        // redirects carry no CORS headers.
        "http_url": format!("{}/", endpoint.http_url.trim_end_matches('/')),
    });
    if let Some(token) = &endpoint.stream_token {
        body["stream_token"] = json!(token.expose());
        body["stream_token_expires_in_ms"] = json!(endpoint.stream_token_expires_in_ms);
    }
    Response::json(200, &body)
}

/// Returns the host of a URL, without its port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    match host.rsplit_once(':') {
        // A colon within brackets is an address's own.
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

fn phase(row: &Row) -> &'static str {
    match &row.state {
        RowState::Waiting { phase, .. } => phase.as_str(),
        RowState::Held { .. } | RowState::Ended { .. } => "verifying",
    }
}

fn end_code(row: &Row) -> ErrorCode {
    match &row.state {
        RowState::Ended { end, .. } => leases::end_code(end),
        RowState::Waiting { .. } | RowState::Held { .. } => ErrorCode::ServiceUnavailable,
    }
}
