//! The daemon that containers run on: one that answers already, or a private one of this run.
//!
//! Knows no containers and no images: how to reach the daemon, and what keeps it and its containers from
//! outliving the run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result, anyhow, ensure};
use image_build::process::is_installed;

use super::names::Names;
use super::{api, command, foreign, image, private};
use crate::context::Context;

/// The client's program.
pub const CLIENT: &str = "docker";

/// A daemon, with the images of the services.
pub struct Engine {
    /// Its socket.
    pub socket: PathBuf,
    /// Names of what this run has in it.
    pub names: Names,
    keeper: Keeper,
}

/// What ends containers when this run is over, whatever ends it.
enum Keeper {
    /// The daemon is a child of this process and in its namespaces.
    Private(private::Daemon),
    /// A process that removes containers of the host's daemon when this one has gone.
    Guard(foreign::Guard),
}

/// Says what is missing before a run begins.
///
/// # Errors
/// What, and how to mend it.
pub fn check(context: &Context) -> Result<()> {
    let client = "docker is not installed (Debian: apt-get install docker.io iptables)";
    ensure!(is_installed(CLIENT), client);
    if !context.contained {
        return foreign::find().map(drop).map_err(without_daemon);
    }
    private::check().map_err(|error| match foreign::find() {
        Err(reason) => error.context(format!("{reason:#}")),
        Ok(_) => error,
    })
}

/// Files of the programs that start a container, as far as they are installed.
pub fn executables() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let file = |program: &&str| folders.iter().map(|folder| folder.join(program)).find(|file| file.is_file());
    [CLIENT, "containerd-shim-runc-v2", "runc", "docker-proxy"].iter().filter_map(file).collect()
}

/// Completes why no daemon of the host's can be used by why none can be started either.
fn without_daemon(error: anyhow::Error) -> anyhow::Error {
    if rustix::process::geteuid().is_root() {
        error.context(
            "no private Docker daemon can be started, because this system refuses namespaces \
             (`unshare --net --pid --fork --mount-proc true` fails), and no other can be used",
        )
    } else {
        error.context(
            "no Docker daemon can be used: start one (`systemctl start docker`), or run as root \
             with dockerd installed, then a private one is started",
        )
    }
}

/// The daemon of this process, made ready at the first call, the same for all networks.
///
/// # Errors
/// When it cannot be started or reached, or images cannot be built; the same at each call.
pub fn shared(context: &Context) -> Result<Arc<Engine>> {
    static ENGINE: OnceLock<Result<Arc<Engine>, String>> = OnceLock::new();
    let engine =
        ENGINE.get_or_init(|| Engine::start(context).map(Arc::new).map_err(|error| format!("{error:#}")));
    engine.clone().map_err(|error| anyhow!(error))
}

impl Engine {
    fn start(context: &Context) -> Result<Self> {
        let names = Names::of(context);
        let engine = if context.contained {
            let daemon = private::Daemon::start(context, &names)?;
            Self { socket: private::socket(), names, keeper: Keeper::Private(daemon) }
        } else {
            let socket = foreign::find()?;
            let guard = foreign::Guard::start(&socket, &names)?;
            Self { socket, names, keeper: Keeper::Guard(guard) }
        };
        image::build_all(context, &engine)?;
        Ok(engine)
    }

    /// Fails when the daemon has gone.
    ///
    /// # Errors
    /// How it ended, with the end of its log, or that it does not answer.
    pub fn check(&self) -> Result<()> {
        match &self.keeper {
            Keeper::Private(daemon) => daemon.check(),
            Keeper::Guard(_) => api::ask(&self.socket, "GET", "/_ping").map(drop),
        }
    }

    /// Runs the client with `arguments`; what it wrote.
    ///
    /// # Errors
    /// When it fails, or does not end in time.
    pub fn run(&self, arguments: &[String], purpose: &str) -> Result<String> {
        let mut client = client(&self.socket);
        client.args(arguments).stdin(self.input()?);
        command::output(&mut client, purpose)
    }

    /// What a client reads from. None of those used here reads anything; a guard waits for all who hold
    /// its pipe, so that it also sees the container that a client is just starting.
    fn input(&self) -> Result<Stdio> {
        Ok(match &self.keeper {
            Keeper::Private(_) => Stdio::null(),
            Keeper::Guard(guard) => guard.pipe().context("the guard's pipe cannot be shared")?.into(),
        })
    }
}

/// The client for the daemon at `socket`.
pub fn client(socket: &Path) -> Command {
    let mut client = Command::new(CLIENT);
    point_at(&mut client, socket);
    client
}

/// Has clients that `command` is or starts ask the daemon at `socket`, whatever the environment says.
pub fn point_at(command: &mut Command, socket: &Path) {
    for variable in ["DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_DEFAULT_PLATFORM"] {
        command.env_remove(variable);
    }
    command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    // The images are this machine's own, and nobody has signed them.
    command.env("DOCKER_CONTENT_TRUST", "0");
}
