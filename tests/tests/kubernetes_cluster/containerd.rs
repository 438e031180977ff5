//! containerd: its configuration in the form of its version, and the images that are brought to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::command::run;

use crate::images::PAUSE;
use crate::places::{PLUGINS, SOCKET, does};
use crate::requirements::Programs;
use crate::waiting::wait_until;

/// containerd's namespace of all that belongs to Kubernetes.
const NAMESPACE: &str = "k8s.io";
/// The label of an image that containerd's Kubernetes part has seen.
const SEEN: &str = "io.cri-containerd.image=managed";
/// Where it keeps what lasts as long as it runs.
const STATE: &str = "/run/containerd/state";
/// The container that is tried.
const TRIAL: &str = "trial";
const SEEN_WITHIN: Duration = Duration::from_secs(30);

/// What its configuration says.
pub struct Settings {
    pub networks: PathBuf,
    pub runc: PathBuf,
    /// How the layers of images are put together.
    pub snapshotter: &'static str,
}

impl Settings {
    /// The configuration, for a containerd of this major version.
    pub fn configuration(&self, major: u32) -> String {
        let Self { networks, runc, snapshotter } = self;

        let runc_options = format!("BinaryName = {runc:?}\nSystemdCgroup = false\n");
        // Without CAP_SYS_RESOURCE nobody may lower a score of the kernel's choice of victims, as pods ask for.
        let no_lower_score = "restrict_oom_score_adj = true\n";
        if major >= 2 {
            let (images, runtime) =
                ("plugins.'io.containerd.cri.v1.images'", "plugins.'io.containerd.cri.v1.runtime'");
            return format!(
                "version = 3\n\n\
                 [{images}]\nsnapshotter = \"{snapshotter}\"\n\n\
                 [{images}.pinned_images]\nsandbox = \"{PAUSE}\"\n\n\
                 [{runtime}]\n{no_lower_score}\n\
                 [{runtime}.cni]\nconf_dir = {networks:?}\n\n\
                 [{runtime}.containerd]\ndefault_runtime_name = \"runc\"\n\n\
                 [{runtime}.containerd.runtimes.runc]\nruntime_type = \"io.containerd.runc.v2\"\n\n\
                 [{runtime}.containerd.runtimes.runc.options]\n{runc_options}"
            );
        }
        let cri = "plugins.\"io.containerd.grpc.v1.cri\"";
        format!(
            "version = 2\n\n\
             [{cri}]\nsandbox_image = \"{PAUSE}\"\n{no_lower_score}\n\
             [{cri}.cni]\nbin_dir = \"{PLUGINS}\"\nconf_dir = {networks:?}\n\n\
             [{cri}.containerd]\ndefault_runtime_name = \"runc\"\nsnapshotter = \"{snapshotter}\"\n\n\
             [{cri}.containerd.runtimes.runc]\nruntime_type = \"io.containerd.runc.v2\"\n\n\
             [{cri}.containerd.runtimes.runc.options]\n{runc_options}"
        )
    }
}

/// The major version in what `containerd --version` prints.
pub fn major(printed: &str) -> Option<u32> {
    let words = printed.split_whitespace().map(|word| word.trim_start_matches('v'));
    words
        .filter(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()))
        .find_map(|word| word.split('.').next()?.parse().ok())
}

/// The command that starts it.
///
/// # Errors
/// When its version cannot be told, or there is no room.
pub fn command(programs: &Programs, state: &Path, networks: PathBuf) -> Result<Command> {
    let printed = run(programs.command("containerd").arg("--version")).stdout;
    let major =
        major(&printed).with_context(|| format!("containerd does not tell its version: {printed:?}"))?;
    let settings =
        Settings { networks, runc: programs.path("runc").to_owned(), snapshotter: snapshotter(state)? };
    let file = state.join("containerd.toml");
    fs::write(&file, settings.configuration(major)).context("no room for containerd's configuration")?;
    let mut command = programs.command("containerd");
    command.arg("--config").arg(file).args(["--address", SOCKET, "--state", STATE]);
    command.arg("--root").arg(state.join("containerd"));
    Ok(command)
}

/// An overlay file system where one can be mounted, else copies.
fn snapshotter(state: &Path) -> Result<&'static str> {
    let folder = state.join("overlay-trial");
    let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| folder.join(name));
    for folder in [&lower, &upper, &work, &merged] {
        fs::create_dir_all(folder).context("no room for a folder")?;
    }
    let layers =
        format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    let mut mount = Command::new("mount");
    mount.args(["-t", "overlay", "overlay", "-o", &layers]).arg(&merged);
    if !run(&mut mount).success {
        eprintln!("no overlay file system can be mounted in {}: images are copied", state.display());
        return Ok("native");
    }
    does(Command::new("umount").arg(&merged))?;
    Ok("overlayfs")
}

/// Asks containerd by its own client.
pub fn ctr(programs: &Programs) -> Command {
    let mut command = programs.command("ctr");
    command.args(["--address", SOCKET, "--namespace", NAMESPACE]);
    command
}

/// Brings it the images of an archive. They are unpacked when a container is made of them.
///
/// # Errors
/// When it does not take them.
pub fn import(programs: &Programs, archive: &Path) -> Result<()> {
    does(ctr(programs).args(["images", "import", "--no-unpack"]).arg(archive))
}

/// Waits until the part that the kubelet asks knows these images.
///
/// # Errors
/// When one is not there.
pub fn wait_for_images(programs: &Programs, names: &[String]) -> Result<()> {
    wait_until("containerd's knowledge of its images", SEEN_WITHIN, || {
        let listed = run(ctr(programs).args(["images", "list"])).stdout;
        let is_seen = |name: &&String| {
            listed.lines().any(|line| line.starts_with(name.as_str()) && line.contains(SEEN))
        };
        let missing: Vec<&String> = names.iter().filter(|name| !is_seen(name)).collect();
        ensure!(missing.is_empty(), "{missing:?} not in\n{listed}");
        Ok(())
    })
}

/// Runs a container of the image that holds a pod's namespaces, and ends it.
///
/// # Errors
/// When it does not stay.
pub fn try_pause(programs: &Programs, cgroup: &str) -> Result<()> {
    let mut command = ctr(programs);
    command.args(["run", "--detach", "--null-io", "--cgroup"]).arg(format!("/{cgroup}/{TRIAL}"));
    does(command.args([PAUSE, TRIAL]))?;
    wait_until("a running container", SEEN_WITHIN, || {
        let listed = run(ctr(programs).args(["tasks", "list"])).stdout;
        let is_running = |line: &str| line.starts_with(TRIAL) && line.contains("RUNNING");
        ensure!(listed.lines().any(is_running), "containerd lists\n{listed}");
        Ok(())
    })?;
    does(ctr(programs).args(["tasks", "kill", "--signal", "SIGKILL", TRIAL]))
}
