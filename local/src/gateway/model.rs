//! The API Gateway itself, without sockets: what it lets in, lets through, answers and closes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wakecast_lambda::model::{ConnectionId, Timestamp};

use super::limits::Bucket;
use super::{
    Action, Close, Handshake, Incoming, Integration, Invocation, Limits, ManagementError, Received,
    RequestId, Routes,
};
use crate::random::Dice;

const FORBIDDEN: &str = "Forbidden";
const INTERNAL: &str = "Internal server error";
const TIMED_OUT: &str = "Endpoint request timed out";

/// A pure API Gateway: every call takes the present moment. The owner of the sockets calls
/// [`expire`](Self::expire) when [`next_timeout`](Self::next_timeout) has come.
#[derive(Debug)]
pub struct GatewayModel {
    limits: Limits,
    routes: Routes,
    dice: Dice,
    bucket: Bucket,
    sockets: BTreeMap<ConnectionId, Socket>,
    outstanding: BTreeMap<RequestId, (ConnectionId, Timestamp)>,
}

#[derive(Debug)]
struct Socket {
    connected_at: Timestamp,
    active_at: Timestamp,
    /// `$connect` has been answered.
    open: bool,
}

impl GatewayModel {
    /// Builds a gateway without connections and with a full burst. The seed draws its ids.
    #[must_use]
    pub fn new(limits: Limits, routes: Routes, seed: u64, now: Timestamp) -> Self {
        let bucket = Bucket::full(limits.connects_per_second, limits.connect_burst, now);
        Self {
            limits,
            routes,
            dice: Dice::new(seed),
            bucket,
            sockets: BTreeMap::new(),
            outstanding: BTreeMap::new(),
        }
    }

