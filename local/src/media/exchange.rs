//! What goes in and out of the model: requests, replies, sockets and pages.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// One HTTP request, reduced to what the server looks at.
#[derive(Clone)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The header `ProxyAuthorization`, whatever its case.
    pub proxy_authorization: Option<String>,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// The cookie `JSESSIONID`.
    pub session: Option<String>,
    /// Who asks.
    pub peer: IpAddr,
}

impl Request {
    /// A bare `GET` from the loopback address.
    pub fn get(target: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            target: target.to_owned(),
            proxy_authorization: None,
            authorization: None,
            session: None,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    /// Adds the server's token.
    #[must_use]
    pub fn with_server_token(mut self, token: &str) -> Self {
        self.proxy_authorization = Some(token.to_owned());
        self
    }

    /// The path without its query.
    pub(super) fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The value of one query parameter, as it was written.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path())
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// An answer, at once.
    Answer(Response),
    /// Nothing listens: the connection is refused.
    Refused,
    /// The connection is accepted and nothing is said. The same request is to be handed in again
    /// at `until` or, without one, at the next change of the model.
    Silent {
        /// When the server gets to it, on the driver's clock in milliseconds.
        until: Option<u64>,
    },
}

impl Reply {
    /// The answer, if there is one.
    pub fn answer(self) -> Option<Response> {
        match self {
            Self::Answer(response) => Some(response),
            Self::Refused | Self::Silent { .. } => None,
        }
    }
}

/// One HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header `Content-Type`, if the body has one.
    pub content_type: Option<&'static str>,
    /// The session that a `Set-Cookie: JSESSIONID` hands out.
    pub new_session: Option<String>,
    /// The body.
    pub body: String,
}

impl Response {
    pub(super) fn json(body: String) -> Self {
        Self {
            status: 200,
            content_type: Some("application/json"),
            new_session: None,
            body,
        }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            content_type: None,
            new_session: None,
            body: String::new(),
        }
    }

    /// Tomcat's own page: refusals are never JSON.
    pub(super) fn page(status: u16, message: &str) -> Self {
        let reason = match status {
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            _ => "Internal Server Error",
        };
        let body = format!(
            "<!doctype html><html lang=\"en\"><head><title>HTTP Status {status} – {reason}</title></head>\
             <body><h1>HTTP Status {status} – {reason}</h1><hr class=\"line\" /><p><b>Type</b> Status Report</p>\
             <p><b>Message</b> {message}</p><hr class=\"line\" /><h3>Apache Tomcat/10.1.54</h3></body></html>"
        );
        Self {
            status,
            content_type: Some("text/html;charset=utf-8"),
            new_session: None,
            body,
        }
    }

    pub(super) fn with_session(mut self, session: String) -> Self {
        self.new_session = Some(session);
        self
    }
}

/// One open WebSocket, numbered in the order of opening and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SocketId(pub u64);

/// What becomes of a WebSocket handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// `101`; the socket is open.
    Accepted(SocketId),
    /// Nothing listens: the connection is refused.
    Refused,
    /// Accepted by the kernel, unanswered; as in [`Reply::Silent`].
    Silent {
        /// When the server gets to it, on the driver's clock in milliseconds.
        until: Option<u64>,
    },
    /// The connection is closed without a byte.
    Cut,
    /// An HTTP answer instead of `101`.
    Answer(Response),
}

/// What the server does on its own or towards other sockets; drained after every input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A text message to a socket.
    Send {
        /// To whom.
        socket: SocketId,
        /// The message.
        text: String,
    },
    /// A Close frame, then the end of the connection.
    Close {
        /// Which socket.
        socket: SocketId,
        /// The close code.
        code: u16,
        /// The reason in the frame.
        reason: &'static str,
    },
    /// The connection ends without a Close frame.
    Drop {
        /// Which socket.
        socket: SocketId,
    },
    /// A datagram from [`super::WebRtc::address`] to a peer. One that cannot be sent at once is
    /// lost, as on any network.
    Datagram {
        /// To whom.
        to: SocketAddr,
        /// What.
        bytes: Vec<u8>,
    },
    /// The process is gone, and with it every connection to it.
    Gone,
}
