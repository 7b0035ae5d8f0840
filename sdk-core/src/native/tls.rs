//! TLS by rustls. The provider is passed explicitly: a process-wide default would let another
//! crate of the app decide, and panics when two crates each bring one.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// Builds the connector. `roots` are DER certificates of the app's own authorities; when any is
/// given they replace the public ones, so that a private fleet trusts only its own.
///
/// # Errors
///
/// What rustls said about a certificate it could not use.
pub(super) fn connector(roots: &[Vec<u8>]) -> Result<TlsConnector, String> {
    let mut store = RootCertStore::empty();
    if roots.is_empty() {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for root in roots {
        store
            .add(CertificateDer::from_slice(root))
            .map_err(|error| error.to_string())?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(store)
        .with_no_client_auth();
    // A WebSocket upgrade exists in HTTP/1.1 only.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
