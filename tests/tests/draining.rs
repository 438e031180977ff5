//! `GET /stop/drain` on the kernel's sockets: who asks may end the machine at the answer.
//!
//! A vote is in flight meanwhile, because the store does not go on before the test lets it. Guests run the same code;
//! `kernel-app/src/runtime/tests/drain.rs` has the cases without sockets.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use kernel_app::linux::{LinuxClock, LinuxEntropy, LinuxNetwork};
use kernel_app::runtime::Runtime;
use kernel_app::settings::SettingError;
use kernel_app::{Service, Settings};
use tests::client::wait_for;
use tests::command::free_port;
use tests::http::{ask, get, post_vote};
use tests::sockets::connect;

const HOME: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// For anything that is awaited, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a node looks whether it may go on.
const LOOK: Duration = Duration::from_millis(5);
const DRAIN: &[u8] = b"GET /stop/drain HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\n\r\n";

/// What makes the services of a node.
type Program = fn(&Settings) -> Result<Vec<Box<dyn Service>>, SettingError>;

/// Runs services until they have stopped, or nobody has the flag any more; while it is set, they do nothing.
fn run(program: Program, settings: Settings, is_held: Arc<AtomicBool>) -> JoinHandle<()> {
    let (started, wait) = mpsc::channel();
    let thread = thread::spawn(move || {
        let network = LinuxNetwork::new(IpAddr::V4(HOME)).expect("a network");
        let services = program(&settings).expect("usable");
        let mut runtime = Runtime::new(network, services).expect("starts");
        runtime.accept_stop_requests(settings.stop_token().expect("usable"));
        let (clock, mut entropy) = (LinuxClock::new(), LinuxEntropy::default());
        runtime.start(clock.now(), clock.unix_time(), &mut entropy).expect("starts");
        started.send(()).expect("the test waits");
        while !runtime.has_stopped() && Arc::strong_count(&is_held) > 1 {
            if is_held.load(SeqCst) {
                thread::sleep(LOOK);
                continue;
            }
            let due = runtime.turn(clock.now(), clock.unix_time(), &mut entropy);
            let now = clock.now();
            runtime.wait(now, Some(due.unwrap_or(now + LOOK).min(now + LOOK)));
        }
    });
    wait.recv().expect("started");
    thread
}

/// A connection with a request on its way.
fn asking(address: SocketAddrV4, request: &[u8]) -> TcpStream {
    let mut stream = connect(address, PATIENCE).expect("connected");
    stream.write_all(request).expect("sent");
    stream
}

/// All that comes until the other side ends.
fn answer(mut stream: &TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a clean end");
    text
}

/// Whether nothing has been answered yet.
fn is_silent(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("set");
    let outcome = stream.peek(&mut [0]);
    stream.set_nonblocking(false).expect("set");
    outcome.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn a_vote_in_flight_is_answered_before_the_order_to_drain() {
    let [store, pages, health] = [(); 3].map(|()| SocketAddrV4::new(HOME, free_port()));
    let of_store = Settings::from_pairs([("PORT", store.port().to_string())]);
    let of_vote = Settings::from_pairs([
        ("PORT", pages.port().to_string()),
        ("HEALTH_PORT", health.port().to_string()),
        ("REDIS_URL", format!("redis://{store}")),
        ("STOP_TOKEN", "secret".to_owned()),
    ]);
    let is_held = Arc::new(AtomicBool::new(false));
    let store_thread = run(store_service::program, of_store, Arc::clone(&is_held));
    let runs = Arc::new(AtomicBool::new(false));
    let vote_thread = run(vote_service::program, of_vote, Arc::clone(&runs));
    let is_ready = || ask(health, &get("/readyz")).is_ok_and(|(status, _)| status == 200).then_some(());
    wait_for(PATIENCE, is_ready).expect("vote is ready");

    let idle = asking(pages, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!((&idle).read(&mut [0; 1024]).expect("answered") > 0);
    is_held.store(true, SeqCst);
    let voter = asking(pages, &post_vote("a"));
    let waiters = [(); 2].map(|()| asking(health, DRAIN));
    let refuses = || connect(pages, PATIENCE).is_err().then_some(());
    wait_for(PATIENCE, refuses).expect("it takes no more connections");
    assert!(is_silent(&voter) && waiters.iter().all(is_silent), "the vote is in flight");

    let (answered, voted) = mpsc::channel();
    let voter_thread = thread::spawn(move || answered.send(answer(&voter)).expect("the test waits"));
    is_held.store(false, SeqCst);
    for waiter in &waiters {
        let told = answer(waiter);
        assert!(told.starts_with("HTTP/1.1 200 ") && told.ends_with("\r\n\r\ndrained\n"), "{told}");
    }
    // The voter closes after this has been sent, and the answer to the waiters comes after that.
    let told = voted.try_recv().expect("the vote is answered first");
    assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
    drop(waiters);
    vote_thread.join().expect("it ends by itself, though the idle connection is still open");
    drop((idle, is_held));
    voter_thread.join().expect("done");
    store_thread.join().expect("done");
}
