//! The WebSocket upgrade.
//!
//! hyper speaks it and not tungstenite's own client, because that one writes the whole request,
//! `Authorization` included, into the app's log at level trace.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::address::Address;
use super::dial::Stream;
use super::failure::{ConnectFailure, retry_after};
use super::task::OwnedTask;
use crate::protocol::MAX_SERVER_MESSAGE;

/// tungstenite allocates its read buffer at once and keeps it: 8 KiB holds every ordinary message
/// where its default would cost 128 KiB for each client.
const READ_BUFFER: usize = 8 * 1024;

/// Frames that are written together go out once they are as long as this: several requests, and
/// less than one segment of a loopback or TLS record.
const WRITE_BUFFER: usize = 4 * 1024;

/// The largest response head that is read.
const MAX_HEAD: usize = 16 * 1024;

/// What to ask for.
#[derive(Default)]
pub(super) struct Offer {
    /// The `Authorization` header, marked as sensitive.
    pub(super) authorization: Option<HeaderValue>,
    /// The one subprotocol that is offered.
    pub(super) subprotocol: Option<&'static str>,
}

/// An open WebSocket.
pub(super) struct Upgraded {
    pub(super) socket: WebSocketStream<Stream>,
    /// The subprotocol that the server named; whether that is the right one is not judged here.
    pub(super) subprotocol: Option<String>,
}

/// Turns an open stream into a WebSocket.
pub(super) async fn upgrade(
    stream: Stream,
    address: &Address,
    offer: Offer,
) -> Result<Upgraded, ConnectFailure> {
    let key = generate_key();
    let request = request(address, offer, &key)?;

    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await?;
    let connection = OwnedTask::spawn(async move {
        // Its failure reaches the request below, which is where it is told.
        let _ = connection.with_upgrades().await;
    });
    let response = sender.send_request(request).await?;
    check(&response, &key)?;
    let subprotocol = response
        .headers()
        .get(SEC_WEBSOCKET_PROTOCOL)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let upgraded = hyper::upgrade::on(response).await?;
    drop(connection);

    let parts = upgraded
        .downcast::<TokioIo<Stream>>()
        .map_err(|_| ConnectFailure::Answer("the upgraded stream is not ours".into()))?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(MAX_SERVER_MESSAGE))
        .max_frame_size(Some(MAX_SERVER_MESSAGE));
    let socket = WebSocketStream::from_partially_read(
        parts.io.into_inner(),
        parts.read_buf.into(),
        Role::Client,
        Some(config),
    )
    .await;
    Ok(Upgraded {
        socket,
        subprotocol,
    })
}

fn request(
    address: &Address,
    offer: Offer,
    key: &str,
) -> Result<Request<Empty<Bytes>>, ConnectFailure> {
    let mut request = Request::get(address.target())
        .header(HOST, address.authority())
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, key)
        .body(Empty::new())
        .map_err(|error| ConnectFailure::Unusable(error.to_string()))?;
    if let Some(subprotocol) = offer.subprotocol {
        request.headers_mut().insert(
            SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(subprotocol),
        );
    }
    if let Some(authorization) = offer.authorization {
        request.headers_mut().insert(AUTHORIZATION, authorization);
    }
    Ok(request)
}

fn check<B>(response: &Response<B>, key: &str) -> Result<(), ConnectFailure> {
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(ConnectFailure::Status {
            status,
            retry_after: retry_after(response.headers()),
        });
    }
    let accept = response
        .headers()
        .get(SEC_WEBSOCKET_ACCEPT)
        .map(HeaderValue::as_bytes);
    if accept != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err(ConnectFailure::Answer(
            "the answer is not from a WebSocket server (Sec-WebSocket-Accept does not match)"
                .into(),
        ));
    }
    Ok(())
}
