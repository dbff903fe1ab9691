//! Redis servers that speak TLS, with certificates that nobody else trusts.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use crate::cluster::free_port;
use crate::redis::RedisServer;

/// Who signs certificates, in a folder that vanishes.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let mut wanted = CertificateParams::new(Vec::new()).expect("no names");
        wanted.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Two authorities of one name would be taken for one with a wrong key.
        wanted.distinguished_name.push(DnType::CommonName, folder.path().display().to_string());
        let issuer = CertifiedIssuer::self_signed(wanted, key()).expect("a certificate");
        write(&folder.path().join("ca.pem"), &issuer.as_ref().pem());
        Self { folder, issuer }
    }

    /// The PEM file that says whom to trust.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The files of a certificate for this name, and of its key.
    pub fn certify(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = key();
        let mut wanted = CertificateParams::new([name.to_owned()]).expect("a name");
        wanted.distinguished_name.push(DnType::CommonName, name);
        let certificate = wanted.signed_by(&key, &self.issuer).expect("a certificate");
        let [certified, secret] =
            ["pem", "key"].map(|kind| self.folder.path().join(format!("{name}.{kind}")));
        write(&certified, &certificate.pem());
        write(&secret, &key.serialize_pem());
        (certified, secret)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A server that listens on a port of the loopback, with TLS.
#[derive(Debug)]
pub struct TlsServer {
    server: RedisServer,
    port: u16,
}

impl TlsServer {
    /// A server whose certificate is for `name` and which asks for certificates, or does not.
    pub fn start(authority: &Authority, name: &str, asks: bool) -> Self {
        let (certificate, key) = authority.certify(name);
        let port = free_port().to_string();
        let [certificate, key, ca] =
            [certificate, key, authority.file()].map(|path| path.display().to_string());
        let server = RedisServer::with(&[
            "--bind",
            "127.0.0.1",
            "--tls-port",
            &port,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &ca,
            "--tls-auth-clients",
            if asks { "yes" } else { "no" },
        ]);
        Self { server, port: port.parse().expect("the port") }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a store in it, for those who trust `authority`.
    pub fn url(&self, authority: &Authority) -> String {
        format!("rediss://127.0.0.1:{}/0?ca={}", self.port, authority.file().display())
    }

    /// The server without what is known of its port.
    pub fn into_server(self) -> RedisServer {
        self.server
    }

    /// The server, to look at what is in it.
    pub fn server(&self) -> &RedisServer {
        &self.server
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file in a folder of our own");
}
