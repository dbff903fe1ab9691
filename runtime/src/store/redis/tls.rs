//! TLS to a server: whom to trust, and who we say we are.

use std::path::PathBuf;

#[cfg(feature = "redis-tls")]
pub(super) use self::with::{Tls, explain};
#[cfg(not(feature = "redis-tls"))]
pub(super) use self::without::{Tls, explain};

/// The PEM files that a URL names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// Who signs the certificates of servers; without it the machine's own authorities do.
    pub(super) ca: Option<PathBuf>,
    /// Our certificate, for servers that ask for one, and its key.
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

#[cfg(feature = "redis-tls")]
mod with {
    use std::error::Error;
    use std::io;
    use std::path::Path;
    use std::sync::Arc;

    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;
    use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use tokio_rustls::rustls::{CertificateError, ClientConfig, Error as TlsError, RootCertStore};

    use super::Files;
    use crate::store::redis::error::Failure;

    /// How connections to a server are encrypted. Certificates are always verified.
    #[derive(Clone)]
    pub(in crate::store::redis) struct Tls {
        connector: TlsConnector,
    }

    impl Tls {
        /// Reads the files, once: whoever changes them opens the store again.
        pub(in crate::store::redis) fn load(files: &Files) -> Result<Self, Failure> {
            let roots = match &files.ca {
                Some(path) => authority(path)?,
                None => machine()?,
            };
            // A process that has chosen its cryptography gets what it chose; two libraries with two
            // choices in one process must not make this one panic.
            let provider = CryptoProvider::get_default()
                .map_or_else(|| Arc::new(ring::default_provider()), Arc::clone);
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| unusable(&error))?
                .with_root_certificates(roots);
            let config = match (&files.certificate, &files.key) {
                (None, None) => config.with_no_client_auth(),
                (Some(certificate), Some(key)) => {
                    let chain = certificates(certificate)?;
                    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| unread(key, &e))?;
                    config.with_client_auth_cert(chain, key).map_err(|error| unusable(&error))?
                }
                _ => {
                    let what = "a certificate needs its key: write `?cert=PATH&key=PATH`";
                    return Err(Failure::Unsupported(what.to_owned()));
                }
            };
            Ok(Self { connector: TlsConnector::from(Arc::new(config)) })
        }

        /// Shakes hands with the server, which must prove that it is `host`.
        pub(in crate::store::redis) async fn wrap(
            &self,
            host: &str,
            stream: TcpStream,
        ) -> Result<TlsStream<TcpStream>, Failure> {
            let name = ServerName::try_from(host.to_owned())
                .map_err(|_| Failure::Unsupported(format!("`{host}` is no name of a server")))?;
            self.connector.connect(name, stream).await.map_err(Failure::from)
        }
    }

    /// What an error of the connection says about TLS, if that is what it is about.
    pub(in crate::store::redis) fn explain(error: &(dyn Error + 'static)) -> Option<String> {
        let mut next = Some(error);
        while let Some(error) = next {
            // The driver's errors share their causes, and an `io::Error` shows what is inside of it
            // as itself: both hide it from those who only ask for sources.
            let shared = error.downcast_ref::<Arc<dyn Error + Send + Sync>>();
            let error = shared.map_or(error, |shared| &**shared);
            let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            if let Some(error) = inside.and_then(|inside| inside.downcast_ref::<TlsError>()) {
                return Some(meaning(error));
            }
            next = error.source();
        }
        None
    }

    fn meaning(error: &TlsError) -> String {
        match error {
            TlsError::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            ) => "nobody who is trusted has signed the server's certificate; name who did with \
                 `?ca=PATH`"
                .to_owned(),
            TlsError::InvalidCertificate(why) => {
                format!("the server's certificate is refused: {why}")
            }
            TlsError::AlertReceived(alert) => format!(
                "the server refuses the TLS connection ({alert:?}); if it asks for a certificate, \
                 name one with `?cert=PATH&key=PATH`"
            ),
            TlsError::InvalidMessage(_) => {
                "the server does not speak TLS on this port; `redis:` is without it".to_owned()
            }
            other => format!("TLS failed: {other}"),
        }
    }

    fn authority(path: &Path) -> Result<RootCertStore, Failure> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| unread(path, &error))?;
        }
        Ok(roots)
    }

    /// The authorities that this machine trusts, or those that `SSL_CERT_FILE` or `SSL_CERT_DIR`
    /// names.
    fn machine() -> Result<RootCertStore, Failure> {
        let mut roots = RootCertStore::empty();
        // Some systems keep certificates that are no longer valid; one of them spoils nothing.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            let what = "this machine trusts no authority; name one with `?ca=PATH`";
            return Err(Failure::Unsupported(what.to_owned()));
        }
        Ok(roots)
    }

    fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
        let read: Vec<_> = read.map_err(|error| unread(path, &error))?;
        if read.is_empty() {
            let what = format!("`{}` holds no certificate", path.display());
            return Err(Failure::Unsupported(what));
        }
        Ok(read)
    }

    fn unread(path: &Path, error: &dyn Error) -> Failure {
        Failure::Unsupported(format!("`{}` cannot be used: {error}", path.display()))
    }

    fn unusable(error: &TlsError) -> Failure {
        Failure::Unsupported(format!("TLS cannot be set up: {error}"))
    }
}

#[cfg(not(feature = "redis-tls"))]
mod without {
    use std::error::Error;

    use tokio::net::TcpStream;

    use super::Files;
    use crate::store::redis::error::Failure;

    /// There is none.
    #[derive(Clone)]
    pub(in crate::store::redis) enum Tls {}

    impl Tls {
        pub(in crate::store::redis) fn load(_: &Files) -> Result<Self, Failure> {
            let what = "TLS needs the feature `redis-tls` of oncely";
            Err(Failure::Unsupported(what.to_owned()))
        }

        pub(in crate::store::redis) async fn wrap(
            &self,
            _: &str,
            _: TcpStream,
        ) -> Result<TcpStream, Failure> {
            match *self {}
        }
    }

    pub(in crate::store::redis) fn explain(_: &(dyn Error + 'static)) -> Option<String> {
        None
    }
}
