//! The original application as processes of this host, from a checkout: its vote service and its queue.
//!
//! Its worker, its database and its result page are not run: votes are taken and queued as they are there,
//! and stay in the queue.

mod checkout;
mod names;
mod python;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use image_build::tool::packages;
use image_build::tool::packages::table::REDIS;

use self::names::Names;
use self::python::Environment;
use super::application::{Application, READY_LIMIT, Substrate};
use super::instance::{Endpoint, Instance, Order, Port, Program};
use super::redis;
use crate::client::free_address;
use crate::context::Context;

/// Where the original's services look for their queue; they cannot be told otherwise.
const QUEUE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 6379);
/// What is not run, and what that means for the figures.
const NOT_RUN: &str = "its worker (.NET), PostgreSQL and result page are not run: votes stay in its queue";

pub struct Original {
    context: Context,
    environment: Environment,
    names: Names,
    /// Copy of its vote service.
    vote: PathBuf,
    /// Arguments of gunicorn, as its image has them.
    arguments: Vec<String>,
    note: String,
}

/// Copies the checkout's vote service and installs what it needs beside the copy: nothing is written to the
/// checkout or to the system's Python.
///
/// # Errors
/// When there is no checkout, or what it needs cannot be installed.
pub fn prepare(context: &Context) -> Result<()> {
    let original = context.original.as_deref().context("no checkout of it was given: --original PATH")?;
    checkout::verify(original)?;
    let artifacts = context.artifacts("original")?;
    checkout::copy(original, &artifacts)?;
    packages::ensure(&REDIS)?;
    Environment::install(&artifacts, &vote(&artifacts).join("requirements.txt"))?;
    Original::open(context).map(drop)
}

/// The copy of the vote service.
fn vote(artifacts: &Path) -> PathBuf {
    artifacts.join("vote")
}

impl Original {
    /// Ready to start processes.
    ///
    /// # Errors
    /// When it has not been prepared, or its queue cannot be found from here.
    pub fn open(context: &Context) -> Result<Self> {
        let artifacts = context.artifacts("original")?;
        let environment = Environment::open(&artifacts)?;
        let vote = vote(&artifacts);
        let arguments = checkout::gunicorn_arguments(&vote.join("Dockerfile"))?;
        let version = checkout::version(&artifacts)?;
        let note = format!("{version}, {}, {}; {NOT_RUN}", environment.versions()?, redis::version()?);
        let names = Names::find(&artifacts)?;
        Ok(Self { context: context.clone(), environment, names, vote, arguments, note })
    }

    /// Starts a vote service that finds its queue as `names` say.
    fn start_vote(&self, order: &Order, names: &Names) -> Result<Instance> {
        // The image listens on port 80 of all addresses; this is nobody else's business.
        let host = free_address()?;
        let mut command = names.command(&self.environment.gunicorn());
        command.args(checkout::bound_to(&self.arguments, host)).current_dir(&self.vote);
        // Settings of the user's own gunicorn and Python are not the original's.
        for name in ["GUNICORN_CMD_ARGS", "WEB_CONCURRENCY", "PYTHONPATH", "PYTHONHOME"] {
            command.env_remove(name);
        }
        let endpoints = BTreeMap::from([(Port::Vote, Endpoint { host, peer: host })]);
        order.start(&self.context, command, endpoints)
    }
}

impl Substrate for Original {
    fn start(&self, order: &Order) -> Result<Instance> {
        match order.program {
            Program::Vote => self.start_vote(order, &self.names),
            Program::Store => {
                TcpListener::bind(QUEUE).map(drop).with_context(|| {
                    format!(
                        "the original's services look for Redis only at {QUEUE}: stop the program that listens there"
                    )
                })?;
                redis::start(&self.context, order, QUEUE, &[])
            }
            other => bail!("the original's counterpart of {} is not run", other.package()),
        }
    }

    fn vote(&self, order: &Order) -> Result<Instance> {
        // What makes the queue's name known would be part of the start's time.
        self.start_vote(order, &Names::Known)
    }

    fn application(&self, votes: u32, directory: &Path) -> Result<Application> {
        let mut queue = self.start(&Order::new(Program::Store, "redis", &[], directory))?;
        queue.await_answer(READY_LIMIT, "a PING", || redis::answers(QUEUE))?;
        let vote = |number| -> Result<Instance> {
            let order = Order::new(Program::Vote, &format!("vote-{number}"), &[], directory);
            let mut vote = self.start(&order)?;
            vote.first_ok(Port::Vote, "/", READY_LIMIT)?;
            Ok(vote)
        };
        let votes = (1..=votes).map(vote).collect::<Result<_>>()?;
        Ok(Application { votes, result: None, others: vec![queue] })
    }

    /// None: it is shipped as an image on top of a Python on top of a Debian, which a checkout is not.
    fn shipped(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn started_from(&self) -> Vec<PathBuf> {
        [self.environment.files(&self.vote), files_below(&self.vote)].concat()
    }

    fn is_whole(&self) -> bool {
        false
    }

    fn note(&self) -> Option<String> {
        Some(self.note.clone())
    }
}

/// All files below a directory that can be listed, without following links.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.append(&mut files_below(&entry.path())),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    files
}
