//! The control plane: etcd, the API's server, the controllers and the scheduler, one of each.

use std::path::Path;
use std::process::Command;

use crate::certificates::Certificates;
use crate::kubeconfig::API_PORT;
use crate::network::{NODE, SERVICES};
use crate::requirements::Programs;

/// Where etcd answers its clients: in this network namespace, which is nobody else's.
pub const ETCD_URL: &str = "http://127.0.0.1:2379";
const ETCD_PEER_URL: &str = "http://127.0.0.1:2380";
/// Who issues the tokens of service accounts.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

pub fn etcd(programs: &Programs, state: &Path) -> Command {
    let mut command = programs.command("etcd");
    command.arg("--name=node").arg(format!("--data-dir={}", state.join("etcd").display()));
    command.arg(format!("--listen-client-urls={ETCD_URL}"));
    command.arg(format!("--advertise-client-urls={ETCD_URL}"));
    command.arg(format!("--listen-peer-urls={ETCD_PEER_URL}"));
    command.arg(format!("--initial-advertise-peer-urls={ETCD_PEER_URL}"));
    command.arg(format!("--initial-cluster=node={ETCD_PEER_URL}"));
    command
}

pub fn api(programs: &Programs, state: &Path, certificates: &Certificates) -> Command {
    let mut command = programs.command("kube-apiserver");
    let Certificates { authority, api, administrator, token_key, token_public_key, .. } = certificates;
    let address = NODE.to_string();
    let settings: [(&str, &str); 9] = [
        ("advertise-address", &address),
        ("bind-address", &address),
        ("allow-privileged", "true"),
        ("anonymous-auth", "false"),
        ("authorization-mode", "Node,RBAC"),
        ("enable-admission-plugins", "NodeRestriction"),
        ("etcd-servers", ETCD_URL),
        ("kubelet-preferred-address-types", "InternalIP"),
        ("service-account-issuer", ISSUER),
    ];
    command.args(settings.map(|(name, value)| format!("--{name}={value}")));
    command.arg(format!("--secure-port={API_PORT}")).arg(format!("--service-cluster-ip-range={SERVICES}"));
    let folder = state.join("api");
    let files: [(&str, &Path); 9] = [
        ("cert-dir", &folder),
        ("client-ca-file", authority),
        ("tls-cert-file", &api.certificate),
        ("tls-private-key-file", &api.key),
        ("kubelet-certificate-authority", authority),
        ("kubelet-client-certificate", &administrator.certificate),
        ("kubelet-client-key", &administrator.key),
        ("service-account-signing-key-file", token_key),
        ("service-account-key-file", token_public_key),
    ];
    command.args(files.map(|(name, path)| format!("--{name}={}", path.display())));
    command
}

pub fn controller_manager(programs: &Programs, kubeconfig: &Path, certificates: &Certificates) -> Command {
    let mut command = programs.command("kube-controller-manager");
    command.args([
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
    ]);
    command.arg(format!("--kubeconfig={}", kubeconfig.display()));
    command.arg(format!("--root-ca-file={}", certificates.authority.display()));
    command.arg(format!("--service-account-private-key-file={}", certificates.token_key.display()));
    command.arg(format!("--service-cluster-ip-range={SERVICES}"));
    command
}

pub fn scheduler(programs: &Programs, kubeconfig: &Path) -> Command {
    let mut command = programs.command("kube-scheduler");
    command.args(["--bind-address=127.0.0.1", "--leader-elect=false"]);
    command.arg(format!("--kubeconfig={}", kubeconfig.display()));
    command
}
