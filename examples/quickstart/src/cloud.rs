//! The local cloud, as the story needs it: passes for people, a cut, and the truth.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt as _;
use wakecast::{Token, TokenError};
use wakecast_lambda::lifecycle::Stand;
use wakecast_local::cloud::{Event, Follow, LocalCloud, LocalConfig, Profile, TokenRequest, What};
use wakecast_local::ec2::Happened;

use crate::journal::Who;
use crate::people::{Pass, STREAM};
use crate::record::{Record, Renewal, Server};

/// The cloud on this machine.
pub(crate) struct Cloud {
    local: Arc<LocalCloud>,
    happened: Follow,
    /// The wall clock when the program began, in milliseconds since 1970.
    begun_ms: u64,
}

impl Cloud {
    /// Starts it on free ports of loopback.
    pub(crate) async fn start() -> Result<Self, String> {
        let begun_ms = unix_ms();
        let local = LocalCloud::start(LocalConfig::profile(Profile::Demonstration))
            .await
            .map_err(|error| format!("the local cloud does not start: {error}"))?;
        Ok(Self {
            happened: local.timeline().follow(),
            local: Arc::new(local),
            begun_ms,
        })
    }

    /// What `who`'s app is configured with.
    pub(crate) fn pass(&self, who: Who) -> Pass {
        let request = match who {
            Who::Publisher => TokenRequest::new(who.name()),
            _ => TokenRequest::player(who.name()),
        };
        let request = request.with_streams([STREAM]);
        let local = Arc::clone(&self.local);
        Pass {
            websocket_url: self.local.websocket_url.clone(),
            access_url: self.local.access_url.clone(),
            sign: Arc::new(move || {
                let signed = local.token(&request).map_err(TokenError::new)?;
                Ok(Token::new(signed.secret).expires_in(signed.expires_in))
            }),
        }
    }

    /// Cuts the sockets of `who` without a Close frame.
    pub(crate) async fn cut(&self, who: Who) {
        self.local.cut(who.name()).await;
    }

    /// Adds what happened since the last look.
    pub(crate) fn look(&mut self, record: &mut Record) {
        while let Some(event) = self.happened.next().now_or_never() {
            let at = event.at.as_millis().saturating_sub(self.begun_ms);
            note(record, Duration::from_millis(at), event);
        }
    }

    /// Ends it cleanly, as far as nobody uses it any more.
    pub(crate) async fn stop(self) {
        if let Some(local) = Arc::into_inner(self.local) {
            local.stop().await;
        }
    }
}

fn note(record: &mut Record, at: Duration, event: Event) {
    match event.what {
        What::Ec2 { happened, .. } => note_ec2(record, at, happened),
        What::Stand { stand, .. } => note_stand(record, at, stand),
        What::Media {
            publishers,
            viewers,
            ..
        } => {
            record.most_streams = record.most_streams.max(publishers);
            record.most_viewers = record.most_viewers.max(viewers);
        }
        What::Pushed {
            connection,
            kind,
            id,
            phase,
            ..
        } => {
            if kind == "progress" && phase.as_deref() == Some("warming") {
                record.warming.get_or_insert(at);
            }
            if let Some(id) = id {
                record.tell(connection.as_str(), id);
            }
        }
        What::Replied {
            connection,
            kind,
            id,
        } => note_reply(record, at, connection.as_str(), &kind, id),
        _ => {}
    }
}

fn note_reply(record: &mut Record, at: Duration, connection: &str, kind: &str, id: Option<String>) {
    match (kind, id) {
        ("ack", Some(id)) => record.acks.entry(id).or_default().push(at),
        ("renewed", _) => record.renewals.push(Renewal {
            at,
            connection: connection.to_owned(),
        }),
        _ => {}
    }
}

fn note_ec2(record: &mut Record, at: Duration, happened: Happened) {
    match happened {
        Happened::Launched => record.launches.push(at),
        Happened::Started => record.restarts.push(at),
        Happened::Running => record.running = record.running.or(Some(at)),
        Happened::StopAccepted => record.stops.push(at),
        Happened::Stopped => {
            record.stopped = Some(at);
            record.becomes(Server::Stopped, at);
        }
        _ => {}
    }
    if matches!(happened, Happened::Launched | Happened::Started) {
        record.becomes(Server::Booting, at);
        record.stopped = None;
    }
}

fn note_stand(record: &mut Record, at: Duration, stand: Stand) {
    match stand {
        Stand::Ready => {
            record.becomes(Server::Ready, at);
            record.ready = record.ready.or(Some(at));
        }
        Stand::Draining => {
            record.becomes(Server::Draining, at);
            record.drains.push(at);
        }
        Stand::Stopping | Stand::Failing => record.becomes(Server::Stopping, at),
        _ => {}
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
