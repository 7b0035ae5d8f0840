//! What people do with a client: publish, play, watch, forget, close the lid, kill the app.

use std::time::Duration;

use futures::future::{self, Either};
use futures::stream::StreamExt;
use wakecast::machine::{Acquire, Answer, Input, LeaseStatus};
use wakecast::protocol::Endpoint;
use wakecast::{Error, ErrorCode, Secret};
use wakecast_lambda::model::{InstanceStatus, Timestamp};

use super::client::Client;
use super::farm::{FromServer, MediaSocket};
use super::world::Surroundings;

/// The app of every world.
pub const APP: &str = "live";
/// How late an outcome may be on top of its deadline: one timer and one trip of the events.
const OUTCOME_SLACK: Duration = Duration::from_secs(2);
/// How often a player asks again for a stream that is not there yet, as the vendor's player does.
const PLAY_AGAIN: Duration = Duration::from_secs(3);

/// Where nothing goes wrong, whoever waits this long is served: the end of a stop, a start, a boot.
const SERVED: Duration = Duration::from_secs(90);
/// A server that was used is stopped well within this time.
const LONGEST_WAIT: Duration = Duration::from_mins(40);

/// One person.
#[derive(Clone, Debug)]
pub struct Part {
    /// What they come for.
    pub wish: Wish,
    /// The stream.
    pub stream: String,
    /// When they come.
    pub at: Timestamp,
    /// Which moment of the server they wait for, link open, before they ask.
    pub moment: Option<Moment>,
    /// How long they are willing to wait.
    pub patience: Duration,
    /// How long they stay once it works.
    pub stay: Duration,
    /// How they leave.
    pub leave: Leave,
}

/// A moment in which grant and stop could miss each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Somewhere in the settle of a drain.
    Drain,
    /// Around the second of the two last looks, where S2 and S3 follow.
    LastLook,
    /// Right after the stop.
    Stopped,
}

/// What a person comes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To publish.
    Publish,
    /// To play.
    Play,
    /// To see whether something happens.
    Watch,
    /// To acquire and then do nothing: a forgotten tab.
    Idle,
}

/// How a person leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Releases the lease and closes.
    Release,
    /// Leaves the app open.
    Stay,
    /// Cancels while waiting, after this many milliseconds.
    Cancel(u64),
    /// Closes the app while waiting, after this many milliseconds.
    Close(u64),
    /// Closes the app without having asked for anything.
    Unasked,
    /// The process is killed after this many milliseconds.
    Kill(u64),
    /// Goes away with `detach`.
    Detach,
}

/// Lets a person live. Returns when they have left, or stay for good.
pub async fn live(around: Surroundings, client: Client, part: Part) {
    let clock = around.clock.clone();
    clock.sleep(clock.true_now().until(part.at)).await;
    if let Some(moment) = part.moment {
        client.give(Input::Connect);
        wait_for(&around, moment, part.stay).await;
    }
    if part.leave == Leave::Unasked {
        around.timeline.say(&client.name, "closes the app unasked");
        client.give(Input::Close);
        return;
    }
    let wish = format!("{:?}", part.wish).to_lowercase();
    around
        .timeline
        .say(&client.name, format!("comes to {wish} {}", part.stream));
    let deadline = clock.true_now() + part.patience;
    let (key, outcome) = client.acquire(wanted(&part));
    let outcome = match part.leave {
        Leave::Cancel(after) | Leave::Close(after) => {
            let wait = clock.sleep(Duration::from_millis(after));
            match future::select(outcome, wait).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right(((), outcome)) => {
                    client.give(match part.leave {
                        Leave::Close(_) => Input::Close,
                        _ => Input::Cancel { key },
                    });
                    outcome.await
                }
            }
        }
        Leave::Kill(after) => {
            let wait = clock.sleep(Duration::from_millis(after));
            match future::select(outcome, wait).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right(((), _)) => {
                    client.kill();
                    return;
                }
            }
        }
        Leave::Release | Leave::Stay | Leave::Detach | Leave::Unasked => outcome.await,
    };
    let Ok(outcome) = outcome else { return };
    judge(&around, &client, &part, &outcome, deadline);
    let Ok(Answer::Acquired { lease, endpoint }) = outcome else {
        return;
    };
    around.served(&client.name);
    stay(&around, &client, &part, &lease, endpoint).await;
    leave(&client, &part, &lease).await;
}

/// Waits until the moment has come, for as long as anything may take in a world.
async fn wait_for(around: &Surroundings, moment: Moment, whim: Duration) {
    let end = around.clock.true_now() + LONGEST_WAIT;
    while around.clock.true_now() < end {
        let wait = match (moment, around.glance().await) {
            (Moment::Drain, Some(InstanceStatus::Draining { .. })) => 60_000,
            (
                Moment::LastLook,
                Some(InstanceStatus::Draining {
                    first_look: Some(_),
                    ..
                }),
            ) => 6_500,
            (Moment::Stopped, Some(InstanceStatus::Stopping { .. })) => 20_000,
            _ => continue,
        };
        // The whim of each person is another one: spread them over what is left of the moment.
        let whim = u64::try_from(whim.as_millis()).unwrap_or(0) % wait;
        let whim = if moment == Moment::LastLook {
            whim.max(4_500)
        } else {
            whim
        };
        around.clock.sleep(Duration::from_millis(whim)).await;
        return;
    }
}

fn wanted(part: &Part) -> Acquire {
    let acquire = match part.wish {
        Wish::Publish | Wish::Idle => Acquire::publish(APP, &part.stream),
        Wish::Play => Acquire::play(APP, &part.stream),
        Wish::Watch => Acquire::watch(APP, &part.stream),
    };
    acquire.deadline(part.patience)
}

