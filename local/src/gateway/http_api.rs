//! The HTTP API on a real port. It has no CORS of its own: preflights go to the function.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming as Body;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use wakecast_lambda::ports::Clock;

use super::events::{self, Origin};
use super::function::response;
use super::{Function, FunctionResponse};
use crate::Listener;

/// API Gateway's limit on a request's payload.
const MAX_BODY: usize = 10 * 1024 * 1024;

/// An HTTP API of the API Gateway on a loopback port. Dropping it ends it at once.
#[derive(Debug)]
pub struct HttpApi {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl HttpApi {
    /// Serves every path on `listener` by `function`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn serve(listener: Listener, clock: Arc<dyn Clock>, function: Arc<dyn Function>) -> Self {
        let address = listener.address;
        let api = Api {
            domain: address.to_string(),
            clock,
            function,
            requests: AtomicU64::new(0),
        };
        Self {
            address,
            task: tokio::spawn(accept(listener.inner, Arc::new(api))),
        }
    }

    /// Ends it at once and waits until its port is free.
    pub async fn shutdown(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Returns the base of its URLs, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for HttpApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Api {
    domain: String,
    clock: Arc<dyn Clock>,
    function: Arc<dyn Function>,
    requests: AtomicU64,
}

impl Api {
    async fn answer(&self, peer: SocketAddr, request: Request<Body>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
        };
        let body = body.to_bytes();
        let body = (!body.is_empty()).then(|| String::from_utf8_lossy(&body).into_owned());
        let origin = Origin {
            domain: self.domain.clone(),
            stage: "$default".to_owned(),
            source_ip: peer.ip().to_string(),
        };
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let event = events::http(
            &origin,
            &format!("http-{number}"),
            self.clock.now(),
            &parts,
            body,
        );
        match self.function.invoke(event).await {
            Ok(answer) => response(&answer).map_or_else(failed, passed_on),
            Err(crash) => {
                tracing::warn!(%crash, "integration");
                failed()
            }
        }
    }
}

async fn accept(listener: TcpListener, api: Arc<Api>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let api = api.clone();
                    let service = service_fn(move |request| {
                        let api = api.clone();
                        async move { Ok::<_, Infallible>(api.answer(peer, request).await) }
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

fn passed_on(function: FunctionResponse) -> Response<Full<Bytes>> {
    let body = Bytes::from(function.body.unwrap_or_default());
    let mut response = Response::new(Full::from(body));
    *response.status_mut() =
        StatusCode::from_u16(function.status).unwrap_or(StatusCode::BAD_GATEWAY);
    for (name, value) in function.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn failed() -> Response<Full<Bytes>> {
    message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

fn message(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(json!({ "message": text }).to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
