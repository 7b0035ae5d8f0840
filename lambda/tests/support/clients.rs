//! The gateway's half, as far as decisions see it: rows that come, are granted and go.

use std::time::Duration;

use wakecast::protocol::{Phase, Purpose, ServerMessage};
use wakecast_lambda::model::{
    Ask, ConnectionId, InstanceStatus, Link, Row, RowEnd, RowKey, RowState, Timestamp, WaitKind,
};

use super::World;

/// The client's default wait.
pub const WAIT: Duration = Duration::from_secs(600);

impl World {
    /// The key of a row: its subject is the one that asked first under this id.
    pub fn key(&self, id: &str) -> RowKey {
        let known = self.rows.keys().find(|key| key.id == id);
        known.cloned().unwrap_or_else(|| RowKey {
            fleet: self.fleet.clone(),
            subject: self.subject.clone().unwrap_or(format!("subject-{id}")),
            id: id.to_owned(),
        })
    }

    pub fn row(&self, id: &str) -> &Row {
        &self.rows[&self.key(id)]
    }

    pub fn state(&self, id: &str) -> &RowState {
        &self.row(id).state
    }

    pub fn is_held(&self, id: &str) -> bool {
        matches!(self.state(id), RowState::Held { .. })
    }

    pub fn is_waiting(&self, id: &str) -> bool {
        matches!(self.state(id), RowState::Waiting { .. })
    }

    /// How the row ended, if it has.
    pub fn end(&self, id: &str) -> Option<RowEnd> {
        match self.state(id) {
            RowState::Ended { end, .. } => Some(end.clone()),
            _ => None,
        }
    }

    /// What the owner of a row was told.
    pub fn heard(&self, id: &str) -> Vec<&ServerMessage> {
        self.told
            .iter()
            .filter(|(_, to, _)| to == id)
            .map(|(_, _, message)| message)
            .collect()
    }

    /// The phases that the owner was told, in order.
    pub fn phases(&self, id: &str) -> Vec<Phase> {
        self.heard(id)
            .into_iter()
            .filter_map(|message| match message {
                ServerMessage::Progress(progress) => Some(progress.phase),
                _ => None,
            })
            .collect()
    }

    pub fn acquire(&mut self, id: &str, purpose: Purpose) {
        self.acquire_for(id, purpose, WAIT);
    }

    pub fn acquire_for(&mut self, id: &str, purpose: Purpose, wait: Duration) {
        self.note(format!("{id} acquires to {}", purpose.as_str()));
        let version = self.rows.get(&self.key(id)).map_or(0, |row| row.version);
        let row = Row {
            key: self.key(id),
            version: version + 1,
            rev: self.now.as_millis(),
            ask: Some(Ask {
                purpose,
                app: "live".into(),
                stream_id: Some("s".into()),
            }),
            state: RowState::Waiting {
                phase: Phase::Requested,
                deadline: self.now + wait,
                wait_ms: u64::try_from(wait.as_millis()).expect("short"),
                kind: WaitKind::Acquire,
            },
            link: Some(Link {
                connection: ConnectionId::new(id),
                connected_at: self.now,
                client_id: id.to_owned(),
            }),
            absent_since: None,
            created_at: self.now,
            expires_at: self.now + Duration::from_secs(86_400),
        };
        self.rows.insert(row.key.clone(), row.clone());
        if !self.grant(row) && purpose != Purpose::Watch {
            self.wake();
        }
    }

    /// G1 and G2 in one: held on the boot that is ready, or left as it is.
    pub fn grant(&mut self, row: Row) -> bool {
        let current = self.rows.get(&row.key);
        if current.is_none_or(|current| current.version != row.version) {
            return false;
        }
        let ready = self
            .records
            .instances
            .values()
            .find(|known| known.status == InstanceStatus::Ready);
        let Some((instance, boot)) =
            ready.and_then(|known| Some((known.id.clone(), known.boot.as_ref()?.id)))
        else {
            return false;
        };
        let purpose = row.ask.as_ref().expect("an ask").purpose;
        let protection = match purpose {
            Purpose::Publish => self.config.timing.protect_publish,
            _ => self.config.timing.protect_play,
        };
        let now = self.now;
        let mut granted = row;
        let (granted_at, protected_until, wait_ms) = match granted.state {
            RowState::Held {
                granted_at,
                protected_until,
                wait_ms,
                ..
            } => (granted_at, protected_until, wait_ms),
            RowState::Waiting { wait_ms, .. } => (now, now + protection, wait_ms),
            RowState::Ended { .. } => return false,
        };
        granted.state = RowState::Held {
            instance,
            boot,
            granted_at,
            protected_until,
            wait_ms,
            draining: false,
            owed: WaitKind::Acquire,
        };
        granted.version += 1;
        granted.rev += 1;
        self.note(format!("{} is granted", granted.key.id));
        self.rows.insert(granted.key.clone(), granted);
        true
    }

    pub fn release(&mut self, id: &str) {
        self.finish(id, RowEnd::Released);
    }

    pub fn cancel(&mut self, id: &str) {
        self.finish(id, RowEnd::Cancelled);
    }

    fn finish(&mut self, id: &str, end: RowEnd) {
        let (key, now) = (self.key(id), self.now);
        self.note(format!("{id}: {end:?}"));
        if let Some(row) = self.rows.get_mut(&key) {
            row.state = RowState::Ended { end, at: now };
            row.version += 1;
            row.rev += 1;
        }
    }

    pub fn leave(&mut self, id: &str) {
        let (key, now) = (self.key(id), self.now);
        self.note(format!("{id} loses its link"));
        if let Some(row) = self.rows.get_mut(&key) {
            row.absent_since = Some(now);
            row.version += 1;
        }
    }

    /// A stream begins if the lease's stream token still lives; true if it did.
    pub fn publish(&mut self, id: &str) -> bool {
        let RowState::Held {
            instance,
            granted_at,
            ..
        } = self.state(id).clone()
        else {
            return false;
        };
        let token_ends: Timestamp = granted_at + self.config.timing.stream_token;
        let lives = self.now < token_ends;
        let up = self.ec2.live(self.now).contains(&instance);
        if lives && up {
            self.note(format!("{id} publishes"));
            self.media.get_mut(&instance).expect("a server").streams += 1;
        }
        lives && up
    }
}
