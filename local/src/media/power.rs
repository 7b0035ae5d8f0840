//! The life of the process: started, stopped, killed, crashed, and what time does to it.

use super::exchange::Output;
use super::model::{AppLife, Life, MediaModel};
use super::streams::{Expiry, Streams};
use super::webrtc::Plane;

/// From SIGTERM to the end of the process with nothing live (observed 0.41 to 0.43 s).
const STOP_IDLE_MS: u64 = 420;
/// The same with live streams, whose ends are recorded first (observed 0.84 to 0.87 s).
const STOP_BUSY_MS: u64 = 860;

/// Whether the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Not running. With a time, it starts again by itself then.
    Down {
        /// When the service manager starts it again.
        restart_at: Option<u64>,
    },
    /// Booting or serving.
    Up,
    /// Asked to end; it still answers.
    Stopping {
        /// When the process is gone.
        gone_at: u64,
    },
}

impl MediaModel {
    /// Starts the process again after it ended. Does nothing while it runs.
    pub fn boot(&mut self, now: u64) {
        self.tick(now);
        if matches!(self.power, Power::Down { .. }) {
            self.begin_life(now);
        }
    }

    /// SIGTERM: counts go to zero at once, requests are still answered for a moment, then every
    /// connection is dropped without a Close frame.
    pub fn stop(&mut self, now: u64) {
        self.tick(now);
        if self.power != Power::Up {
            return;
        }
        let busy = self.total_counts().live_streams > 0;
        let delay = if busy { STOP_BUSY_MS } else { STOP_IDLE_MS };
        for app in &mut self.life.apps {
            app.streams = Streams::default();
        }
        self.life.plane = None;
        self.power = Power::Stopping {
            gone_at: now.saturating_add(delay),
        };
    }

    /// SIGKILL, a crash or the end of the box: everything is gone at once.
    pub fn kill(&mut self, now: u64) {
        self.tick(now);
        if !matches!(self.power, Power::Down { .. }) {
            self.end_life(false, None);
        }
    }

    /// The process dies and its service manager starts it again `after_ms` later, which shows
    /// as a changed start time and nothing else.
    pub fn crash(&mut self, now: u64, after_ms: u64) {
        self.tick(now);
        if !matches!(self.power, Power::Down { .. }) {
            self.end_life(false, Some(now.saturating_add(after_ms)));
            self.tick(now);
        }
    }

    /// Lets time pass: what is due by `now` happens.
    pub fn tick(&mut self, now: u64) {
        match self.power {
            Power::Stopping { gone_at } if gone_at <= now => self.end_life(true, None),
            Power::Down {
                restart_at: Some(at),
            } if at <= now => self.begin_life(at),
            _ => {}
        }
        for index in 0..self.life.apps.len() {
            self.expire(index, now);
        }
        self.tick_media(now);
    }

    /// When [`MediaModel::tick`] is due next.
    pub fn next_timeout(&self, now: u64) -> Option<u64> {
        let power = match self.power {
            Power::Down { restart_at } => return restart_at,
            Power::Stopping { gone_at } => Some(gone_at),
            Power::Up => self.life.boot.next_change(now, self.life.apps.len()),
        };
        let apps = self.life.apps.iter().enumerate();
        let changes = apps
            .filter_map(|(index, app)| app.streams.next_change(self.life.boot.app_ready_at(index)));
        // A process that hangs sends nothing, media included.
        let plane = self.life.plane.as_ref().filter(|_| !self.faults.hang);
        let media = plane.and_then(Plane::next_timeout);
        power.into_iter().chain(changes).chain(media).min()
    }

    fn expire(&mut self, app: usize, now: u64) {
        let ready_at = self.life.boot.app_ready_at(app);
        let Some(life) = self.life.apps.get_mut(app) else {
            return;
        };
        life.streams.fade(ready_at, now);
        while let Some((id, expiry)) = self
            .life
            .apps
            .get(app)
            .and_then(|life| life.streams.expired(now))
        {
            if expiry == Expiry::NotStarted {
                self.refuse_late_publisher(now, app, &id);
            } else {
                self.end_stream(now, app, &id);
            }
        }
    }

    fn begin_life(&mut self, at: u64) {
        self.life = Life::new(&self.config, &self.faults, at);
        self.power = Power::Up;
        self.starts += 1;
    }

    fn end_life(&mut self, properly: bool, restart_at: Option<u64>) {
        for socket in std::mem::take(&mut self.life.sockets).into_keys() {
            self.emit(Output::Drop { socket });
        }
        for app in &mut self.life.apps {
            *app = AppLife::default();
        }
        self.life.held.clear();
        self.life.plane = None;
        self.ended_properly = properly;
        self.power = Power::Down { restart_at };
        self.emit(Output::Gone);
    }
}
