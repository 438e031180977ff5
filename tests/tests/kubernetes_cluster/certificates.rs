//! The cluster's certificates: an authority of its own, and one certificate for each who speaks or listens.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use crate::network::{API_SERVICE, NODE};

/// The node's name.
pub const NODE_NAME: &str = "node";

/// A certificate and its key, as files in PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// All that the cluster uses.
pub struct Certificates {
    /// The authority's certificate.
    pub authority: PathBuf,
    /// The API's server.
    pub api: Identity,
    /// The API's server, when it asks the kubelet; and whoever else may do everything.
    pub administrator: Identity,
    pub controller_manager: Identity,
    pub scheduler: Identity,
    /// The kubelet, as a client of the API.
    pub node: Identity,
    /// The kubelet, as a server.
    pub kubelet: Identity,
    /// What signs the tokens of service accounts, and the public part.
    pub token_key: PathBuf,
    pub token_public_key: PathBuf,
}

impl Certificates {
    /// Makes them anew.
    ///
    /// # Errors
    /// When there is no room for their files.
    pub fn make(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).context("no room for a folder")?;
        let writer = Writer { folder, authority: authority()? };
        let names = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "localhost",
            "127.0.0.1",
        ];
        let addresses = [API_SERVICE.to_string(), NODE.to_string()];
        let of_api: Vec<String> = names.into_iter().map(ToOwned::to_owned).chain(addresses).collect();
        let of_node = vec![NODE_NAME.to_owned(), NODE.to_string()];
        let tokens = KeyPair::generate().context("a key can be made")?;
        Ok(Self {
            authority: writer.file("authority.pem", &writer.authority.pem())?,
            api: writer.identity("api", "kube-apiserver", None, of_api)?,
            administrator: writer.identity(
                "administrator",
                "administrator",
                Some("system:masters"),
                Vec::new(),
            )?,
            controller_manager: writer.client("controller-manager", "system:kube-controller-manager")?,
            scheduler: writer.client("scheduler", "system:kube-scheduler")?,
            node: writer.identity(
                "node",
                &format!("system:node:{NODE_NAME}"),
                Some("system:nodes"),
                Vec::new(),
            )?,
            kubelet: writer.identity("kubelet", NODE_NAME, None, of_node)?,
            token_key: writer.file("tokens-key.pem", &tokens.serialize_pem())?,
            token_public_key: writer.file("tokens.pem", &tokens.public_key_pem())?,
        })
    }
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    parameters.distinguished_name.push(DnType::CommonName, "authority of a test");
    let key = KeyPair::generate().context("a key can be made")?;
    CertifiedIssuer::self_signed(parameters, key).context("an authority can be made")
}

struct Writer<'a> {
    folder: &'a Path,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Writer<'_> {
    fn client(&self, file: &str, user: &str) -> Result<Identity> {
        self.identity(file, user, None, Vec::new())
    }

    /// The user and the group are those of RBAC; the names are those of a server.
    fn identity(&self, file: &str, user: &str, group: Option<&str>, names: Vec<String>) -> Result<Identity> {
        let mut parameters = CertificateParams::new(names).context("names of certificates are ASCII")?;
        parameters.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            parameters.distinguished_name.push(DnType::OrganizationName, group);
        }
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().context("a key can be made")?;
        let signed = parameters.signed_by(&key, &self.authority).context("a certificate can be signed")?;
        Ok(Identity {
            certificate: self.file(&format!("{file}.pem"), &signed.pem())?,
            key: self.file(&format!("{file}-key.pem"), &key.serialize_pem())?,
        })
    }

    fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(path)
    }
}
