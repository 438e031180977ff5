//! The segment as a thread of the host tool: the machines' sockets, published ports, the clock.
//!
//! It is a separate thread, so that no machine's traffic waits for other work of the tool. It ends when its handle is
//! dropped, or with the process.

mod control;
mod event_loop;
mod folder;
mod link;
mod published_port;
mod stream;

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use mio::{Poll, Waker};

use crate::Segment;
use crate::capture::Capture;
use crate::layout::Layout;
pub use control::{Request, Response, Status, ask};
use event_loop::EventLoop;
pub(crate) use folder::make_folder;
pub use folder::{Folder, connect, link_name, port_name};
pub(crate) use published_port::listen_ready;
pub use published_port::{BACKLOG, PublishedPort};
pub use stream::Address;
pub(crate) use stream::HostStream;

/// Everything that a segment is started with.
pub struct Setup {
    /// Who is on it.
    pub layout: Layout,
    /// Ports of the host, and which station's they stand for.
    pub published_ports: Vec<PublishedPort>,
    /// Servers outside, by the port of the gateway that stands for them.
    pub outgoing: Vec<(u16, SocketAddr)>,
    /// Where its sockets go.
    pub folder: PathBuf,
    /// Where frames are captured.
    pub capture: Option<File>,
}

/// A running segment, ended when it is dropped.
#[derive(Debug)]
pub struct RunningSegment {
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
    folder: PathBuf,
}

impl RunningSegment {
    /// Starts the segment's thread. Machines can be plugged in at once.
    ///
    /// # Errors
    /// When its sockets cannot be made.
    pub fn start(setup: Setup) -> Result<Self> {
        let folder = setup.folder.clone();
        make_folder(&folder)?;
        let poll = Poll::new().context("epoll does not work")?;
        let waker =
            Arc::new(Waker::new(poll.registry(), event_loop::WAKER).context("eventfd does not work")?);
        let capture = setup.capture.map(Capture::new).transpose().context("the capture cannot be written")?;
        let segment = Segment::new(setup.layout, seed()?, capture);
        let sockets = Folder::open(&folder)?;
        let mut event_loop = EventLoop::new(poll, segment, &sockets, setup.published_ports, setup.outgoing)?;
        let thread = thread::Builder::new()
            .name("segment".to_owned())
            .spawn(move || event_loop.run())
            .context("the segment's thread cannot be started")?;
        Ok(Self { waker, thread: Some(thread), folder })
    }
}

impl Drop for RunningSegment {
    fn drop(&mut self) {
        // Fails only when the thread has gone.
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn seed() -> Result<u64> {
    let mut seed = [0; 8];
    let mut random = File::open("/dev/urandom").context("no random numbers")?;
    std::io::Read::read_exact(&mut random, &mut seed).context("no random numbers")?;
    Ok(u64::from_ne_bytes(seed))
}