    /// Returns the limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns how many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.sockets.values().filter(|socket| socket.open).count()
    }

    /// Lets a handshake in: `$connect` is to be invoked.
    ///
    /// # Errors
    ///
    /// Over the connection rate: a refusal with 429, of which no function hears.
    pub fn connect(&mut self, now: Timestamp) -> Result<Invocation, Handshake> {
        if !self.bucket.take(now) {
            return Err(Handshake::Refused {
                status: 429,
                headers: Vec::new(),
            });
        }
        // As the gateway spells them: 12 bytes in base64, ending in one `=`.
        let id = ConnectionId::new(format!("{}=", self.text(15)));
        self.sockets.insert(
            id.clone(),
            Socket {
                connected_at: now,
                active_at: now,
                open: false,
            },
        );
        Ok(self.invoke(now, &id, now, "$connect".to_owned()))
    }

    /// Takes what a client sent.
    pub fn receive(
        &mut self,
        now: Timestamp,
        id: &ConnectionId,
        incoming: Incoming<'_>,
    ) -> Received {
        let Some(socket) = self.sockets.get_mut(id).filter(|socket| socket.open) else {
            return Received::Nothing;
        };
        let connected_at = socket.connected_at;
        let text = match incoming {
            Incoming::Control => return Received::Nothing,
            Incoming::Binary => return self.close(id, Some(1003), "binary is not supported"),
            Incoming::TooLarge => return self.close(id, Some(1009), "message too long"),
            Incoming::Text {
                text,
                largest_frame,
            } if text.len() > self.limits.message || largest_frame > self.limits.frame => {
                return self.close(id, Some(1009), "message too long");
            }
            Incoming::Text { text, .. } => text,
        };
        socket.active_at = now;
        let action = route_of(text);
        if let Some(answer) = action.as_ref().and_then(|action| self.mock(action)) {
            return Received::Act(Action::Send(answer));
        }
        match action.filter(|action| self.routes.named.contains(action)) {
            Some(route) => Received::Invoke(self.invoke(now, id, connected_at, route)),
            None if self.routes.default => {
                Received::Invoke(self.invoke(now, id, connected_at, "$default".to_owned()))
            }
            None => {
                let request = self.request_id();
                Received::Act(Action::Send(error_frame(FORBIDDEN, id, &request)))
            }
        }
    }

    /// Takes an integration's answer. `None` where nothing follows: it was late, the client is
    /// gone, or there is no route response.
    pub fn answer(
        &mut self,
        now: Timestamp,
        request: &RequestId,
        integration: Integration,
    ) -> Option<Action> {
        let (id, deadline) = self.outstanding.remove(request)?;
        if now > deadline {
            return self.timed_out(&id, request);
        }
        if self.sockets.get(&id)?.open {
            return self.route_response(now, &id, request, integration);
        }
        let handshake = match integration {
            Integration::Answered(response) => {
                let headers = passing(response.headers);
                if (200..300).contains(&response.status) {
                    Handshake::Accepted { headers }
                } else {
                    Handshake::Refused {
                        status: response.status,
                        headers,
                    }
                }
            }
            Integration::Failed => Handshake::Refused {
                status: 500,
                headers: Vec::new(),
            },
        };
        match &handshake {
            Handshake::Accepted { .. } => {
                if let Some(socket) = self.sockets.get_mut(&id) {
                    socket.open = true;
                    socket.active_at = now;
                }
            }
            Handshake::Refused { .. } => {
                self.sockets.remove(&id);
            }
        }
        Some(Action::Handshake(handshake))
    }

    /// `POST @connections/{id}`.
    ///
    /// # Errors
    ///
    /// Gone, also while `$connect` is unanswered; too large.
    pub fn post(
        &mut self,
        now: Timestamp,
        id: &ConnectionId,
        text: &str,
    ) -> Result<Action, ManagementError> {
        let socket = self
            .sockets
            .get_mut(id)
            .filter(|socket| socket.open)
            .ok_or(ManagementError::Gone)?;
        if text.len() > self.limits.message {
            return Err(ManagementError::TooLarge);
        }
        socket.active_at = now;
        Ok(Action::Send(text.to_owned()))
    }

    /// `DELETE @connections/{id}`: closes without a code.
    ///
    /// # Errors
    ///
    /// Gone, also while `$connect` is unanswered.
    pub fn delete(&mut self, id: &ConnectionId) -> Result<Action, ManagementError> {
        if !self.sockets.get(id).is_some_and(|socket| socket.open) {
            return Err(ManagementError::Gone);
        }
        self.forget(id);
        Ok(Action::Close(Close {
            code: None,
            reason: "",
        }))
    }

    /// Notes that the client is gone. Returns whether `$disconnect` is due: not where the gateway
    /// closed the socket, and has told so, or where `$connect` never succeeded.
    pub fn gone(&mut self, id: &ConnectionId) -> bool {
        self.forget(id).is_some_and(|socket| socket.open)
    }

    /// Returns when [`expire`](Self::expire) is due next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Timestamp> {
        let sockets = self.sockets.values().filter(|socket| socket.open);
        let sockets = sockets.map(|socket| self.end_of(socket));
        let answers = self.outstanding.values().map(|(_, deadline)| *deadline);
        sockets.chain(answers).min()
    }

    /// Ends what has run out of time, in the order of ids.
    pub fn expire(&mut self, now: Timestamp) -> Vec<(ConnectionId, Action)> {
        let mut actions = Vec::new();
        let late: Vec<_> = self
            .outstanding
            .iter()
            .filter(|(_, (_, deadline))| *deadline <= now)
            .map(|(request, (id, _))| (request.clone(), id.clone()))
            .collect();
        for (request, id) in late {
            self.outstanding.remove(&request);
            if let Some(action) = self.timed_out(&id, &request) {
                actions.push((id, action));
            }
        }
        let ended: Vec<_> = self
            .sockets
            .iter()
            .filter(|(_, socket)| socket.open && self.end_of(socket) <= now)
            .map(|(id, _)| id.clone())
            .collect();
        for id in ended {
            self.forget(&id);
            actions.push((
                id,
                Action::Close(Close {
                    code: Some(1001),
                    reason: "Going away",
                }),
            ));
        }
        actions
    }

    /// Ends every connection, as before a deployment that replaces the API.
    pub fn close_all(&mut self) -> Vec<(ConnectionId, Action)> {
        self.outstanding.clear();
        let close = || {
            Action::Close(Close {
                code: Some(1001),
                reason: "Going away",
            })
        };
        let sockets = std::mem::take(&mut self.sockets).into_iter();
        sockets
            .filter(|(_, socket)| socket.open)
            .map(|(id, _)| (id, close()))
            .collect()
    }

    fn end_of(&self, socket: &Socket) -> Timestamp {
        (socket.connected_at + self.limits.age).min(socket.active_at + self.limits.idle)
    }

    fn route_response(
        &mut self,
        now: Timestamp,
        id: &ConnectionId,
        request: &RequestId,
        integration: Integration,
    ) -> Option<Action> {
        let text = match integration {
            Integration::Answered(response) => response.body.filter(|body| !body.is_empty())?,
            Integration::Failed => error_frame(INTERNAL, id, request),
        };
        let text = if text.len() > self.limits.message {
            error_frame(INTERNAL, id, request)
        } else {
            text
        };
        self.sockets.get_mut(id)?.active_at = now;
        Some(Action::Send(text))
    }

    fn timed_out(&mut self, id: &ConnectionId, request: &RequestId) -> Option<Action> {
        if self.sockets.get(id)?.open {
            return Some(Action::Send(error_frame(TIMED_OUT, id, request)));
        }
        self.sockets.remove(id);
        Some(Action::Handshake(Handshake::Refused {
            status: 504,
            headers: Vec::new(),
        }))
    }

    fn mock(&self, action: &str) -> Option<String> {
        self.routes
            .mock
            .iter()
            .find(|(name, _)| name == action)
            .map(|(_, text)| text.clone())
    }

    fn invoke(
        &mut self,
        now: Timestamp,
        id: &ConnectionId,
        connected_at: Timestamp,
        route: String,
    ) -> Invocation {
        let request_id = self.request_id();
        let deadline = now + self.limits.integration;
        self.outstanding
            .insert(request_id.clone(), (id.clone(), deadline));
        Invocation {
            request_id,
            connection: id.clone(),
            connected_at,
            route,
            deadline,
        }
    }

    fn close(&mut self, id: &ConnectionId, code: Option<u16>, reason: &'static str) -> Received {
        self.forget(id);
        Received::Act(Action::Close(Close { code, reason }))
    }

    fn forget(&mut self, id: &ConnectionId) -> Option<Socket> {
        self.outstanding
            .retain(|_, (connection, _)| connection != id);
        self.sockets.remove(id)
    }

    fn request_id(&mut self) -> RequestId {
        RequestId(format!("{}=", self.text(15)))
    }

    fn text(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        (0..length)
            .map(|_| {
                let at = usize::try_from(self.dice.bits() % 64).unwrap_or_default();
                LETTERS.get(at).copied().map_or('A', char::from)
            })
            .collect()
    }
}

/// Reads `$request.body.action`; `None` where the body is no JSON object with such a text.
fn route_of(text: &str) -> Option<String> {
    let body: Value = serde_json::from_str(text).ok()?;
    body.get("action")?.as_str().map(str::to_owned)
}

fn error_frame(message: &str, id: &ConnectionId, request: &RequestId) -> String {
    json!({ "message": message, "connectionId": id.as_str(), "requestId": request.0 }).to_string()
}

/// All other headers of a handshake's answer are dropped.
fn passing(headers: Vec<(String, String)>) -> Vec<(String, String)> {
    headers
        .into_iter()
        .filter(|(name, _)| name.to_ascii_lowercase().starts_with("sec-websocket-"))
        .collect()
}
