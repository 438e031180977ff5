//! The segment as a thread of the host tool: the machines' sockets, published ports, the clock.
//!
//! One thread, so that no machine's traffic waits for what the tool does otherwise; it ends with the value
//! that stands for it, or with the process.

mod control;
mod door;
mod event_loop;
mod link;
mod stream;

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use mio::{Poll, Waker};

use crate::capture::Capture;
use crate::hub::Hub;
use crate::layout::Layout;
pub use control::{Answer, Request, Status, ask};
pub use door::{BACKLOG, Door};
use event_loop::EventLoop;

/// The folder of a segment's sockets, inside that of its application. Only its owner may look into it.
const MODE: u32 = 0o700;

/// Everything that a segment is started with.
pub struct Setup {
    /// Who is on it.
    pub layout: Layout,
    /// Ports of the host, and which station's they stand for.
    pub doors: Vec<Door>,
    /// Servers outside, by the port of the host's end that stands for them.
    pub outgoing: Vec<(u16, SocketAddr)>,
    /// Where its sockets go.
    pub folder: PathBuf,
    /// Where frames are captured.
    pub capture: Option<File>,
}

/// A running segment, ended when it is dropped.
#[derive(Debug)]
pub struct Running {
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
    folder: PathBuf,
}

impl Running {
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
        let hub = Hub::new(setup.layout, seed()?, capture);
        let sockets = Folder::open(&folder)?;
        let mut event_loop = EventLoop::new(poll, hub, &sockets, setup.doors, setup.outgoing)?;
        let thread = thread::Builder::new()
            .name("segment".to_owned())
            .spawn(move || event_loop.run())
            .context("the segment's thread cannot be started")?;
        Ok(Self { waker, thread: Some(thread), folder })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only when the thread has gone.
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A folder whose sockets are named by short paths, however long its own is: a socket's address has room
/// for 108 bytes (unix(7)).
#[derive(Debug)]
pub struct Folder(File);

impl Folder {
    /// Opens it.
    ///
    /// # Errors
    /// When it is not there.
    pub fn open(path: &Path) -> Result<Self> {
        let mut options = File::options();
        options.read(true).custom_flags(rustix::fs::OFlags::DIRECTORY.bits().cast_signed());
        Ok(Self(options.open(path).with_context(|| format!("cannot open {}", path.display()))?))
    }

    /// The path of one of its sockets, good for this process.
    pub fn socket(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()))
    }
}

/// Name of the socket through which a machine is plugged in.
pub fn link_name(station: &str) -> String {
    format!("{station}.link")
}

/// Name of the socket that stands for a port of a station.
pub fn port_name(station: &str, port: u16) -> String {
    format!("{station}-{port}.sock")
}

/// Connects to one of the sockets of a folder.
///
/// # Errors
/// When nobody listens there.
pub fn connect(path: &Path) -> std::io::Result<std::os::unix::net::UnixStream> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folder =
        Folder::open(folder).map_err(|error| std::io::Error::new(std::io::ErrorKind::NotFound, error))?;
    std::os::unix::net::UnixStream::connect(folder.socket(name))
}

/// A listener as it is to be: with a deep backlog, never blocking.
fn ready(listener: TcpListener) -> std::io::Result<mio::net::TcpListener> {
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(mio::net::TcpListener::from_std(listener))
}

/// Makes the folder of a network's sockets anew.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    // What an earlier run left behind: sockets that nobody listens at.
    let _ = std::fs::remove_dir_all(path);
    std::fs::DirBuilder::new()
        .mode(MODE)
        .create(path)
        .with_context(|| format!("cannot make the folder {}", path.display()))
}

fn seed() -> Result<u64> {
    let mut seed = [0; 8];
    let mut random = File::open("/dev/urandom").context("no random numbers")?;
    std::io::Read::read_exact(&mut random, &mut seed).context("no random numbers")?;
    Ok(u64::from_ne_bytes(seed))
}
