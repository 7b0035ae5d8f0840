//! The addresses and credentials of one client, and what it does with them on the network.

use hyper::header::HeaderValue;
use tokio_rustls::TlsConnector;

use super::access;
use super::address::{Address, InsecureHosts, Scheme};
use super::dial::dial;
use super::failure::ConnectFailure;
use super::probe;
use super::upgrade::{Offer, Upgraded, upgrade};
use crate::Secret;
use crate::machine::AccessAnswer;
use crate::protocol::SUBPROTOCOL;

/// What a client was built with.
pub(super) struct Network {
    pub(super) gateway: Address,
    pub(super) access: Option<Address>,
    pub(super) insecure: InsecureHosts,
    pub(super) tls: TlsConnector,
}

impl Network {
    /// The addresses, without their queries.
    pub(super) fn addresses(&self) -> Vec<String> {
        let access = self
            .access
            .as_ref()
            .map(|address| format!("access: {address}"));
        let gateway = format!("gateway: {}", self.gateway);
        std::iter::once(gateway).chain(access).collect()
    }

    /// Opens a WebSocket to the gateway.
    pub(super) async fn open(&self, token: &Secret) -> Result<Upgraded, ConnectFailure> {
        let offer = Offer {
            authorization: Some(bearer(token)?),
            subprotocol: Some(SUBPROTOCOL),
        };
        let stream = dial(&self.gateway, &self.tls).await?;
        upgrade(stream, &self.gateway, offer).await
    }

    /// Asks at the access address why an upgrade was refused.
    pub(super) async fn check_access(&self, token: &Secret) -> AccessAnswer {
        let answer = match &self.access {
            Some(address) => match bearer(token) {
                Ok(authorization) => access::check(address, authorization, &self.tls).await,
                Err(failure) => Err(failure),
            },
            None => Err(ConnectFailure::Unusable("no access_url is set".into())),
        };
        answer.unwrap_or_else(|failure| AccessAnswer::Unreachable {
            message: failure.to_string(),
        })
    }

    /// Proves an endpoint that the server handed out. The error says why in plain words.
    pub(super) async fn prove(&self, url: &str) -> Result<(), String> {
        let address = Address::parse(
            "the endpoint's address",
            url,
            Scheme::WebSocket,
            &self.insecure,
        )?;
        probe::prove(&address, &self.tls)
            .await
            .map_err(|failure| failure.to_string())
    }
}

fn bearer(token: &Secret) -> Result<HeaderValue, ConnectFailure> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| {
        ConnectFailure::Unusable(
            "the token holds characters that a header cannot carry; give the token alone, without \
             line breaks"
                .into(),
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}
