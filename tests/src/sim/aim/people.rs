//! People with a script: each does one thing at one bad moment.

use std::time::Duration;

use futures::future::{self, Either};
use futures::stream::StreamExt;
use wakecast::Secret;
use wakecast::machine::{Acquire, Answer, Input, LeaseStatus};
use wakecast::protocol::Endpoint;
use wakecast_lambda::model::{InstanceId, InstanceStatus, Timestamp};

use super::super::client::{Client, ClientSetup};
use super::super::farm::{FromServer, MediaSocket};
use super::super::users::APP;
use super::super::world::Surroundings;
use super::{SECOND, Stage};

/// How often somebody who waits for a moment looks.
const GLANCE: Duration = Duration::from_millis(200);
/// Whoever waits this long where nothing stands in the way is served.
const PATIENCE: Duration = Duration::from_mins(5);
/// What a message may take: a token that has less left is not used.
const ON_THE_WAY: Duration = Duration::from_secs(2);

/// Somebody with a client.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) client: Client,
    pub(super) around: Surroundings,
}

/// An endpoint as it was handed out.
pub(super) struct Handed {
    endpoint: Endpoint,
    at: Timestamp,
}

impl Stage {
    pub(super) fn person(&mut self, name: &str) -> Person {
        self.someone(ClientSetup::named(name))
    }

    pub(super) fn someone(&mut self, setup: ClientSetup) -> Person {
        Person {
            client: self.world.client(setup),
            around: self.around(),
        }
    }
}

impl Person {
    pub(super) async fn sleep(&self, time: Duration) {
        self.around.clock.sleep(time).await;
    }

    /// Waits for a moment. False if it has not come within half an hour.
    pub(super) async fn until(&self, moment: impl Fn(&Surroundings) -> bool) -> bool {
        let end = self.around.clock.true_now() + Duration::from_mins(30);
        while !moment(&self.around) {
            if self.around.clock.true_now() >= end {
                return false;
            }
            self.sleep(GLANCE).await;
        }
        true
    }

    /// Asks to publish a stream of their own, and must be served.
    pub(super) async fn acquire(&self) -> Option<(String, Handed)> {
        self.acquire_as(publish(self), PATIENCE).await
    }

    /// Asks, and must be served within `patience`: nothing in these worlds stands in the way.
    pub(super) async fn acquire_as(
        &self,
        acquire: Acquire,
        patience: Duration,
    ) -> Option<(String, Handed)> {
        let (_, outcome) = self.client.acquire(acquire.deadline(patience));
        match outcome.await.ok()? {
            Ok(Answer::Acquired { lease, endpoint }) => Some((lease, self.handed(endpoint))),
            Ok(_) => None,
            Err(error) => {
                let code = error.code().as_str();
                self.broken("law 3", format!("was not served: {code}"));
                None
            }
        }
    }

    /// Asks for the lease's endpoint.
    pub(super) async fn endpoint(&self, lease: &str) -> Option<Handed> {
        match self.client.endpoint(lease).await.ok()? {
            Ok(Answer::Endpoint(endpoint)) => Some(self.handed(endpoint)),
            _ => None,
        }
    }

    pub(super) async fn release(&self, lease: &str) {
        let _ = self.client.release(lease).await;
    }

    /// Publishes for a while with an endpoint whose token lives. The law: there is a server, and
    /// it stays.
    pub(super) async fn publish(&self, handed: &Handed, length: Duration) {
        let now = self.around.clock.true_now();
        let life = handed.endpoint.stream_token_expires_in_ms.unwrap_or(0);
        let left = Duration::from_millis(life).saturating_sub(ON_THE_WAY);
        if now.since(handed.at) > left {
            return;
        }
        let Some(socket) = self.around.farm.open(&handed.endpoint) else {
            return self.broken("law 2", "holds a token that lives, and its server is gone");
        };
        self.stream(socket, handed, length).await;
    }

    /// Watches a lease: it is not lost while its server runs.
    pub(super) async fn keeps(self, lease: String, handed_at: InstanceId, length: Duration) {
        let end = self.around.clock.true_now() + length;
        while self.around.clock.true_now() < end {
            if self.client.lease_status(&lease) == Some(LeaseStatus::Lost) {
                let runs = self.around.farm.status(&handed_at).is_some();
                if runs {
                    let changes = self.client.lease_changes(&lease);
                    let last = changes.last();
                    self.broken("law 2", format!("lost a lease on a live server: {last:?}"));
                }
                return;
            }
            self.sleep(GLANCE).await;
        }
    }

