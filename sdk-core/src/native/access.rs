//! Asks `GET /v1/access` why an upgrade was refused. API Gateway drops most headers of a refused
//! `$connect`, and a proxy may cut WebSockets alone; plain HTTP still gets an explanation through.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_rustls::TlsConnector;

use super::address::Address;
use super::dial::dial;
use super::failure::{ConnectFailure, retry_after};
use super::task::OwnedTask;

/// What the access check answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AccessAnswer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
}

/// Asks once. `base` is the configured `access_url`. Has no timeout of its own.
pub(super) async fn check(
    base: &Address,
    authorization: Option<HeaderValue>,
    tls: &TlsConnector,
) -> Result<AccessAnswer, ConnectFailure> {
    let address = base.join("v1/access");
    let mut request = Request::get(address.target())
        .header(HOST, address.authority())
        .body(Empty::<Bytes>::new())
        .map_err(|error| ConnectFailure::Http(error.to_string()))?;
    if let Some(authorization) = authorization {
        request.headers_mut().insert(AUTHORIZATION, authorization);
    }

    let stream = dial(&address, tls).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    let _connection = OwnedTask::spawn(async move {
        // Its failure reaches the request below, which is where it is told.
        let _ = connection.await;
    });
    let response = sender.send_request(request).await.map_err(http)?;
    // The head is the whole answer. The body is not read, so none can be too long or too slow.
    Ok(AccessAnswer { status: response.status(), retry_after: retry_after(response.headers()) })
}

fn http(error: hyper::Error) -> ConnectFailure {
    ConnectFailure::Http(error.to_string())
}
