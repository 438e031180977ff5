//! The daemon that containers run on: one that answers already, or a private one of this run.
//!
//! Knows no containers and no images: how to reach the daemon, and what keeps it and its containers from
//! outliving the run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Error, Result, anyhow};

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
    if context.contained {
        // A client alone is no Docker: containers run in an engine.
        return private::check().map_err(|error| anyhow!("there is no Docker engine; {error:#}"));
    }
    foreign::find().map(drop).map_err(|error| no_engine(&error))
}

/// Files of the programs that start a container, as far as they are installed.
pub fn executables() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let file = |program: &&str| folders.iter().map(|folder| folder.join(program)).find(|file| file.is_file());
    [CLIENT, "containerd-shim-runc-v2", "runc", "docker-proxy"].iter().filter_map(file).collect()
}

/// How there is to be an engine, first, and why there is none: in one line.
fn no_engine(reason: &Error) -> Error {
    let mend = if !rustix::process::geteuid().is_root() {
        "start Docker's (`systemctl start docker`), or run as root with dockerd installed, then a private one is started"
    } else {
        "start Docker's (`systemctl start docker`); a private one takes namespaces, which this system refuses \
         (`unshare --net --pid --fork --mount-proc true` fails)"
    };
    let reason = format!("{reason:#}").replace('\n', " ");
    anyhow!("there is no Docker engine: {mend}; found: {reason}")
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
