//! TLS: the app's own roots, and refusals that name the stage.

use std::sync::Arc;

use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use wakecast::{
    Client, ConnectionState, ErrorCode, Event, ReconnectReason, Token, TokenError, TokenReason,
};

use crate::harness::{CANARY, event};
use crate::peer::within;

/// A certificate authority and a server's acceptor for `localhost`.
fn authority() -> (Vec<u8>, TlsAcceptor) {
    let (der, _, acceptor) = authority_for("localhost");
    (der, acceptor)
}

/// A certificate authority, in DER and in PEM, and a server's acceptor for `host`.
pub(crate) fn authority_for(host: &str) -> (Vec<u8>, String, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![host.to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let chain = vec![CertificateDer::from(leaf.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (
        issuer.der().to_vec(),
        pem(issuer.der()),
        TlsAcceptor::from(Arc::new(config)),
    )
}

fn pem(der: &[u8]) -> String {
    const SET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in der.chunks(48) {
        for three in line.chunks(3) {
            let bits = three
                .iter()
                .fold(0, |bits, byte| bits << 8 | usize::from(*byte));
            let bits = bits << (8 * (3 - three.len()));
            for place in 0..4 {
                let digit = SET[bits >> (18 - 6 * place) & 63];
                text.push(if place > three.len() {
                    '='
                } else {
                    char::from(digit)
                });
            }
        }
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

fn connect(port: u16, root: Option<Vec<u8>>) -> Client {
    let mut builder = Client::builder(format!("wss://localhost:{port}/prod"))
        .token_provider(|_: TokenReason| async { Ok::<_, TokenError>(Token::new(CANARY)) });
    if let Some(root) = root {
        builder = builder.root_certificate(root);
    }
    builder.build().expect("a client")
}

#[tokio::test]
async fn an_own_root_is_trusted_and_http_1_1_is_spoken() {
    let (root, acceptor) = authority();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let client = connect(listener.local_addr().unwrap().port(), Some(root));
    client.connect();
    let (tcp, _) = within("a connection", listener.accept()).await.unwrap();
    let mut stream = within("a TLS session", acceptor.accept(tcp))
        .await
        .expect("a TLS session");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut head = [0; 14];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"GET /prod HTTP");
    stream
        .write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_sees_no_token() {
    let (_root, acceptor) = authority();
    let (other, _) = authority();
    for root in [None, Some(other)] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let client = connect(listener.local_addr().unwrap().port(), root);
        let mut events = client.events();
        client.connect();
        let (tcp, _) = within("a connection", listener.accept()).await.unwrap();
        within("the end of the session", acceptor.accept(tcp))
            .await
            .expect_err("a refusal");
        let reason = event("Reconnecting", &mut events, |event| match event {
            Event::State(ConnectionState::Reconnecting { reason, .. }) => Some(reason),
            _ => None,
        })
        .await;
        assert_eq!(
            reason,
            ReconnectReason::Failure(ErrorCode::NetworkUnreachable)
        );
    }
}

#[tokio::test]
async fn an_address_that_nobody_listens_at_is_unreachable() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let client = connect(port, None);
    let mut events = client.events();
    client.connect();
    let reason = event("Reconnecting", &mut events, |event| match event {
        Event::State(ConnectionState::Reconnecting { reason, .. }) => Some(reason),
        _ => None,
    })
    .await;
    assert_eq!(
        reason,
        ReconnectReason::Failure(ErrorCode::NetworkUnreachable)
    );
}
