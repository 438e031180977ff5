//! The daemon that containers run on: one that answers already, or a private one of this run. What either has of this
//! clone carries its label and its names; whatever does not is somebody else's and is not touched.
//!
//! Knows no programs. A daemon of the machine's own is neither started nor stopped.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, PipeWriter};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use image_build::note;
use image_build::tool::process::is_installed;
use serde_json::Value;

use super::private;
use crate::child::output_within;
use crate::client;
use crate::context::Context;

/// The client's program.
pub const CLIENT: &str = "docker";
/// Begins every name, and is the key of the label.
const PREFIX: &str = "voting-app-compare";
/// How long an answer of the daemon may take; removing a container is what takes longest.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Longest that a command may take: a daemon that hangs must not hang the run.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// How long containers that somebody else is removing may take to go.
const REMOVAL_LIMIT: Duration = Duration::from_secs(10);
/// Pause between two attempts to remove them.
const PAUSE: Duration = Duration::from_millis(100);
/// Waits until nobody holds the other end of its standard input, then removes what has the label.
///
/// A container that is being removed already makes `docker rm` fail, which does not matter.
const GUARD: &str = "trap '' HUP INT TERM; cat; \
    containers=$(docker ps --all --quiet --filter \"label=$1\") && [ -n \"$containers\" ] && \
    docker rm --force --volumes $containers";

pub struct Engine {
    socket: PathBuf,
    pub names: Names,
    keeper: Keeper,
}

/// What ends containers when this run is over, whatever ends it.
enum Keeper {
    /// The daemon is a child of this process and in its namespaces.
    Private(private::Daemon),
    /// A process that removes containers of the host's daemon when the last holder of this pipe has gone.
    Guard(PipeWriter),
}

impl Engine {
    /// Finds it or starts it.
    ///
    /// # Errors
    /// When it cannot be started or reached.
    pub fn start(context: &Context) -> Result<Self> {
        let names = Names::of(context);
        let (socket, keeper) = if context.contained {
            let daemon = private::Daemon::start(context, &names.control_group())?;
            (private::socket(), Keeper::Private(daemon))
        } else {
            let socket = find_host()?;
            let guard = guard(&socket, &names)?;
            (socket, Keeper::Guard(guard))
        };
        let engine = Self { socket, names, keeper };
        let begun = Instant::now();
        while let (Err(error), Keeper::Private(daemon)) = (engine.ask("GET", "/_ping"), &engine.keeper) {
            daemon.check()?;
            ensure!(
                begun.elapsed() < private::READY_LIMIT,
                "the private Docker daemon: {error:#}\n{}",
                daemon.log_tail()
            );
            sleep(PAUSE / 10);
        }
        Ok(engine)
    }

    /// Fails when the daemon has gone.
    ///
    /// # Errors
    /// How it ended, with the end of its log, or that it does not answer.
    pub fn check(&self) -> Result<()> {
        match &self.keeper {
            Keeper::Private(daemon) => daemon.check(),
            Keeper::Guard(_) => self.ask("GET", "/_ping").map(drop),
        }
    }

    /// Runs the client with `arguments`; what it wrote.
    ///
    /// # Errors
    /// When it fails, or does not end in time.
    pub fn run(&self, arguments: &[String], purpose: &str) -> Result<String> {
        let mut client = Command::new(CLIENT);
        // None of those used here reads anything; a guard waits for all who hold its pipe, so that it also sees the
        // container that a client is just starting.
        client.args(arguments).stdin(match &self.keeper {
            Keeper::Private(_) => Stdio::null(),
            Keeper::Guard(pipe) => pipe.try_clone().context("the guard's pipe cannot be shared")?.into(),
        });
        output_within(point_at(&mut client, &self.socket), COMMAND_LIMIT, purpose)
    }

    /// The bytes that `method` gives for `path`: asked over the socket, an answer takes a millisecond where the command
    /// takes thirty. For what stands between the start of a container and its first answer, or is asked again and
    /// again.
    ///
    /// # Errors
    /// When the daemon does not answer, or with an error.
    pub fn ask(&self, method: &str, path: &str) -> Result<Vec<u8>> {
        ask(&self.socket, method, path)
    }

    /// What a GET of `path` says.
    ///
    /// # Errors
    /// When the daemon does not answer, or with an error.
    pub fn describe(&self, path: &str) -> Result<Value> {
        describe(&self.socket, path)
    }
}

fn describe(socket: &Path, path: &str) -> Result<Value> {
    let body = ask(socket, "GET", path)?;
    serde_json::from_slice(&body).with_context(|| format!("Docker's answer to {path} cannot be read"))
}

fn ask(socket: &Path, method: &str, path: &str) -> Result<Vec<u8>> {
    let exchange = || -> Result<client::Response> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        stream.set_write_timeout(Some(ANSWER_LIMIT))?;
        client::exchange(stream, &format!("{method} {path} HTTP/1.0\r\nHost: docker\r\n\r\n"))
    };
    let silent = || format!("Docker's daemon does not answer at {}", socket.display());
    let answer = exchange().with_context(silent)?;
    if !(200..300).contains(&answer.status) {
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let message = value["message"].as_str().map_or_else(|| answer.text(), str::to_owned);
        bail!("Docker's daemon: {} ({})", message.trim(), answer.status);
    }
    Ok(answer.body)
}

