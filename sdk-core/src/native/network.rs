//! The addresses and credentials of one client, and what it does with them on the network.

use hyper::header::HeaderValue;

use super::access;
use super::address::{Address, InsecureHosts, Scheme};
use super::dial::Dialer;
use super::failure::ConnectFailure;
use super::probe;
use super::upgrade::{Offer, Upgraded, upgrade};
use crate::Secret;
use crate::machine::{AccessAnswer, GatewayAddress, GatewayIndex};
use crate::protocol::SUBPROTOCOL;

/// What a client was built with.
pub(super) struct Network {
    /// In order of preference.
    pub(super) gateways: Vec<Gateway>,
    pub(super) insecure: InsecureHosts,
    pub(super) dialer: Dialer,
}

/// Where a gateway is.
pub(super) struct Gateway {
    pub(super) address: Address,
    pub(super) access: Option<Address>,
}

impl Gateway {
    /// Checks the addresses that the app configured.
    pub(super) fn configured(
        url: &str,
        access: Option<&str>,
        insecure: &InsecureHosts,
    ) -> Result<Self, String> {
        let checked = |name, url, scheme| Address::configured(name, url, scheme, insecure);
        let access = access.map(|url| checked("access_url", url, Scheme::Http));
        Ok(Self {
            address: checked("the client's url", url, Scheme::WebSocket)?,
            access: access.transpose()?,
        })
    }
}

impl Network {
    /// The addresses in order of preference, without their queries.
    pub(super) fn addresses(&self) -> Vec<GatewayAddress> {
        let gateways = self.gateways.iter();
        gateways
            .map(|gateway| GatewayAddress {
                gateway: gateway.address.to_string(),
                access: gateway.access.as_ref().map(ToString::to_string),
            })
            .collect()
    }

    /// The gateway that the machine names.
    pub(super) fn gateway(&self, index: GatewayIndex) -> Option<&Gateway> {
        self.gateways.get(usize::from(index.0))
    }

    /// Opens a WebSocket to a gateway.
    pub(super) async fn open(
        &self,
        gateway: GatewayIndex,
        token: &Secret,
    ) -> Result<Upgraded, ConnectFailure> {
        let unknown = || ConnectFailure::Unusable("no such gateway is set".into());
        let address = &self.gateway(gateway).ok_or_else(unknown)?.address;
        let offer = Offer {
            authorization: Some(bearer(token)?),
            subprotocol: Some(SUBPROTOCOL),
        };
        let stream = self.dialer.dial(address).await?;
        upgrade(stream, address, offer).await
    }

    /// Asks at a gateway's access address why an upgrade was refused.
    pub(super) async fn check_access(&self, gateway: GatewayIndex, token: &Secret) -> AccessAnswer {
        let access = self.gateway(gateway).map(|gateway| &gateway.access);
        let answer = match access.and_then(Option::as_ref) {
            Some(address) => match bearer(token) {
                Ok(authorization) => access::check(address, authorization, &self.dialer).await,
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
        probe::prove(&address, &self.dialer)
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
