//! The admin's HTTP server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming as Body;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

use super::{AdminError, Fault, apply, status, ticket, token};
use crate::Listener;
use crate::cloud::Parts;

/// Larger than any fault.
const MAX_BODY: usize = 64 * 1024;

/// The admin on its port. Dropping it ends it at once.
#[derive(Debug)]
pub(crate) struct AdminApi {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl AdminApi {
    pub(crate) fn serve(listener: Listener, parts: Arc<Parts>) -> Self {
        let address = listener.address;
        Self {
            address,
            task: tokio::spawn(accept(listener, parts)),
        }
    }

    /// Ends it at once and waits until its port is free.
    pub(crate) async fn shutdown(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for AdminApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: Listener, parts: Arc<Parts>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.inner.accept() => match accepted {
                Ok((stream, _)) => {
                    let parts = parts.clone();
                    let service = service_fn(move |request| {
                        let parts = parts.clone();
                        async move { Ok::<_, Infallible>(answer(&parts, request).await) }
                    });
                    connections.spawn(http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service));
                }
                // Out of descriptors, or a connection that ended before it was taken.
                Err(error) => tracing::debug!(%error, "accept"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(parts: &Parts, request: Request<Body>) -> Response<Full<Bytes>> {
    match route(parts, request).await {
        Ok(body) => json_response(200, &body),
        Err(error) => json_response(error.status(), &error.body()),
    }
}

async fn route(parts: &Parts, request: Request<Body>) -> Result<Value, AdminError> {
    check_host(&request)?;
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/faults") => {
            let fault = Fault::parse(&body(request).await?)?;
            Ok(json!({ "done": apply::apply(parts, fault).await? }))
        }
        (&Method::DELETE, "/faults") => {
            apply::clear(parts).await?;
            Ok(json!({ "done": "no fault is in force" }))
        }
        (&Method::POST, "/token") => token::token(parts, &body(request).await?),
        (&Method::POST, "/ticket") => ticket::ticket(parts, &body(request).await?),
        (&Method::GET, "/status") => Ok(status::status(parts).await),
        (&Method::GET, "/timeline") => timeline(parts, request.uri().query()).await,
        (_, "/faults") => Err(AdminError::Method("POST and DELETE")),
        (_, "/token" | "/ticket") => Err(AdminError::Method("POST")),
        (_, "/status" | "/timeline") => Err(AdminError::Method("GET")),
        _ => Err(AdminError::Path),
    }
}

/// All that is kept; with `from`, what there is from that place on, once there is something.
async fn timeline(parts: &Parts, query: Option<&str>) -> Result<Value, AdminError> {
    let Some(query) = query else {
        return Ok(json!(parts.timeline.events()));
    };
    let from = query
        .strip_prefix("from=")
        .and_then(|from| from.parse().ok());
    let from = from.ok_or(AdminError::Field {
        field: "from",
        expected: "the place of an event, from 0",
    })?;
    let (next, events) = parts.timeline.since(from).await;
    Ok(json!({ "next": next, "events": events }))
}

/// A page that reaches this port through a DNS name of its own sends that name.
fn check_host(request: &Request<Body>) -> Result<(), AdminError> {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    match host {
        Some("127.0.0.1" | "localhost" | "[::1]") => Ok(()),
        _ => Err(AdminError::Host),
    }
}

async fn body(request: Request<Body>) -> Result<Bytes, AdminError> {
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = content_type
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    if media_type != Some("application/json") {
        return Err(AdminError::ContentType);
    }
    let read = Limited::new(request.into_body(), MAX_BODY).collect().await;
    Ok(read.map_err(|_| AdminError::TooLarge(MAX_BODY))?.to_bytes())
}

fn json_response(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{body:#}\n")));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
