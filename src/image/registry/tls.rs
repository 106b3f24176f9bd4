//! TLS: which certificates are believed.
//!
//! Roots are the system's bundle (webpki-roots where the machine has none) and the `*.crt` of the registry's
//! `certs.d` folders; a pair `x.cert`/`x.key` there is the client's own. Folders: `--cert-dir` alone if given, else
//! `HOST[:PORT]` below `~/.config/containers/certs.d`, `/etc/containers/certs.d`, `/etc/docker/certs.d`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::super::Error;
use super::super::env::Env;

/// Where distributions keep their bundle.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Certificates of one registry.
#[derive(Default)]
pub(super) struct Certificates {
    extra: Vec<CertificateDer<'static>>,
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Certificates {
    /// Reads the folders for `registry`.
    pub(super) fn load(env: &Env, registry: &str, cert_dir: Option<&Path>) -> Result<Self, Error> {
        let folders: Vec<PathBuf> = match cert_dir {
            Some(dir) => vec![dir.to_owned()],
            None => {
                let user = env.config_home.iter().map(|c| c.join("containers/certs.d"));
                let system = ["containers/certs.d", "docker/certs.d"].map(|d| env.etc.join(d));
                user.chain(system).map(|d| d.join(registry)).collect()
            }
        };
        let mut all = Self::default();
        for folder in &folders {
            all.add(folder, cert_dir.is_some())?;
        }
        Ok(all)
    }

    fn add(&mut self, folder: &Path, must_exist: bool) -> Result<(), Error> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) if must_exist => {
                return Err(Error::File { path: folder.to_owned(), why: e.to_string() });
            }
            Err(_) => return Ok(()),
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        paths.sort();
        for path in paths {
            match path.extension().and_then(|e| e.to_str()) {
                Some("crt") => self.extra.extend(certificates(&path)?),
                Some("cert") => {
                    let key_path = path.with_extension("key");
                    let key = PrivateKeyDer::from_pem_file(&key_path)
                        .map_err(|e| Error::File { path: key_path.clone(), why: e.to_string() })?;
                    self.client = Some((certificates(&path)?, key));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bad = |why: String| Error::File { path: path.to_owned(), why };
    let text = std::fs::read(path).map_err(|e| bad(e.to_string()))?;
    let all: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|e| bad(format!("not a PEM certificate: {e}")))?;
    if all.is_empty() { Err(bad("no PEM certificate in it".into())) } else { Ok(all) }
}

/// The configuration for a registry. `insecure` believes every certificate.
pub(super) fn config(certs: Certificates, insecure: bool) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(tls_error)?;
    let verifier: Arc<dyn ServerCertVerifier> =
        if insecure { Arc::new(AnyCertificate(provider)) } else { verifier(certs.extra, provider)? };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match certs.client {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(tls_error)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn tls_error(e: rustls::Error) -> Error {
    Error::Tls { registry: "TLS set-up".into(), detail: e.to_string(), plain_http: false }
}

fn verifier(
    extra: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    for bundle in BUNDLES {
        if let Ok(all) = certificates(Path::new(bundle)) {
            roots.add_parsable_certificates(all);
            break;
        }
    }
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots.add_parsable_certificates(extra.iter().cloned());
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|e| Error::Invalid { what: "the set of TLS roots".into(), why: e.to_string() })?;
    Ok(Arc::new(Pinned { inner, extra }))
}

/// The usual check; besides, a certificate that the administrator put into certs.d is believed for its names,
/// also when it signed itself. Go programs (docker, podman) accept such a set-up, webpki alone would not.
#[derive(Debug)]
struct Pinned {
    inner: Arc<WebPkiServerVerifier>,
    extra: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let checked = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp, now);
        let Err(e) = checked else { return checked };
        let expired = matches!(
            e,
            rustls::Error::InvalidCertificate(
                rustls::CertificateError::Expired | rustls::CertificateError::ExpiredContext { .. }
            )
        );
        if expired || !self.extra.iter().any(|c| c == end_entity) {
            return Err(e);
        }
        rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// `--tls-verify=false` and insecure registries: any certificate will do, the handshake must still be sound.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
