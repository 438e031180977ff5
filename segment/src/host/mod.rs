//! The segment as a thread of the host tool: the machines' sockets, published ports, the clock.
//!
//! It is a separate thread, so that no machine's traffic waits for other work of the tool. It ends when its handle is
//! dropped, or with the process.

mod control;
mod event_loop;
mod folder;
mod link;
mod published_port;
mod setup;
mod shared_card;
mod stream;
mod stream_link;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use mio::{Poll, Waker};

pub use control::{Request, Response, Status, ask};
use event_loop::EventLoop;
pub(crate) use folder::make_folder;
pub use folder::{Folder, connect, link_name, port_name};
pub use link::Cable;
pub(crate) use published_port::listen_ready;
pub use published_port::{BACKLOG, PublishedPort};
pub use setup::Setup;
pub use stream::Address;
pub(crate) use stream::HostStream;

/// A running segment, ended when it is dropped.
#[derive(Debug)]
pub struct RunningSegment {
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
    folder: PathBuf,
    troubles: Receiver<String>,
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
        let sockets = Folder::open(&folder)?;
        let (sender, troubles) = mpsc::channel();
        let mut event_loop = EventLoop::new(poll, setup, &sockets, sender)?;
        let thread = thread::Builder::new()
            .name("segment".to_owned())
            .spawn(move || event_loop.run())
            .context("the segment's thread cannot be started")?;
        Ok(Self { waker, thread: Some(thread), folder, troubles })
    }

    /// Which machine was cut off, and why; each is said once.
    pub fn trouble(&self) -> Option<String> {
        self.troubles.try_recv().ok()
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
