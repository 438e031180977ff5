//! A node on a thread of its own, and what the test can see of it.
//!
//! Asserts nothing about connections; the tests do.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kernel_app::Service;
use kernel_app::linux::{LinuxClock, LinuxEntropy, LinuxNetwork};
use kernel_app::runtime::Runtime;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at a condition.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// Open files of this process: both ends of a full table, for two tests at a time.
const FILES: u64 = 5000;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What a node counts.
#[derive(Default)]
pub struct Counts {
    pub opened: AtomicUsize,
    pub closed: AtomicUsize,
    pub answers: AtomicUsize,
    pub output_bytes: AtomicUsize,
    open: AtomicUsize,
    turns: AtomicUsize,
}

thread_local! {
    /// The counts of the node that this thread runs.
    pub static COUNTS: Arc<Counts> = Arc::default();
}

/// A running node; dropping it stops it.
pub struct Node {
    pub port: u16,
    counts: Arc<Counts>,
    stop: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    /// A node on a free port.
    pub fn start(make: impl FnOnce(u16) -> Vec<Box<dyn Service>> + Send + 'static) -> Self {
        Self::start_on(free_port(), make)
    }

    /// A node on this port.
    pub fn start_on(port: u16, make: impl FnOnce(u16) -> Vec<Box<dyn Service>> + Send + 'static) -> Self {
        allow_files();
        let (stop, stopped) = UnixStream::pair().expect("a pair");
        let (started, wait) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut network = LinuxNetwork::new(HOME).expect("a network");
            network.stop_on(stopped).expect("watched");
            let runtime = Runtime::new(network, make(port)).expect("starts");
            started.send(COUNTS.with(Arc::clone)).expect("the test waits");
            run(runtime);
        });
        Self { port, counts: wait.recv().expect("started"), stop, thread: Some(thread) }
    }

    pub fn open(&self) -> usize {
        self.counts.open.load(SeqCst)
    }

    pub fn opened(&self) -> usize {
        self.counts.opened.load(SeqCst)
    }

    pub fn closed(&self) -> usize {
        self.counts.closed.load(SeqCst)
    }

    pub fn answers(&self) -> usize {
        self.counts.answers.load(SeqCst)
    }

    pub fn output_bytes(&self) -> usize {
        self.counts.output_bytes.load(SeqCst)
    }

    pub fn turns(&self) -> usize {
        self.counts.turns.load(SeqCst)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.write_all(&[0]).expect("told to stop");
        let result = self.thread.take().map(JoinHandle::join);
        assert!(thread::panicking() || matches!(result, Some(Ok(()))), "the node stopped by itself");
    }
}

fn run(mut runtime: Runtime<LinuxNetwork>) {
    let (clock, mut entropy) = (LinuxClock::new(), LinuxEntropy::default());
    let counts = COUNTS.with(Arc::clone);
    while !runtime.network_mut().take_stop() {
        let due = runtime.turn(clock.now(), clock.unix_time(), &mut entropy);
        counts.open.store(runtime.connections().len(), SeqCst);
        counts.turns.fetch_add(1, SeqCst);
        runtime.wait(clock.now(), due);
    }
}

/// Why a node cannot start.
pub fn start_error(port: u16, services: Vec<Box<dyn Service>>) -> String {
    let network = LinuxNetwork::new(HOME).expect("a network");
    match Runtime::new(network, services) {
        Ok(_) => panic!("it started on port {port}"),
        Err(error) => error.to_string(),
    }
}

/// A client with patience.
pub fn connect(port: u16) -> TcpStream {
    let client = TcpStream::connect((HOME, port)).expect("connected");
    client.set_read_timeout(Some(PATIENCE)).expect("set");
    client.set_write_timeout(Some(PATIENCE)).expect("set");
    client
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind((HOME, 0)).and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// Waits for a condition.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        thread::sleep(LOOK_AGAIN);
    }
}

fn allow_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = Some(maximum.map_or(FILES, |most| most.min(FILES)));
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).expect("open files are allowed");
}
