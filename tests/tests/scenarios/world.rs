//! The local cloud, told and asked over its admin as any runner does it.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use wakecast::{Endpoint, Secret};
use wakecast_local::{LocalCloud, LocalConfig, Profile};
use wakecast_tests::http;

use crate::file::{CloudSetup, Does};
use crate::journal::Journal;

/// The one app of the local media server.
pub(crate) const APP: &str = wakecast_local::cloud::APP;

/// A running cloud and the journal of its timeline. Dropping it ends both.
pub(crate) struct World {
    pub(crate) websocket_url: String,
    pub(crate) access_url: String,
    pub(crate) admin_url: String,
    pub(crate) journal: Journal,
    following: JoinHandle<()>,
    _cloud: Arc<LocalCloud>,
}

impl World {
    pub(crate) async fn start(setup: &CloudSetup) -> Self {
        let mut config = LocalConfig::profile(Profile::Test);
        config.links.open = setup.links;
        let cloud = LocalCloud::start(config).await.unwrap();
        let journal = Journal::new(kind);
        Self {
            websocket_url: cloud.websocket_url.clone(),
            access_url: cloud.access_url.clone(),
            admin_url: cloud.admin_url.clone(),
            following: tokio::spawn(follow(cloud.admin_url.clone(), journal.clone())),
            journal,
            _cloud: Arc::new(cloud),
        }
    }

    /// Returns all that has happened by now: the journal may be a moment behind.
    pub(crate) async fn timeline(&self) -> Vec<Value> {
        let url = format!("{}/timeline", self.admin_url);
        let (_, events) = http::send("GET", &url, "").await.unwrap();
        events.as_array().unwrap().clone()
    }

    /// A fault, or the end of all of them.
    pub(crate) async fn does(&self, does: &Does) {
        let url = format!("{}/faults", self.admin_url);
        let (status, body) = match does {
            Does::Word(word) if word == "mend" => http::send("DELETE", &url, "").await,
            Does::With(fault) => http::send("POST", &url, &json!(fault).to_string()).await,
            Does::Word(word) => panic!("the cloud cannot `{word}`"),
        }
        .unwrap();
        assert_eq!(status, 200, "{does:?}: {body}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.following.abort();
    }
}

fn kind(entry: &Map<String, Value>) -> String {
    let kind = entry.get("what").and_then(Value::as_str);
    kind.expect("what the cloud sees has `what`").to_owned()
}

async fn follow(admin: String, journal: Journal) {
    let mut next = 0;
    loop {
        let url = format!("{admin}/timeline?from={next}");
        // It ends with the cloud.
        let Ok((200, answer)) = http::send("GET", &url, "").await else {
            return;
        };
        next = answer["next"].as_u64().unwrap();
        for event in answer["events"].as_array().unwrap() {
            journal.push(event.clone());
        }
    }
}

/// Asks the media server to play a stream that nobody publishes; returns what it has against it:
/// `no_stream_exist` of a token that it takes, `unauthorized_access` of any other.
pub(crate) async fn refusal(endpoint: &Endpoint, stream: &str) -> String {
    let (mut socket, _) = connect_async(&endpoint.websocket_url).await.unwrap();
    let token = endpoint.stream_token.as_ref().map(Secret::expose);
    let play = json!({ "command": "play", "streamId": stream, "token": token });
    socket.send(Message::text(play.to_string())).await.unwrap();
    loop {
        let message = socket.next().await.unwrap().unwrap();
        let message: Value = serde_json::from_str(message.to_text().unwrap()).unwrap_or_default();
        if message["command"] == "error" {
            return message["definition"].as_str().unwrap().to_owned();
        }
    }
}
