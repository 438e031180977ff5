//! The balancer with real sockets on the loopback: instances that die, drain and hang up while clients ask.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{InstanceReport, PortReport, RunningBalancer, SharedPort, Standing, ask};
use crate::host::Address;

/// For anything that is awaited, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nvote=a";
/// Stack of a thread that serves one connection, in bytes.
const STACK_BYTES: usize = 64 * 1024;

/// What a server does with its requests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Answers,
    /// It ends the connection when a request has come.
    HangsUp,
    /// It dies when so many have come, and does not answer the last one.
    DiesAt(u64),
    /// It says nothing, as one whose machine is gone.
    IsSilent,
}

/// A server that stands for an instance.
struct Server {
    name: String,
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    manner: Manner,
    gets: AtomicU64,
    posts: AtomicU64,
    is_dead: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl Server {
    fn start(name: &str, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        rustix::net::listen(&listener, 4096).expect("a deep backlog");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            manner,
            gets: AtomicU64::new(0),
            posts: AtomicU64::new(0),
            is_dead: AtomicBool::new(false),
            streams: Mutex::new(Vec::new()),
        });
        let (shared, own_name) = (Arc::clone(&state), name.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, name) = (Arc::clone(&shared), own_name.clone());
                state.streams.lock().expect("unpoisoned").push(stream.try_clone().expect("a descriptor"));
                if state.is_dead.load(SeqCst) {
                    return hang_up(&state);
                }
                let serve = move || {
                    serve(&stream, &name, &state);
                    // Another descriptor of it is kept in the list.
                    let _ = stream.shutdown(Shutdown::Both);
                };
                thread::Builder::new().stack_size(STACK_BYTES).spawn(serve).expect("a thread");
            }
        });
        Self { name: name.to_owned(), address, state }
    }

    fn die(&self) {
        die(&self.state, self.address);
    }

    /// It ends connections without a request under way, as servers may at any time.
    fn hang_up_all(&self) {
        hang_up(&self.state);
    }

    fn requests(&self) -> (u64, u64) {
        (self.state.gets.load(SeqCst), self.state.posts.load(SeqCst))
    }
}

/// It answers no request that it has not answered yet, and takes no connection.
fn die(state: &State, address: SocketAddr) {
    state.is_dead.store(true, SeqCst);
    // Wakes the thread that accepts.
    let _ = TcpStream::connect(address);
    hang_up(state);
}

fn hang_up(state: &State) {
    for stream in state.streams.lock().expect("unpoisoned").drain(..) {
        let _ = stream.shutdown(Shutdown::Read);
    }
}

fn serve(mut stream: &TcpStream, name: &str, state: &State) {
    let _ = stream.set_nodelay(true);
    let mut input = Vec::new();
    let mut part = [0; 1024];
    loop {
        let count = stream.read(&mut part).unwrap_or(0);
        input.extend_from_slice(&part[..count]);
        let whole = [GET, POST].into_iter().find(|request| input.starts_with(request));
        if let Some(request) = whole {
            input.drain(..request.len());
            let counter = if request == GET { &state.gets } else { &state.posts };
            let count = counter.fetch_add(1, SeqCst) + 1;
            if state.manner == Manner::DiesAt(count) {
                die(state, stream.local_addr().expect("an address"));
            }
            if state.manner == Manner::IsSilent {
                continue;
            }
            let is_answered = state.manner != Manner::HangsUp && !state.is_dead.load(SeqCst);
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
            if !is_answered || stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        } else if count == 0 {
            return;
        }
    }
}

/// A balancer before some servers.
struct Setup {
    address: SocketAddr,
    balancer: RunningBalancer,
    folder: tempfile::TempDir,
}

impl Setup {
    fn new(servers: &[&Server]) -> Self {
        let instances = servers.iter().map(|it| (it.name.clone(), Address::Tcp(it.address))).collect();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let folder = tempfile::tempdir().expect("a folder");
        let port = SharedPort { service: "web".to_owned(), listener, instances };
        let balancer = RunningBalancer::start(vec![port], folder.path()).expect("it starts");
        servers.iter().for_each(|server| balancer.set_standing(&server.name, Standing::Ready));
        Self { address, balancer, folder }
    }

    fn client(&self) -> Client {
        Client(connect(self.address))
    }

    fn report(&self) -> PortReport {
        ask(self.folder.path()).expect("it answers").expect("it runs").remove(0)
    }

    fn connections(&self) -> Vec<u64> {
        self.report().instances.iter().map(|instance| instance.connections).collect()
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    stream
}

struct Client(TcpStream);

impl Client {
    fn send(&mut self, request: &[u8]) {
        self.0.write_all(request).expect("sent");
    }

