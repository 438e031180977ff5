//! A balancer for published ports that several instances share: each client is given to the ready instance with the
//! fewest open connections, and what an instance that ends has not answered goes to another one, where that is safe.
//!
//! It relays bytes and edits none. Of HTTP/1.1 it reads as much as it takes to know what may be repeated
//! ([`exchange`]); every other protocol is relayed without repeats. It asks nobody for health: it is told.
//!
//! ```text
//!  clients ── shared port ── connection ──┬── vote-1
//!                choice, exchange         └── vote-2
//! ```

mod choice;
mod connection;
mod event_loop;
pub mod exchange;
mod head;
mod report;
mod shared_port;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use mio::{Poll, Waker};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::host::Folder;
pub use choice::Standing;
use event_loop::{EventLoop, Order};
pub use report::{InstanceReport, PortReport, ask};
pub use shared_port::SharedPort;

/// Most connections of clients; more wait in their ports' backlogs.
pub const CONNECTIONS_MAX: usize = 4096;
/// Files that a connection takes: the client's and the instance's.
const FILES_PER_CONNECTION: u64 = 2;
/// Files that are left for everything else of the process.
const FILES_SPARED: u64 = 512;

/// A running balancer, ended when it is dropped.
#[derive(Debug)]
pub struct RunningBalancer {
    orders: Sender<Order>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
    folder: PathBuf,
    addresses: Vec<(String, SocketAddr)>,
}

impl RunningBalancer {
    /// Starts the balancer's thread. All instances are down until it is told otherwise. Its report is a socket of
    /// `folder`.
    ///
    /// # Errors
    /// When its sockets cannot be made.
    pub fn start(ports: Vec<SharedPort>, folder: &Path) -> Result<Self> {
        let poll = Poll::new().context("epoll does not work")?;
        let waker =
            Arc::new(Waker::new(poll.registry(), event_loop::WAKER).context("eventfd does not work")?);
        let sockets = Folder::open(folder)?;
        let reports = report::listen(&sockets).context("no socket for the balancer's report")?;
        let address = |port: &SharedPort| Ok((port.service.clone(), port.listener.local_addr()?));
        let addresses = ports.iter().map(address).collect::<Result<Vec<_>>>()?;
        let (orders, inbox) = mpsc::channel();
        let mut event_loop = EventLoop::new(poll, ports, reports, inbox, allowed_connections())?;
        let thread = thread::Builder::new()
            .name("balancer".to_owned())
            .spawn(move || event_loop.run())
            .context("the balancer's thread cannot be started")?;
        Ok(Self { orders, waker, thread: Some(thread), folder: folder.to_owned(), addresses })
    }

    /// An instance is like this now.
    pub fn set_standing(&self, instance: &str, standing: Standing) {
        self.order(Order::Standing(instance.to_owned(), standing));
    }

    /// The machine of an instance has ended, on a network that does not tell those who are connected to it.
    pub fn lose(&self, instance: &str) {
        self.order(Order::Lost(instance.to_owned()));
    }

    /// A service ends for good: whoever is waiting for an instance of it is sent away, and idle clients as well.
    pub fn end_service(&self, service: &str) {
        self.order(Order::EndService(service.to_owned()));
    }

    /// Where clients of a service come.
    pub fn addresses(&self, service: &str) -> impl Iterator<Item = SocketAddr> {
        self.addresses.iter().filter(move |(name, _)| name == service).map(|(_, address)| *address)
    }

    fn order(&self, order: Order) {
        // Both fail only when the thread has gone.
        let _ = self.orders.send(order);
        let _ = self.waker.wake();
    }
}

impl Drop for RunningBalancer {
    fn drop(&mut self) {
        self.order(Order::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if let Ok(folder) = Folder::open(&self.folder) {
            report::remove(&folder);
        }
    }
}

/// How many connections the system lets this process have, up to [`CONNECTIONS_MAX`]. The limit of open files is raised
/// as far as it may.
fn allowed_connections() -> usize {
    let wanted = FILES_PER_CONNECTION * CONNECTIONS_MAX as u64 + FILES_SPARED;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let current = Some(limit.maximum.map_or(wanted, |most| wanted.min(most)));
        // What is not granted is counted below.
        let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum });
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(wanted).min(wanted);
    usize::try_from(files.saturating_sub(FILES_SPARED) / FILES_PER_CONNECTION).unwrap_or(0).max(1)
}
