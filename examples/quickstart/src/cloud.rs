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

#[cfg(test)]
mod tests {
    use super::*;
    use wakecast_lambda::model::{ConnectionId, InstanceId, Timestamp};

    fn record(events: impl IntoIterator<Item = (u64, What)>) -> Record {
        let mut record = Record::default();
        for (second, what) in events {
            let event = Event {
                at: Timestamp::from_millis(second * 1_000),
                elapsed_ms: second * 1_000,
                what,
            };
            note(&mut record, Duration::from_secs(second), event);
        }
        record
    }

    fn ec2(happened: Happened) -> What {
        let instance = InstanceId::new("i-1");
        What::Ec2 { instance, happened }
    }

    fn stand(stand: Stand) -> What {
        What::Stand {
            instance: InstanceId::new("i-1"),
            boot: Some(1),
            stand,
        }
    }

    #[test]
    fn a_life_of_the_server_is_recorded_with_its_times() {
        let record = record([
            (1, ec2(Happened::Launched)),
            (3, ec2(Happened::Running)),
            (9, stand(Stand::Ready)),
            (20, stand(Stand::Draining)),
            (35, stand(Stand::Stopping)),
            (36, ec2(Happened::StopAccepted)),
            (38, ec2(Happened::Stopped)),
        ]);
        let seconds = Duration::from_secs;
        assert_eq!(record.launches, [seconds(1)]);
        assert_eq!(
            (record.running, record.ready),
            (Some(seconds(3)), Some(seconds(9)))
        );
        assert_eq!(
            (&record.drains[..], &record.stops[..]),
            (&[seconds(20)][..], &[seconds(36)][..])
        );
        assert_eq!(
            (record.server, record.since),
            (Server::Stopped, seconds(38))
        );
        assert_eq!(record.up(), Some(seconds(33)));
    }

    #[test]
    fn a_drain_that_was_undone_stays_on_record_and_the_server_is_ready_again() {
        let record = record([
            (9, stand(Stand::Ready)),
            (20, stand(Stand::Draining)),
            (22, stand(Stand::Ready)),
        ]);
        assert_eq!(record.server, Server::Ready);
        assert_eq!(record.ready, Some(Duration::from_secs(9)));
        assert_eq!(record.drains.len(), 1);
    }

    #[test]
    fn acks_renewals_and_pushes_are_told_apart_by_their_kind() {
        let connection = || ConnectionId::new("c");
        let replied = |kind: &str, id: &str| What::Replied {
            connection: connection(),
            kind: kind.to_owned(),
            id: Some(id.to_owned()),
        };
        let pushed = What::Pushed {
            connection: connection(),
            kind: "progress".to_owned(),
            id: Some("p".to_owned()),
            phase: Some("warming".to_owned()),
            accepted: true,
        };
        let record = record([
            (1, replied("ack", "p")),
            (2, replied("ack", "p")),
            (3, pushed),
            (4, replied("renewed", "r")),
        ]);
        assert_eq!(record.acks_of("p").len(), 2);
        assert_eq!(record.warming, Some(Duration::from_secs(3)));
        assert_eq!(record.requests(), ["p"].into());
        assert_eq!(record.renewals_for("p"), [Duration::from_secs(4)]);
        assert!(record.renewals_for("q").is_empty());
    }
}
