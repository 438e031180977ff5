//! Folders that the components' code names, and no option moves: each is hidden behind a folder of the test's own, in
//! its own mount namespace. The system keeps its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::command::run;

/// Where containerd looks for CNI plugins, in all its versions.
pub const PLUGINS: &str = "/opt/cni/bin";
/// Where containerd listens: a path of a socket must be short.
pub const SOCKET: &str = "/run/containerd/containerd.sock";
/// The kubelet's data.
pub const KUBELET: &str = "/var/lib/kubelet";

const HIDDEN: [&str; 7] = [
    PLUGINS,
    KUBELET,
    "/run/containerd",
    "/run/netns",
    "/var/lib/cni",
    "/var/log/containers",
    "/var/log/pods",
];

/// The folders that had to be made for that. They go again with this value, unless something is in them.
pub struct Made(Vec<PathBuf>);

impl Made {
    /// Makes those that are not there.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn make() -> Result<Self> {
        let mut made = Self(Vec::new());
        for place in HIDDEN {
            let missing: Vec<&Path> =
                Path::new(place).ancestors().take_while(|path| !path.exists()).collect();
            for path in missing.into_iter().rev() {
                fs::create_dir(path).with_context(|| format!("{} cannot be made", path.display()))?;
                made.0.push(path.to_owned());
            }
        }
        Ok(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // One that somebody else uses by now stays.
            let _ = fs::remove_dir(path);
        }
    }
}

/// Hides them, in this mount namespace. What is mounted below is seen by containers, as a kubelet expects.
///
/// # Errors
/// When something cannot be mounted.
pub fn hide(folder: &Path, plugins: &[PathBuf]) -> Result<()> {
    let behind = |place: &str| folder.join("hidden").join(place.trim_start_matches('/').replace('/', "-"));
    for place in HIDDEN {
        fs::create_dir_all(behind(place)).context("no room for folders")?;
    }
    for plugin in plugins {
        let name = plugin.file_name().context("a plugin has a name")?;
        fs::copy(plugin, behind(PLUGINS).join(name))
            .with_context(|| format!("no copy of {}", plugin.display()))?;
    }
    for place in HIDDEN {
        does(Command::new("mount").arg("--bind").arg(behind(place)).arg(place))?;
    }
    does(Command::new("mount").args(["--make-rshared", "/"]))
}

/// Runs a command that must work.
///
/// # Errors
/// When it does not, with what it said.
pub fn does(command: &mut Command) -> Result<()> {
    let outcome = run(command);
    ensure!(outcome.success, "{command:?}: {}{}", outcome.stdout, outcome.stderr);
    Ok(())
}
