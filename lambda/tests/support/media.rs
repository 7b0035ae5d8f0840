//! A scripted media server on virtual time, as the real one was observed.

use std::time::Duration;

use serde_json::Value;
use wakecast_lambda::lifecycle::{Question, Reply};
use wakecast_lambda::model::Timestamp;
use wakecast_lambda::ports::{Load, MediaError};

/// What the fleet configures, and what a lost setting reads.
pub const SETTING: bool = true;

#[derive(Clone, Debug)]
pub struct Media {
    /// When the server process began; 0 while it does not run.
    pub began: Timestamp,
    pub liveness_after: Duration,
    pub app_after: Duration,
    pub streams: u64,
    pub viewers: u64,
    pub hls_viewers: u64,
    pub hangs: bool,
    pub hung_at: Option<Timestamp>,
    pub forbids: bool,
    /// Asked for its load it says nothing.
    pub hides_load: bool,
    /// Boots whose settings are lost, from the next on.
    pub lose_settings: u32,
    pub settings_lost: bool,
    /// What the setting reads unless it is lost.
    pub value: Value,
    /// The app was touched while it was starting with the machine.
    pub touched_early: bool,
    /// The server has restarted by itself: a look that is under way then cannot know.
    pub self_started: bool,
    /// The server measures WebRTC.
    pub webrtc: bool,
}

impl Media {
    pub fn new() -> Self {
        Self {
            began: Timestamp::from_millis(0),
            liveness_after: Duration::from_secs(8),
            app_after: Duration::from_secs(9),
            streams: 0,
            viewers: 0,
            hls_viewers: 0,
            hangs: false,
            hung_at: None,
            forbids: false,
            hides_load: false,
            lose_settings: 0,
            settings_lost: false,
            value: Value::Bool(SETTING),
            touched_early: false,
            self_started: false,
            webrtc: true,
        }
    }

    /// Starts the server process, with the machine or by itself.
    pub fn begin(&mut self, now: Timestamp) {
        self.began = now;
        self.self_started = false;
        self.streams = 0;
        self.viewers = 0;
        self.hls_viewers = 0;
        self.settings_lost = self.lose_settings > 0;
        self.lose_settings = self.lose_settings.saturating_sub(1);
    }

    pub fn answer(&mut self, now: Timestamp, question: &Question) -> Result<Reply, MediaError> {
        let up = now.since(self.began);
        let app = up >= self.app_after;
        let touches = matches!(question, Question::Ping { .. } | Question::Endpoint { .. });
        if touches && !app {
            self.touched_early |= !self.self_started;
            self.settings_lost = true;
        }
        if self.hangs || up < self.liveness_after {
            return Err(MediaError::NotYet("refused".into()));
        }
        if self.forbids && *question != Question::Liveness {
            return Err(MediaError::Forbidden("Invalid Server JWT Token".into()));
        }
        match question {
            Question::Liveness => Ok(Reply::Yes),
            Question::Applications => Ok(Reply::Applications(if app {
                vec!["live".into()]
            } else {
                Vec::new()
            })),
            Question::Ping { .. } | Question::Endpoint { .. } if app => Ok(Reply::Yes),
            Question::Ping { .. } | Question::Endpoint { .. } => {
                Err(MediaError::NotYet("not_initialized_yet".into()))
            }
            Question::Setting { .. } if self.settings_lost => {
                Ok(Reply::Setting(Some(Value::Bool(false))))
            }
            Question::Setting { .. } => Ok(Reply::Setting(Some(self.value.clone()))),
            Question::Load if self.hides_load => Err(MediaError::NotYet("empty 500".into())),
            Question::Load => Ok(Reply::Load(Load {
                live_streams: Some(self.streams),
                webrtc_streams: self.webrtc.then_some(self.streams),
                webrtc_viewers: self.webrtc.then_some(self.viewers),
                hls_viewers: Some(self.hls_viewers),
                dash_viewers: Some(0),
                start_time_ms: Some(self.began.as_millis()),
            })),
        }
    }
}