fn judge(
    around: &Surroundings,
    client: &Client,
    part: &Part,
    outcome: &Result<Answer, Error>,
    deadline: Timestamp,
) {
    let now = around.clock.true_now();
    if now > deadline + OUTCOME_SLACK {
        let late = now.since(deadline).as_millis();
        around.timeline.violation(
            "law 3",
            format!("{} waited {late} ms too long", client.name),
        );
    }
    if let Err(error) = outcome {
        around.outcome(error.code());
        let surprising = matches!(
            error.code(),
            ErrorCode::ProtocolError
                | ErrorCode::Forbidden
                | ErrorCode::InvalidArgument
                | ErrorCode::ClientTooOld
                | ErrorCode::MessageTooLarge
                | ErrorCode::Other(_)
        );
        if surprising {
            let code = error.code().as_str();
            let text = format!("{} asked rightly and was told {code}", client.name);
            around.timeline.violation("law 3", text);
        }
        let served_by_then = part.patience >= SERVED && part.wish != Wish::Watch;
        let gave_up = match part.leave {
            Leave::Cancel(_) => *error.code() == ErrorCode::Cancelled,
            Leave::Close(_) => *error.code() == ErrorCode::Closed,
            _ => false,
        };
        if around.notes().kind && served_by_then && !gave_up {
            let code = error.code().as_str();
            let text = format!("{} was not served in a kind world: {code}", client.name);
            around.timeline.violation("law 3", text);
        }
        if matches!(error.code(), ErrorCode::Cancelled | ErrorCode::Closed) && !gave_up {
            let code = error.code().as_str();
            let text = format!("{} never gave up and was told {code}", client.name);
            around.timeline.violation("law 3", text);
        }
    }
}

async fn stay(
    around: &Surroundings,
    client: &Client,
    part: &Part,
    lease: &str,
    mut endpoint: Endpoint,
) {
    let clock = &around.clock;
    let until = clock.true_now() + part.stay;
    if matches!(part.wish, Wish::Watch | Wish::Idle) {
        clock.sleep(part.stay).await;
        return;
    }
    while clock.true_now() < until {
        if let Some(socket) = connect(around, client, lease, &endpoint).await {
            match media(around, client, part, &endpoint, socket, until).await {
                MediaEnd::Done => return,
                MediaEnd::NotYet | MediaEnd::Cut => {}
            }
        }
        clock.sleep(PLAY_AGAIN).await;
        if clock.true_now() >= until || gone(client, lease) {
            return;
        }
        match client.endpoint(lease).await {
            Ok(Ok(Answer::Endpoint(fresh))) => endpoint = fresh,
            _ => return,
        }
    }
}

/// Opens the media socket of an endpoint that was handed out just now.
async fn connect(
    around: &Surroundings,
    client: &Client,
    lease: &str,
    endpoint: &Endpoint,
) -> Option<MediaSocket> {
    // A person clicks, a camera opens.
    around.clock.sleep(Duration::from_millis(300)).await;
    let socket = around.farm.open(endpoint);
    if socket.is_none() && client.lease_status(lease).is_none() && !around.excused() {
        around.observer.unreachable(&client.name, lease, endpoint);
    }
    socket
}

#[derive(Debug, PartialEq, Eq)]
enum MediaEnd {
    Done,
    NotYet,
    Cut,
}

async fn media(
    around: &Surroundings,
    client: &Client,
    part: &Part,
    endpoint: &Endpoint,
    mut socket: MediaSocket,
    until: Timestamp,
) -> MediaEnd {
    let publishes = part.wish == Wish::Publish;
    let command = if publishes { "publish" } else { "play" };
    let token = endpoint.stream_token.as_ref().map(Secret::expose);
    socket.send(
        &serde_json::json!({ "command": command, "streamId": part.stream, "token": token })
            .to_string(),
    );
    let mut live = false;
    loop {
        let end = around.clock.sleep(around.clock.true_now().until(until));
        let message = match future::select(socket.inbox.next(), end).await {
            Either::Left((message, _)) => message,
            Either::Right(((), _)) => return MediaEnd::Done,
        };
        match message {
            Some(FromServer::Text(text)) => {
                if text.contains("\"start\"") {
                    socket.send(&describe(&part.stream, "offer"));
                } else if text.contains("\"takeConfiguration\"") && !publishes {
                    socket.send(&describe(&part.stream, "answer"));
                } else if text.contains("_started") {
                    around
                        .timeline
                        .say(&client.name, format!("starts to {command} {}", part.stream));
                    live = true;
                } else if text.contains("\"error\"") || text.contains("_finished") {
                    return MediaEnd::NotYet;
                }
            }
            Some(FromServer::Gone) | None => {
                around.timeline.say(&client.name, "loses its media socket");
                if live && !around.excused() {
                    around.observer.cut(&client.name, socket.instance());
                }
                return MediaEnd::Cut;
            }
        }
    }
}

fn describe(stream: &str, kind: &str) -> String {
    serde_json::json!({
        "command": "takeConfiguration", "streamId": stream, "type": kind, "sdp": "v=0",
    })
    .to_string()
}

async fn leave(client: &Client, part: &Part, lease: &str) {
    match part.leave {
        Leave::Release | Leave::Cancel(_) | Leave::Close(_) => {
            let _ = client.release(lease).await;
            client.give(Input::Close);
        }
        Leave::Detach => client.give(Input::Detach),
        Leave::Kill(_) => client.kill(),
        Leave::Stay | Leave::Unasked => {}
    }
}

fn gone(client: &Client, lease: &str) -> bool {
    matches!(
        client.lease_status(lease),
        Some(LeaseStatus::Lost | LeaseStatus::Released)
    )
}
