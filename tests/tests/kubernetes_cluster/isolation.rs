//! The cluster runs in namespaces of its own: network, mounts and processes. They end with the process that made them,
//! and so does whatever was started, mounted and addressed inside. That holds when this process is killed, too: the
//! kernel then kills the one that made the namespaces.
//!
//! Outside remain a control group, folders that had to be made and settings of the kernel; they are put back here, also
//! after SIGINT and SIGTERM. After SIGKILL the next run removes the group; empty folders and settings stay.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cgroup::Cgroup;
use crate::images;
use crate::interrupts;
use crate::kernel_settings::Saved;
use crate::places::Made;
use crate::purpose::Purpose;
use crate::requirements::Programs;
use crate::waiting::wait_until;

/// Tell the inner run what it is for.
const PURPOSE: &str = "VOTING_APP_TEST_PURPOSE";
const FOLDER: &str = "VOTING_APP_TEST_FOLDER";
const CGROUP: &str = "VOTING_APP_TEST_CGROUP";
/// The variable that keeps the cluster.
const KEEP: &str = "KEEP";
/// All that is done with one overlay, emulated machines among it.
const LIMIT: Duration = Duration::from_secs(45 * 60);
/// Somebody who looks around takes the time that it takes.
const LIMIT_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
const NAMESPACES: [&str; 6] = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
/// unshare blocks the signals that ask it to end, so the kernel is told to kill it when this process has ended.
const WITH_PARENT: [&str; 4] = ["--pdeathsig", "KILL", "--", "unshare"];
/// The shell stays: it is the namespace's first process, which has to collect those whose parents have ended.
const FIRST: &str = "\"$@\"; exit $?";

/// What the inner run is told.
pub struct Inside {
    pub purpose: Purpose,
    /// Everything that the cluster writes, and its images.
    pub folder: PathBuf,
    /// The name of its control group.
    pub cgroup: String,
}

impl Inside {
    /// When this is the inner run.
    pub fn read() -> Option<Self> {
        let purpose = Purpose::find(&env::var(PURPOSE).ok()?)?;
        Some(Self { purpose, folder: env::var_os(FOLDER)?.into(), cgroup: env::var(CGROUP).ok()? })
    }

    /// Where the components' words are.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }
}

/// Whether the cluster is to stay until somebody has looked at it.
pub fn is_kept() -> bool {
    env::var_os(KEEP).is_some_and(|value| !value.is_empty())
}

/// Builds the images, and runs this program once more inside.
///
/// # Errors
/// When something cannot be prepared, or the inner run fails; what failed has been printed.
pub fn run(purpose: Purpose) -> Result<()> {
    interrupts::ensure_none()?;
    let folder = fresh_folder(purpose.name())?;
    if purpose.has_containers() {
        images::build(purpose.overlay(), &Programs::find()?, &folder)?;
    }
    let _settings = Saved::read();
    let _places = Made::make()?;
    let cgroup = Cgroup::make("")?;
    let mut inner = start(purpose, &folder, &cgroup)?;
    if is_kept() {
        let id = inner.id();
        eprintln!(
            "in the cluster: nsenter --net --mount --pid --target $(cat /proc/{id}/task/{id}/children) kubectl \
             --kubeconfig {}/administrator.kubeconfig get pods --all-namespaces",
            folder.display()
        );
    }
    let limit = if is_kept() { LIMIT_KEPT } else { LIMIT };
    let status = wait_until("the end of the run inside", limit, || {
        if interrupts::ensure_none().is_err() {
            return Ok(None);
        }
        inner.try_wait().context("it is a child of this process")?.context("it still runs").map(Some)
    });
    if !matches!(status, Ok(Some(_))) {
        // Both fail only when it has ended already. The namespace ends with it.
        let _ = inner.kill();
        let _ = inner.wait();
    }
    interrupts::ensure_none()?;
    let (logs, passed) = (folder.join("logs"), status?.is_some_and(|status| status.success()));
    ensure!(passed, "see above, and the logs in {}", logs.display());
    remove_all_but(&logs, &folder);
    Ok(())
}

fn fresh_folder(name: &str) -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/kubernetes-cluster");
    let folder = root.join(name);
    // Fails only when there is nothing to be removed, or what cannot be removed is told by the next step.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("logs")).context("no room for a folder under target/")?;
    folder.canonicalize().context("it has just been made")
}

fn start(purpose: Purpose, folder: &Path, cgroup: &Cgroup) -> Result<Child> {
    let own = env::current_exe().context("a test has a path")?;
    let mut command = Command::new("setpriv");
    command.args(WITH_PARENT).args(NAMESPACES).args(["--", "sh", "-c", FIRST, "sh"]).arg(own);
    command.env(PURPOSE, purpose.name()).env(FOLDER, folder).env(CGROUP, &cgroup.name);
    command.spawn().context("unshare cannot be started")
}

/// What a passed run leaves are its logs.
fn remove_all_but(kept: &Path, folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path() != kept {
            // What stays is removed by the next run.
            let _ = fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path()));
        }
    }
}
