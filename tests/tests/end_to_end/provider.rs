//! Where the clients of these tests get their tokens.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::watch;
use wakecast::{Token, TokenError, TokenProvider, TokenReason};
use wakecast_tests::http;

/// Hands out scripted tokens first, and then asks the local cloud, as an app in development does.
#[derive(Clone)]
pub(crate) struct Provider {
    url: String,
    request: Value,
    script: Arc<Mutex<Vec<Token>>>,
    calls: Arc<watch::Sender<Vec<TokenReason>>>,
}

impl Provider {
    pub(crate) fn new(admin_url: &str, subject: &str) -> Self {
        Self {
            url: format!("{admin_url}/token"),
            request: json!({ "subject": subject }),
            script: Arc::default(),
            calls: Arc::new(watch::Sender::new(Vec::new())),
        }
    }

    /// Asks for tokens of these scopes.
    pub(crate) fn scopes(mut self, scopes: &[&str]) -> Self {
        self.request["scopes"] = json!(scopes);
        self
    }

    /// Asks for tokens of these streams.
    pub(crate) fn streams(mut self, streams: &[&str]) -> Self {
        self.request["streams"] = json!(streams);
        self
    }

    /// Asks for tokens that live this long.
    pub(crate) fn life(mut self, life: Duration) -> Self {
        self.request["life_s"] = life.as_secs().into();
        self
    }

    /// Hands these tokens out first.
    pub(crate) fn first(self, tokens: impl IntoIterator<Item = Token>) -> Self {
        self.script.lock().unwrap().extend(tokens);
        self
    }

    /// Returns why it was asked, each time.
    pub(crate) fn calls(&self) -> Vec<TokenReason> {
        self.calls.borrow().clone()
    }

    /// Waits until it was asked this often.
    pub(crate) async fn asked(&self, times: usize) {
        let mut calls = self.calls.subscribe();
        calls.wait_for(|calls| calls.len() >= times).await.unwrap();
    }
}

impl TokenProvider for Provider {
    fn token(&self, reason: TokenReason) -> BoxFuture<'_, Result<Token, TokenError>> {
        self.calls.send_modify(|calls| calls.push(reason));
        let scripted = {
            let mut script = self.script.lock().unwrap();
            (!script.is_empty()).then(|| script.remove(0))
        };
        async move {
            if let Some(token) = scripted {
                return Ok(token);
            }
            let answer = http::send("POST", &self.url, &self.request.to_string()).await;
            let (status, body) = answer.map_err(TokenError::new)?;
            let token = body["token"].as_str();
            let life = body["expires_in_ms"].as_u64();
            match (token, life) {
                (Some(token), Some(life)) => {
                    Ok(Token::new(token).expires_in(Duration::from_millis(life)))
                }
                _ => Err(TokenError::new(format!("no token but status {status}"))),
            }
        }
        .boxed()
    }
}
