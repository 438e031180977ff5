//! What the test needs of a machine, and where the programs are.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use rustix::process::geteuid;

use crate::cgroup;
use crate::cni;
use crate::purpose::Purpose;

/// The variable that names a folder with them.
const FOLDER: &str = "KUBE_BIN";
const KUBERNETES: [&str; 6] =
    ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl"];
const CONTAINERS: [&str; 4] = ["containerd", "containerd-shim-runc-v2", "ctr", "runc"];
/// Programs of any system.
const ORDINARY: [&str; 8] = ["curl", "ip", "mount", "setpriv", "tar", "timeout", "umount", "unshare"];
/// Where programs of administrators are, which are not in every `PATH`.
const ADMINISTRATORS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
const PLUGIN_FOLDERS: [&str; 3] = ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"];
/// The kubelet reads of processes that the kernel has killed there.
const KERNEL_LOG: &str = "/dev/kmsg";

/// Where each program is.
pub struct Programs {
    found: BTreeMap<&'static str, PathBuf>,
    /// CNI plugins.
    pub plugins: Vec<PathBuf>,
    path: OsString,
}

impl Programs {
    /// Looks for all of them. Those that a test uses are there: see [`lacking`].
    ///
    /// # Errors
    /// When a folder's name cannot be in `PATH`.
    pub fn find() -> Result<Self> {
        let folders = folders();
        let (found, _) = look(&[&KUBERNETES, &CONTAINERS, &ORDINARY], &folders, &plugin_folders());
        let plugins = cni::PLUGINS.iter().filter_map(|name| found.get(name).cloned()).collect();
        let path = env::join_paths(&folders)?;
        Ok(Self { found, plugins, path })
    }

    /// The path of a program.
    ///
    /// # Panics
    /// When it is not there.
    pub fn path(&self, name: &str) -> &Path {
        self.found.get(name).unwrap_or_else(|| panic!("{name} is missing, or not in requirements.rs"))
    }

    /// The command of a program, which finds the others.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.path(name));
        command.env("PATH", &self.path);
        command
    }
}

/// The folder that was named, from the root of the repository: cargo runs tests elsewhere.
fn own_folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    env::var_os(FOLDER).filter(|folder| !folder.is_empty()).map(|folder| root.join(folder))
}

/// Where programs are looked for, in this order.
fn folders() -> Vec<PathBuf> {
    let own = own_folder();
    let path = env::var_os("PATH").unwrap_or_default();
    own.into_iter().chain(env::split_paths(&path)).chain(ADMINISTRATORS.map(PathBuf::from)).collect()
}

/// Where plugins are looked for, in this order.
fn plugin_folders() -> Vec<PathBuf> {
    let own = own_folder().into_iter().flat_map(|folder| [folder.join("cni"), folder]);
    own.chain(PLUGIN_FOLDERS.map(PathBuf::from)).collect()
}

/// The programs and plugins that are in these folders, and the names of those that are not.
pub fn look(
    names: &[&[&'static str]],
    folders: &[PathBuf],
    plugin_folders: &[PathBuf],
) -> (BTreeMap<&'static str, PathBuf>, Vec<String>) {
    let find = |name: &str, folders: &[PathBuf]| {
        folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file())
    };
    let programs = names.iter().copied().flatten().map(|&name| (name, name.to_owned(), find(name, folders)));
    let plugin = |name| (name, format!("the CNI plugin {name}"), find(name, plugin_folders));
    let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
    for (name, description, path) in programs.chain(cni::PLUGINS.into_iter().map(plugin)) {
        match path {
            Some(path) => drop(found.insert(name, path)),
            None => missing.push(description),
        }
    }
    (found, missing)
}

/// Everything that is missing here for this.
pub fn lacking(purpose: Purpose) -> Vec<String> {
    let kubernetes: &[&str] = if purpose.has_control_plane() { &KUBERNETES } else { &[] };
    let containers: &[&str] = if purpose.has_containers() { &CONTAINERS } else { &[] };
    let (_, mut lacking) = look(&[kubernetes, containers, &ORDINARY], &folders(), &plugin_folders());
    if let Some(overlay) = purpose.overlay().filter(|overlay| !overlay.folder().is_dir()) {
        lacking.push(format!("the folder deploy/kubernetes/overlays/{}", overlay.name));
    }
    if !Path::new(KERNEL_LOG).exists() {
        lacking.push(KERNEL_LOG.to_owned());
    }
    if geteuid().is_root() {
        lacking.extend(cgroup::lacking());
        lacking.extend(namespaces());
    } else {
        lacking.push("the rights of root".to_owned());
    }
    lacking
}

fn namespaces() -> Option<String> {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--mount-proc", "true"]);
    let may = command.output().is_ok_and(|output| output.status.success());
    (!may).then(|| "the right to make network, mount and process namespaces (CAP_SYS_ADMIN)".to_owned())
}
