use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use wakecast_lambda::media::{HttpMediaServer, Scheme};
use wakecast_lambda::ports::{MediaError, MediaServer};
use wakecast_local::media::MediaProcess;

use crate::{SERVER_SECRET, WallClock, adapter, any_port, config, publish, started};

const NAME: &str = "media.example";

/// TLS in front of a process, with a certificate for [`NAME`] alone.
struct Front {
    process: MediaProcess,
    address: String,
    certificate: CertificateDer<'static>,
}

impl Front {
    async fn start() -> Self {
        let process = started(config()).await;
        let behind = process.address();
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("a key that fits");
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind(any_port()).await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async move {
            while let Ok((outside, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not trust the certificate goes away here.
                    let Ok(mut outside) = acceptor.accept(outside).await else {
                        return;
                    };
                    let mut inside = TcpStream::connect(behind).await.expect("the process");
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
        Self {
            process,
            address,
            certificate,
        }
    }

    fn adapter(&self, name: Option<&str>) -> HttpMediaServer {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a root");
        let scheme = Scheme::Https {
            name: name.map(str::to_owned),
        };
        let clock = Arc::new(WallClock);
        let adapter = HttpMediaServer::with_roots(SERVER_SECRET.into(), clock, scheme, roots);
        adapter.expect("an adapter")
    }
}

fn is_tls_refusal<T: std::fmt::Debug>(result: Result<T, MediaError>) {
    assert!(
        matches!(&result, Err(MediaError::Malformed(why)) if why.starts_with("TLS: ")),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_server_is_probed_at_its_own_address_by_the_endpoints_name() {
    let front = Front::start().await;
    let server = front.adapter(Some(NAME));
    assert_eq!(server.liveness(&front.address).await, Ok(()));
    assert_eq!(
        server.applications(&front.address).await,
        Ok(vec!["live".to_owned()])
    );
    assert_eq!(server.ping(&front.address, "live").await, Ok(()));
    let _publisher = publish(&front.process).await;
    let load = server.load(&front.address).await.expect("a load");
    assert_eq!(load.live_streams, Some(1));
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused() {
    let front = Front::start().await;
    is_tls_refusal(front.adapter(None).liveness(&front.address).await);
    is_tls_refusal(
        front
            .adapter(Some("other.example"))
            .ping(&front.address, "live")
            .await,
    );
    let url = format!("wss://{}/live/websocket", front.address);
    is_tls_refusal(front.adapter(Some(NAME)).ping_endpoint(&url).await);
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let front = Front::start().await;
    let scheme = Scheme::Https {
        name: Some(NAME.to_owned()),
    };
    let server = HttpMediaServer::new(SERVER_SECRET.into(), Arc::new(WallClock), scheme);
    is_tls_refusal(server.expect("an adapter").liveness(&front.address).await);
}

#[tokio::test]
async fn plain_http_to_a_tls_port_is_no_answer() {
    let front = Front::start().await;
    let refused = adapter().liveness(&front.address).await;
    assert!(refused.is_err(), "{refused:?}");
}
