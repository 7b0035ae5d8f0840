//! Proves an endpoint from this device's own network: a WebSocket that opens and an application
//! that answers a ping. A server that a firewall hides from this device is not ready for it.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Message;

use super::address::Address;
use super::dial::Dialer;
use super::failure::ConnectFailure;
use super::upgrade::{Offer, upgrade};
use crate::protocol::{MEDIA_PING, is_media_pong};

/// Resolves once the media server answered. Has no timeout of its own: a server that accepts and
/// then says nothing is ended by whoever asks.
pub(super) async fn prove(address: &Address, dialer: &Dialer) -> Result<(), ConnectFailure> {
    let stream = dialer.dial(address).await?;
    let mut socket = upgrade(stream, address, Offer::default()).await?.socket;
    socket
        .send(Message::text(MEDIA_PING))
        .await
        .map_err(ended)?;
    while let Some(message) = socket.next().await {
        if let Message::Text(text) = message.map_err(ended)?
            && is_media_pong(&text)
        {
            // Told goodbye if it can be done at once; the proof does not depend on it.
            let _ = socket.close(None).await;
            return Ok(());
        }
    }
    Err(ConnectFailure::Cut(
        "the server closed before it answered the ping".into(),
    ))
}

fn ended(error: tokio_tungstenite::tungstenite::Error) -> ConnectFailure {
    ConnectFailure::Cut(error.to_string())
}