    async fn stream(&self, mut socket: MediaSocket, handed: &Handed, length: Duration) {
        let name = &self.client.name;
        let token = handed.endpoint.stream_token.as_ref().map(Secret::expose);
        let publish = serde_json::json!({ "command": "publish", "streamId": name, "token": token });
        let offer = serde_json::json!({
            "command": "takeConfiguration", "streamId": name, "type": "offer", "sdp": "v=0",
        });
        socket.send(&publish.to_string());
        socket.send(&offer.to_string());
        let end = self.around.clock.true_now() + length;
        let mut live = false;
        loop {
            let rest = self.around.clock.true_now().until(end);
            let done = self.around.clock.sleep(rest);
            let message = match future::select(socket.inbox.next(), done).await {
                Either::Left((message, _)) => message,
                Either::Right(_) => return,
            };
            match message {
                Some(FromServer::Text(text)) if text.contains("publish_started") => {
                    self.around.timeline.say(name, "is live");
                    live = true;
                }
                Some(FromServer::Text(_)) => {}
                Some(FromServer::Gone) | None => {
                    if live && !self.around.excused() {
                        self.broken("law 2", "was live and is cut");
                    }
                    return;
                }
            }
        }
    }

    fn handed(&self, endpoint: Endpoint) -> Handed {
        Handed {
            endpoint,
            at: self.around.clock.true_now(),
        }
    }

    pub(super) fn broken(&self, law: &str, what: impl std::fmt::Display) {
        let name = &self.client.name;
        self.around
            .timeline
            .violation(law, format!("{name} {what}"));
    }

    pub(super) fn give(&self, input: Input) {
        self.client.give(input);
    }
}

/// What somebody asks who wants to publish a stream of their own.
pub(super) fn publish(person: &Person) -> Acquire {
    Acquire::publish(APP, &person.client.name)
}

/// The status of the newest boot's instance.
pub(super) fn status(around: &Surroundings) -> Option<InstanceStatus> {
    around.instance().map(|instance| instance.status)
}

/// It serves.
pub(super) fn ready(around: &Surroundings) -> bool {
    status(around) == Some(InstanceStatus::Ready)
}

/// Its server is up, as far as the records say.
pub(super) fn serves(around: &Surroundings) -> bool {
    matches!(
        status(around),
        Some(
            InstanceStatus::Ready
                | InstanceStatus::Recovering { .. }
                | InstanceStatus::Draining { .. }
        )
    )
}

/// It drains.
pub(super) fn drains(around: &Surroundings) -> bool {
    matches!(status(around), Some(InstanceStatus::Draining { .. }))
}

/// It serves, and will drain within this time and a tick unless somebody comes.
pub(super) fn drains_within(around: &Surroundings, left: Duration) -> bool {
    let timing = &around.config.timing;
    let Some(boot) = around.instance().and_then(|instance| instance.boot) else {
        return false;
    };
    let (Some(zero), Some(since), Some(up)) = (boot.zero_since, boot.granting_since, boot.ready_at)
    else {
        return false;
    };
    let now = around.clock.true_now();
    let due = (zero.max(since) + timing.grace).max(up + timing.min_up);
    ready(around) && now + left >= due
}

/// It drains, and the first of the two last looks has seen zeros.
pub(super) fn looked_once(around: &Surroundings) -> bool {
    matches!(
        status(around),
        Some(InstanceStatus::Draining {
            first_look: Some(_),
            ..
        })
    )
}

/// The stop is announced: it may have been sent.
pub(super) fn announced(around: &Surroundings) -> bool {
    matches!(
        status(around),
        Some(InstanceStatus::Stopping {
            sent_at: Some(_),
            ..
        })
    )
}

/// Comes, publishes for a moment and goes: leaves an idle server behind.
pub(super) async fn passes_through(person: Person, length: Duration) {
    if let Some((lease, handed)) = person.acquire().await {
        person.publish(&handed, length).await;
        person.release(&lease).await;
        person.sleep(SECOND).await;
        person.give(Input::Close);
    }
}