    /// The name of the instance that answers; none when the connection ends.
    fn answer(&mut self) -> Option<String> {
        let mut answer = Vec::new();
        let mut part = [0; 256];
        loop {
            let text = String::from_utf8_lossy(&answer);
            if let Some((_, body)) = text.split_once("\r\n\r\n").filter(|(_, body)| body.len() == 3) {
                return Some(body.to_owned());
            }
            match self.0.read(&mut part) {
                Ok(0) => return None,
                Ok(count) => answer.extend_from_slice(&part[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn ask(&mut self, request: &[u8]) -> Option<String> {
        self.send(request);
        self.answer()
    }
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        thread::yield_now();
    }
}

fn pair() -> [Server; 2] {
    ["one", "two"].map(|name| Server::start(name, Manner::Answers))
}

/// Clients that ask until they have had so many answers, half of them with a connection for each; how many they missed.
fn load(address: SocketAddr, answers: u64, meanwhile: impl FnOnce()) -> u64 {
    let lost = AtomicU64::new(0);
    thread::scope(|scope| {
        for number in 0..8 {
            let lost = &lost;
            scope.spawn(move || {
                let mut client = Client(connect(address));
                for _ in 0..answers {
                    if number % 2 == 0 {
                        client = Client(connect(address));
                    }
                    if client.ask(GET).is_none() {
                        lost.fetch_add(1, SeqCst);
                        client = Client(connect(address));
                    }
                }
            });
        }
        meanwhile();
    });
    lost.into_inner()
}

#[test]
fn connections_are_shared_out_evenly_and_reported() {
    let servers = pair();
    let setup = Setup::new(&[&servers[0], &servers[1]]);
    let mut clients: Vec<Client> = (0..10).map(|_| setup.client()).collect();
    let answers: Vec<_> = clients.iter_mut().map(|client| client.ask(GET).expect("an answer")).collect();
    assert_eq!(answers.iter().filter(|name| *name == "one").count(), 5);
    let report = setup.report();
    let instance = |name: &str| InstanceReport { instance: name.to_owned(), open: 5, connections: 5 };
    assert_eq!(report.instances, ["one", "two"].map(instance));
    assert_eq!((report.service.as_str(), report.address), ("web", setup.address));
    drop(clients);
    wait_for("all are closed", || setup.report().instances.iter().all(|instance| instance.open == 0));
    drop(setup.balancer);
    assert_eq!(ask(setup.folder.path()).expect("nobody"), None);
}

#[test]
fn no_get_is_lost_when_an_instance_dies_under_load() {
    let servers = [Server::start("one", Manner::DiesAt(200)), Server::start("two", Manner::Answers)];
    let setup = Setup::new(&[&servers[0], &servers[1]]);
    let lost = load(setup.address, 300, || {});
    let report = setup.report();
    assert_eq!((lost, report.lost, report.refused), (0, 0, 0), "{report:?}");
    assert!(report.repeated > 0, "{report:?}");
}

#[test]
fn no_get_is_lost_when_an_instance_drains_under_load() {
    let servers = pair();
    let setup = Setup::new(&[&servers[0], &servers[1]]);
    let mut kept = setup.client();
    assert_eq!(kept.ask(GET).as_deref(), Some("one"));
    let lost = load(setup.address, 300, || {
        wait_for("load", || servers[0].requests().0 > 200);
        setup.balancer.set_standing("one", Standing::Down);
        // What was open before goes on, until the instance itself ends it.
        assert_eq!(kept.ask(GET).as_deref(), Some("one"));
        let before = setup.connections()[0];
        for _ in 0..20 {
            assert_eq!(setup.client().ask(GET).as_deref(), Some("two"));
        }
        assert_eq!(setup.connections()[0], before);
        servers[0].hang_up_all();
    });
    assert_eq!(kept.ask(POST).as_deref(), Some("two"), "nothing was under way");
    let report = setup.report();
    assert_eq!((lost, report.lost, report.refused), (0, 0, 0), "{report:?}");
}

#[test]
fn a_post_is_sent_once_and_a_get_that_ends_instances_not_to_all_of_them() {
    let servers = ["one", "two", "six", "ten"].map(|name| Server::start(name, Manner::HangsUp));
    let setup = Setup::new(&servers.each_ref());
    let sum = |pick: fn((u64, u64)) -> u64| servers.iter().map(|server| pick(server.requests())).sum::<u64>();
    assert_eq!(setup.client().ask(POST), None);
    assert_eq!((sum(|(_, posts)| posts), setup.report().lost), (1, 1));
    assert_eq!(setup.client().ask(GET), None);
    assert_eq!(sum(|(gets, _)| gets), u64::from(1 + super::connection::REPEATS_MAX));
    let report = setup.report();
    assert_eq!((report.lost, report.repeated), (2, u64::from(super::connection::REPEATS_MAX)));
}

#[test]
fn what_a_machine_has_not_answered_that_is_gone_without_a_word_goes_to_another_one() {
    let servers = [Server::start("one", Manner::IsSilent), Server::start("two", Manner::Answers)];
    let setup = Setup::new(&[&servers[0], &servers[1]]);
    let mut clients = [(); 2].map(|()| setup.client());
    clients[0].send(GET);
    assert_eq!(clients[1].ask(GET).as_deref(), Some("two"));
    let mut voter = setup.client();
    voter.send(POST);
    wait_for("both have come", || servers[0].requests() == (1, 1));
    setup.balancer.lose("one");
    assert_eq!((clients[0].answer().as_deref(), voter.answer()), (Some("two"), None));
    assert_eq!(servers[1].requests(), (2, 0));
}

#[test]
fn two_thousand_clients_are_served_at_once() {
    let servers = pair();
    let setup = Setup::new(&[&servers[0], &servers[1]]);
    let mut clients: Vec<Client> = (0..2000).map(|_| setup.client()).collect();
    clients.iter_mut().for_each(|client| client.send(GET));
    assert!(clients.iter_mut().all(|client| client.answer().is_some()));
    assert_eq!(setup.connections(), [1000, 1000]);
    let report = setup.report();
    assert_eq!((report.repeated, report.refused, report.lost), (0, 0, 0));
}

#[test]
fn a_client_waits_for_an_instance_and_is_sent_away_when_none_comes() {
    let servers = pair();
    let setup = Setup::new(&[&servers[0]]);
    setup.balancer.set_standing("one", Standing::Down);
    let mut client = setup.client();
    client.send(GET);
    setup.balancer.set_standing("one", Standing::Ready);
    assert_eq!(client.answer().as_deref(), Some("one"));
    setup.balancer.set_standing("one", Standing::Down);
    assert_eq!(setup.client().ask(GET), None);
    assert_eq!(setup.report().refused, 1);
    // One that is there, says its supervisor, and does not listen.
    servers[0].die();
    setup.balancer.set_standing("one", Standing::Ready);
    assert_eq!(setup.client().ask(GET), None);
    let report = setup.report();
    assert_eq!(report.refused, 2);
    assert!(report.instances[0].connections < 100, "it is not tried all the time: {report:?}");
}

#[test]
fn a_service_that_ends_keeps_nobody_waiting() {
    let servers = pair();
    let setup = Setup::new(&[&servers[0], &servers[1]]);
    let (mut asking, mut idle) = (setup.client(), setup.client());
    assert!(asking.ask(GET).is_some() && idle.ask(GET).is_some());
    setup.balancer.end_service("web");
    assert!(asking.ask(GET).is_some(), "what is open goes on");
    servers.iter().for_each(Server::hang_up_all);
    assert_eq!((asking.answer(), idle.answer()), (None, None));
    assert_eq!(setup.client().ask(GET), None);
}

#[test]
fn garbage_harms_nobody() {
    let servers = pair();
    let setup = Setup::new(&[&servers[0], &servers[1]]);
    let long = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'a'; 100_000]].concat();
    let all_bytes: Vec<u8> = (0..=255).collect();
    let pieces: [&[u8]; 7] =
        [b"", b"G", b"\r\n\r\n", &all_bytes, &GET[..20], &long, b"GET key\r\nGET key\r\n"];
    for round in 0..20 {
        for bytes in pieces {
            let mut stream = connect(setup.address);
            // It may be closed on us.
            let _ = stream.write_all(bytes);
            if round % 2 == 0 {
                let _ = stream.shutdown(Shutdown::Write);
                let _ = stream.read_to_end(&mut Vec::new());
            }
        }
    }
    assert!(setup.client().ask(GET).is_some());
    servers.iter().for_each(Server::hang_up_all);
    wait_for("all are closed", || setup.report().instances.iter().all(|instance| instance.open == 0));
}

#[test]
fn half_closes_are_carried_and_large_answers_wait_for_slow_clients() {
    const LARGE: usize = 8 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).expect("its end");
        stream.write_all(&vec![b'x'; LARGE]).expect("it reads");
        heard.len()
    });
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let shared = listener.local_addr().expect("an address");
    let folder = tempfile::tempdir().expect("a folder");
    let instances = vec![("one".to_owned(), Address::Tcp(address))];
    let port = SharedPort { service: "web".to_owned(), listener, instances };
    let balancer = RunningBalancer::start(vec![port], folder.path()).expect("it starts");
    balancer.set_standing("one", Standing::Ready);
    let mut client = connect(shared);
    client.write_all(&vec![b'y'; LARGE]).expect("taken");
    client.shutdown(Shutdown::Write).expect("open");
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).expect("the end");
    assert_eq!((server.join().expect("no panic"), heard.len()), (LARGE, LARGE));
}
