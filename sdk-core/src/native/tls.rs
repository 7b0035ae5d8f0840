//! TLS by rustls. The provider is passed explicitly: a process-wide default would let another
//! crate of the app decide, and panics when two crates each bring one.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// What clients without own roots share while any of them lives: the platform's roots take 100 KB
/// and some milliseconds to read, and a process may hold a thousand clients.
static PUBLIC: Mutex<Weak<ClientConfig>> = Mutex::new(Weak::new());

/// Builds the connector. `roots` are DER certificates of the app's own authorities; when any is
/// given they replace the public ones, so that a private fleet trusts only its own. Without, the
/// platform judges, and where it cannot, the roots that are built in.
///
/// # Errors
///
/// What rustls said about a certificate it could not use.
pub(super) fn connector(roots: &[Vec<u8>]) -> Result<TlsConnector, String> {
    if !roots.is_empty() {
        let mut store = RootCertStore::empty();
        for root in roots {
            store
                .add(CertificateDer::from_slice(root))
                .map_err(|error| error.to_string())?;
        }
        return Ok(TlsConnector::from(config(|provider| {
            trust(store, provider)
        })?));
    }
    let mut shared = PUBLIC.lock().unwrap_or_else(PoisonError::into_inner);
    let config = match shared.upgrade() {
        Some(config) => config,
        None => config(public)?,
    };
    *shared = Arc::downgrade(&config);
    Ok(TlsConnector::from(config))
}

type Verifier = Arc<dyn ServerCertVerifier>;

fn config(
    verifier: impl FnOnce(Arc<CryptoProvider>) -> Result<Verifier, String>,
) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = verifier(Arc::clone(&provider))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        // "Dangerous" is any verifier but rustls' own with a list of roots; the platform's is one.
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    // A WebSocket upgrade exists in HTTP/1.1 only.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn trust(store: RootCertStore, provider: Arc<CryptoProvider>) -> Result<Verifier, String> {
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
        .build()
        .map_err(|error| error.to_string())?;
    Ok(verifier)
}

/// The platform's verifier, or the built-in roots where the platform has none.
fn public(provider: Arc<CryptoProvider>) -> Result<Verifier, String> {
    match platform(Arc::clone(&provider)) {
        Ok(verifier) => Ok(verifier),
        Err(reason) => {
            tracing::debug!(reason, "the built-in root certificates are used");
            let mut store = RootCertStore::empty();
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            trust(store, provider)
        }
    }
}

#[cfg(all(feature = "platform-verifier", not(target_os = "android")))]
fn platform(provider: Arc<CryptoProvider>) -> Result<Verifier, String> {
    match rustls_platform_verifier::Verifier::new(provider) {
        Ok(verifier) => Ok(Arc::new(verifier)),
        Err(error) => Err(error.to_string()),
    }
}

/// On Android the verifier lives in the JVM, which a Rust program without one cannot ask.
#[cfg(not(all(feature = "platform-verifier", not(target_os = "android"))))]
fn platform(_: Arc<CryptoProvider>) -> Result<Verifier, String> {
    Err("the platform's verifier is not part of this build".into())
}