/// Has clients that `command` is or starts ask the daemon at `socket`, whatever the environment says.
fn point_at<'a>(command: &'a mut Command, socket: &Path) -> &'a mut Command {
    for variable in ["DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_DEFAULT_PLATFORM"] {
        command.env_remove(variable);
    }
    command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    // The images are this machine's own, and nobody has signed them.
    command.env("DOCKER_CONTENT_TRUST", "0")
}

/// The socket of a daemon of the machine's own that can be used.
pub fn find_host() -> Result<PathBuf> {
    ensure!(is_installed(CLIENT), "docker is not installed");
    let mut client = Command::new(CLIENT);
    client.args(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]).stdin(Stdio::null());
    let host = output_within(&mut client, COMMAND_LIMIT, "asking docker for its daemon")?;
    let Some(socket) = host.strip_prefix("unix://").map(PathBuf::from) else {
        bail!("Docker's daemon is at {host}: only one on this machine can be compared (unset DOCKER_HOST)");
    };
    let information = describe(&socket, "/info")?;
    // Its bridge is in a namespace of its own, out of this host's reach.
    let is_rootless = information["SecurityOptions"].to_string().contains("rootless");
    ensure!(!is_rootless, "Docker's daemon at {host} is rootless: its bridge is not reached");
    let system = information["OperatingSystem"].as_str().unwrap_or_default();
    ensure!(!system.contains("Docker Desktop"), "Docker Desktop runs containers in a virtual machine");
    Ok(socket)
}

/// A process that outlives this one, to remove containers that this one could not.
fn guard(socket: &Path, names: &Names) -> Result<PipeWriter> {
    let (reader, pipe) = io::pipe().context("no pipe for the guard of containers")?;
    let mut shell = Command::new("sh");
    shell.args(["-c", GUARD, "guard", &names.label()]);
    // Not in this process's group, which a terminal's interrupt ends.
    shell.stdin(reader).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    point_at(&mut shell, socket).spawn().context("the guard of containers cannot be started")?;
    Ok(pipe)
}

/// Removes what earlier runs of this clone have left: containers and images with its label in the machine's daemon,
/// data and control groups of a private one.
pub fn remove_leftovers(context: &Context) {
    let names = Names::of(context);
    if let Ok(socket) = find_host()
        && let Err(error) = remove_labelled(&socket, &names.label())
    {
        note!("leftovers of an earlier run stay in Docker (label {}): {error:#}", names.label());
    }
    if let Err(error) = private::remove_leftovers(context, &names.control_group()) {
        note!("leftovers of an earlier run's private Docker daemon stay: {error:#}");
    }
}

/// Removes containers, then images.
fn remove_labelled(socket: &Path, label: &str) -> Result<()> {
    let run = |arguments: &[&str]| {
        let mut client = Command::new(CLIENT);
        let client = point_at(client.args(arguments).stdin(Stdio::null()), socket);
        output_within(client, COMMAND_LIMIT, "removing this tool's leftovers from Docker")
    };
    let remove = |arguments: &[&str], which: Vec<&str>| {
        if which.is_empty() { Ok(()) } else { run(&[arguments, &which].concat()).map(drop) }
    };
    let filter = format!("label={label}");
    let begun = Instant::now();
    loop {
        let containers = run(&["container", "ls", "--all", "--quiet", "--filter", &filter])?;
        match remove(&["container", "rm", "--force", "--volumes"], containers.lines().collect()) {
            Ok(()) => break,
            Err(error) if begun.elapsed() > REMOVAL_LIMIT => return Err(error),
            // After an interrupt the guard removes the same ones, and what is being removed fails here.
            Err(_) => sleep(PAUSE),
        }
    }
    let format = ["--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}", "--filter", &filter];
    let images = run(&[&["image", "ls"], &format[..]].concat())?;
    // Not by force: an image that somebody's container uses stays.
    remove(&["image", "rm"], images.lines().filter_map(own_image).collect())
}

/// What an image is removed by: this tool's own name for it, or its number when it has no name any more.
fn own_image(line: &str) -> Option<&str> {
    let (id, name) = line.split_once(' ')?;
    match name {
        "<none>:<none>" => Some(id),
        name => name.starts_with(PREFIX).then_some(name),
    }
}

/// The names of one clone's comparisons, told from another clone's by its target directory.
pub struct Names(String);

impl Names {
    fn of(context: &Context) -> Self {
        let mut hasher = DefaultHasher::new();
        context.workspace.target.hash(&mut hasher);
        Self(format!("{:016x}", hasher.finish()))
    }

    /// The label of every container and image: `key=value`.
    pub fn label(&self) -> String {
        format!("{PREFIX}={}", self.0)
    }

    /// A container's name that no other one has had.
    pub fn container(&self, instance: &str) -> String {
        static CONTAINERS: AtomicU32 = AtomicU32::new(1);
        let number = CONTAINERS.fetch_add(1, Ordering::Relaxed);
        format!("{PREFIX}-{}-{}-{number}-{instance}", self.0, process::id())
    }

    /// The tag of a package's image.
    pub fn image(&self, package: &str) -> String {
        format!("{PREFIX}-{package}:{}", self.0)
    }

    /// The control group above those of a private daemon's containers.
    fn control_group(&self) -> String {
        format!("{PREFIX}-{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_containers_and_untagged_images_are_removed() {
        assert_eq!(own_image("sha256:1 voting-app-compare-worker:ab"), Some("voting-app-compare-worker:ab"));
        assert_eq!(own_image("sha256:1 <none>:<none>"), Some("sha256:1"));
        assert_eq!(own_image("sha256:1 my-copy:latest"), None);
    }
}
