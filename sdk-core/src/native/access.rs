//! Asks `GET /v1/access` why an upgrade was refused. API Gateway drops most headers of a refused
//! `$connect`, and a proxy may cut WebSockets alone; plain HTTP still gets an explanation through.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper_util::rt::TokioIo;

use super::address::Address;
use super::dial::Dialer;
use super::failure::{ConnectFailure, retry_after};
use super::task::OwnedTask;
use crate::machine::AccessAnswer;

/// Asks once. `base` is the configured `access_url`. Has no timeout of its own.
pub(super) async fn check(
    base: &Address,
    authorization: HeaderValue,
    dialer: &Dialer,
) -> Result<AccessAnswer, ConnectFailure> {
    let address = base.join("v1/access");
    let request = Request::get(address.target())
        .header(HOST, address.authority())
        .header(AUTHORIZATION, authorization)
        .body(Empty::<Bytes>::new())
        .map_err(|error| ConnectFailure::Unusable(error.to_string()))?;

    let stream = dialer.dial(&address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let _connection = OwnedTask::spawn(async move {
        // Its failure reaches the request below, which is where it is told.
        let _ = connection.await;
    });
    let response = sender.send_request(request).await?;
    // The head is the whole answer. The body is not read, so none can be too long or too slow.
    Ok(AccessAnswer::Http {
        status: response.status().as_u16(),
        retry_after: retry_after(response.headers()),
    })
}
