//! TLS to the server, verified like `sslmode=verify-full`.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::vault::VaultError;
use crate::vault::postgres::options::PostgresOptions;
use crate::vault::postgres::pool::Tls;

/// Returns how connections with these options are encrypted.
pub(super) fn tls(options: &PostgresOptions) -> Result<Tls, VaultError> {
    if !options.needs_tls() {
        return Ok(Tls::None);
    }
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    for certificate in options.roots() {
        roots
            .add(CertificateDer::from(certificate.clone()))
            .map_err(|_| VaultError::Unsupported("a root certificate is not a DER certificate"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(VaultError::storage)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Tls::Verified(MakeRustlsConnect::new(config)))
}
