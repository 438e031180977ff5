//! A daemon of the run's own, in the run's own namespaces: it, its containers, its bridge and its mounts
//! end with the run, whatever ends that.
//!
//! Only what is not in a namespace can be left: its data in the target directory, and empty control
//! groups. Both are removed before and after each run.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use image_build::tool::process;

use crate::child::log_tail;
use crate::containment;
use crate::context::Context;

/// What containerd's shims keep their sockets in, whatever the daemon is told.
///
/// The run's mount namespace gets a memory disk there. So the host's containerd is neither seen nor
/// disturbed, nothing stays, and the daemon's sockets have short paths (unix(7) allows 108 bytes).
const RUN: &str = "/run/containerd";
/// Where control groups are.
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";
/// How long the daemon may take until it answers.
pub const READY_LIMIT: Duration = Duration::from_secs(30);
/// How long what a killed run has left may be held by processes that are just ending.
const RELEASE_LIMIT: Duration = Duration::from_secs(5);
/// Pause between two looks at it.
const PAUSE: Duration = Duration::from_millis(10);

/// The daemon's socket.
pub fn socket() -> PathBuf {
    Path::new(RUN).join("docker.sock")
}

/// A running daemon. It ends with the run's process namespace.
pub struct Daemon {
    process: Mutex<Child>,
    log: PathBuf,
    /// Held by the daemon as well: until both are gone, its data are in use.
    _lock: File,
}

impl Daemon {
    /// Starts it, its containers in the control group `group`. That it answers is not waited for.
    ///
    /// # Errors
    /// When this process is not contained, or another run uses the data.
    pub fn start(context: &Context, group: &str) -> Result<Self> {
        ensure!(containment::is_inside(), "a private Docker daemon is only for a contained run");
        let folder = context.artifacts("docker")?;
        let Some(lock) = lock(&folder)? else {
            bail!("another run of `cargo compare` uses {}", folder.display());
        };
        remove_data(&folder)?;
        hide_run_directory()?;
        let log = folder.join("dockerd.log");
        let process = spawn(&folder, group, &lock, &log)?;
        Ok(Self { process: Mutex::new(process), log, _lock: lock })
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        log_tail(&self.log)
    }

    /// Fails when it has ended.
    ///
    /// # Errors
    /// How it ended, and the end of its log.
    pub fn check(&self) -> Result<()> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        match process.try_wait().context("the private Docker daemon's state is not known")? {
            None => Ok(()),
            Some(status) => bail!("the private Docker daemon has ended ({status}):\n{}", log_tail(&self.log)),
        }
    }
}

fn hide_run_directory() -> Result<()> {
    fs::create_dir_all(RUN).with_context(|| format!("cannot create {RUN}"))?;
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "mode=0700", "voting-app-compare", RUN]);
    process::output(&mut mount, "mounting a memory disk for the private Docker daemon").map(drop)
}

fn spawn(folder: &Path, group: &str, lock: &File, log: &Path) -> Result<Child> {
    let run = Path::new(RUN);
    // Else the host's settings for its own daemon would count.
    let settings = run.join("daemon.json");
    fs::write(&settings, "{}").with_context(|| format!("cannot write {}", settings.display()))?;
    let mut command = Command::new("dockerd");
    command.arg("--host").arg(format!("unix://{}", socket().display()));
    command.arg("--config-file").arg(settings).arg("--data-root").arg(data(folder));
    command.arg("--exec-root").arg(run.join("docker")).arg("--pidfile").arg(run.join("docker.pid"));
    command.args(["--log-level", "warn"]);
    // There may be a systemd, but it does not rule this run's control groups.
    command.args(["--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent"]);
    command.arg(format!("/{group}"));
    let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let errors = output.try_clone().context("cannot write a log twice")?;
    let lock = lock.try_clone().context("the lock cannot be shared")?;
    command.stdin(lock).stdout(output).stderr(errors).spawn().context("dockerd cannot be started")
}

fn data(folder: &Path) -> PathBuf {
    folder.join("engine")
}

/// The lock of the data; none while somebody else has it.
fn lock(folder: &Path) -> Result<Option<File>> {
    let path = folder.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

fn remove_data(folder: &Path) -> Result<()> {
    let data = data(folder);
    match fs::remove_dir_all(&data) {
        Err(error) if data.exists() => Err(error)
            .with_context(|| format!("cannot remove what a Docker daemon left in {}", data.display())),
        _ => Ok(()),
    }
}

/// Removes the data and control groups that a run has left; those of a run that goes on stay.
///
/// # Errors
/// When they cannot be removed.
pub fn remove_leftovers(context: &Context, group: &str) -> Result<()> {
    let folder = context.artifacts("docker")?;
    let groups = control_groups(group);
    if !data(&folder).exists() && groups.is_empty() {
        return Ok(());
    }
    // A run that was killed a moment ago may still be ending.
    let begun = Instant::now();
    let over = || begun.elapsed() > RELEASE_LIMIT;
    let _lock = loop {
        match lock(&folder)? {
            Some(lock) => break lock,
            None if over() => return Ok(()),
            None => sleep(PAUSE),
        }
    };
    while !groups.iter().all(|group| remove_group(group)) {
        ensure!(!over(), "control groups named {group} are still in use");
        sleep(PAUSE);
    }
    remove_data(&folder)
}

/// The private daemon's control groups: one below each controller's mount, or one in all.
fn control_groups(name: &str) -> Vec<PathBuf> {
    let root = Path::new(CONTROL_GROUPS);
    let mounts = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let groups = mounts.chain([root.to_owned()]).map(|mount| mount.join(name));
    groups.filter(|group| group.is_dir()).collect()
}

/// Removes a control group and those in it; whether none is left. The kernel keeps those in use.
fn remove_group(group: &Path) -> bool {
    let inner = fs::read_dir(group).into_iter().flatten().flatten();
    let inner = inner.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    inner.for_each(|entry| {
        remove_group(&entry.path());
    });
    fs::remove_dir(group).is_ok() || !group.exists()
}
