//! A daemon that was there before the run, and belongs to the machine.
//!
//! Starts and stops no daemon, and removes from this one only what carries the clone's label.

use std::io::{self, PipeWriter};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use image_build::note;
use image_build::tool::process::is_installed;

use super::engine::{CLIENT, client, point_at};
use super::names::{Names, PREFIX};
use super::{api, command};

/// Waits until nobody holds the other end of its standard input, then removes what has the label.
///
/// A container that is being removed already makes `docker rm` fail, which does not matter.
const GUARD: &str = "trap '' HUP INT TERM; cat; \
    containers=$(docker ps --all --quiet --filter \"label=$1\") && [ -n \"$containers\" ] && \
    docker rm --force --volumes $containers";

/// How long containers that somebody else is removing may take to go.
const REMOVAL_LIMIT: Duration = Duration::from_secs(10);
/// Pause between two attempts to remove them.
const PAUSE: Duration = Duration::from_millis(100);

/// The socket of a daemon that can be used.
///
/// # Errors
/// Why there is none.
pub fn find() -> Result<PathBuf> {
    ensure!(is_installed(CLIENT), "docker is not installed");
    let mut client = Command::new(CLIENT);
    client.args(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]).stdin(Stdio::null());
    let host = command::output(&mut client, "asking docker for its daemon")?;
    let Some(socket) = host.strip_prefix("unix://").map(PathBuf::from) else {
        bail!("Docker's daemon is at {host}: only one on this machine can be compared (unset DOCKER_HOST)");
    };
    let information = api::get(&socket, "/info")?;
    let options = information["SecurityOptions"].to_string();
    // Its bridge is in a namespace of its own, out of this host's reach.
    ensure!(
        !options.contains("rootless"),
        "Docker's daemon at {host} is rootless: its bridge is not reached"
    );
    let system = information["OperatingSystem"].as_str().unwrap_or_default();
    ensure!(!system.contains("Docker Desktop"), "Docker Desktop runs containers in a virtual machine");
    Ok(socket)
}

/// Removes this clone's containers, then its images, from the machine's daemon, if there is one.
pub fn remove_leftovers(names: &Names) {
    let Ok(socket) = find() else { return };
    if let Err(error) = remove(&socket, names) {
        note!("leftovers of an earlier run stay in Docker (label {}): {error:#}", names.label());
    }
}

fn remove(socket: &Path, names: &Names) -> Result<()> {
    let filter = format!("label={}", names.label());
    let list = |arguments: &[&str]| -> Result<String> {
        let mut list = client(socket);
        list.args(arguments).args(["--filter", &filter]).stdin(Stdio::null());
        command::output(&mut list, "listing this tool's leftovers in Docker")
    };
    let begun = Instant::now();
    loop {
        let containers = list(&["container", "ls", "--all", "--quiet"])?;
        let removed = remove_each(socket, &["container", "rm", "--force", "--volumes"], containers.lines());
        // After an interrupt the guard removes the same ones, and what is being removed fails here.
        match removed {
            Ok(()) => break,
            Err(error) if begun.elapsed() > REMOVAL_LIMIT => return Err(error),
            Err(_) => sleep(PAUSE),
        }
    }
    let images = list(&["image", "ls", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"])?;
    // Not by force: an image that somebody's container uses stays.
    remove_each(socket, &["image", "rm"], images.lines().filter_map(own_image))
}

/// What an image is removed by: this tool's own name for it, or its number when it has no name any more.
fn own_image(line: &str) -> Option<&str> {
    let (id, name) = line.split_once(' ')?;
    match name {
        "<none>:<none>" => Some(id),
        name => name.starts_with(PREFIX).then_some(name),
    }
}

fn remove_each<'a>(socket: &Path, arguments: &[&str], which: impl Iterator<Item = &'a str>) -> Result<()> {
    let which: Vec<&str> = which.collect();
    if which.is_empty() {
        return Ok(());
    }
    let mut remove = client(socket);
    remove.args(arguments).args(which).stdin(Stdio::null());
    command::output(&mut remove, "removing this tool's leftovers from Docker").map(drop)
}

/// A process that outlives this one, to remove containers that this one could not.
pub struct Guard {
    pipe: PipeWriter,
}

impl Guard {
    /// Starts it.
    ///
    /// # Errors
    /// When there is no shell.
    pub fn start(socket: &Path, names: &Names) -> Result<Self> {
        let (reader, pipe) = io::pipe().context("no pipe for the guard of containers")?;
        let mut shell = Command::new("sh");
        point_at(&mut shell, socket);
        shell.args(["-c", GUARD, "guard", &names.label()]);
        // Not in this process's group, which a terminal's interrupt ends.
        shell.stdin(reader).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        shell.spawn().context("the guard of containers cannot be started")?;
        Ok(Self { pipe })
    }

    /// Another hold on its pipe.
    ///
    /// # Errors
    /// When this process has too many files open.
    pub fn pipe(&self) -> io::Result<PipeWriter> {
        self.pipe.try_clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_and_nameless_images_are_removed() {
        assert_eq!(own_image("sha256:1 voting-app-compare-worker:ab"), Some("voting-app-compare-worker:ab"));
        assert_eq!(own_image("sha256:1 <none>:<none>"), Some("sha256:1"));
        assert_eq!(own_image("sha256:1 my-copy:latest"), None);
    }
}
