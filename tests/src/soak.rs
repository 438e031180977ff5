//! Many requests to one booted unikernel, and the memory it has before and after.
//!
//! The load is of all kinds that users make: pages and votes, on kept connections and on new ones.

use std::net::SocketAddrV4;
use std::thread;

use kernel_app::stack::SPARE_SOCKETS_KEPT;

use crate::http::{Connection, ask, get, metric, post_vote};
use crate::running::{self, HOST_SEEN_FROM_GUEST, RunningService};

/// Clients at the same time, so many of each kind.
const CLIENTS_PER_KIND: usize = 4;
/// Requests on a kept connection.
const REQUESTS_PER_CONNECTION: usize = 100;
/// Requests before memory is looked at first, per client.
const WARM_UP_REQUESTS: usize = 500;
/// What may be in use more or less for reasons of the moment: a connection's socket and buffers.
const FLAT_BYTES: u64 = 32 * 1024;
/// Looks at the memory between the first and the last.
const LOOKS: usize = 10;

/// What memory was in use.
#[derive(Debug)]
pub struct MemoryUse {
    /// After warming up.
    pub warm_bytes: u64,
    /// In between and at the end; the last counts.
    pub later_bytes: Vec<u64>,
    /// How many requests were answered as they should be.
    pub answered: usize,
}

impl MemoryUse {
    /// At the end.
    pub fn last_bytes(&self) -> u64 {
        self.later_bytes.last().copied().unwrap_or(self.warm_bytes)
    }

    /// Whether there is no more in use at the end than after warming up, but for what one connection holds.
    pub fn is_flat(&self) -> bool {
        self.last_bytes() <= self.warm_bytes + FLAT_BYTES
    }
}

/// Boots a vote service with a store, and sends it so many requests.
///
/// # Panics
/// When one of them is not answered as it should be.
pub fn soak(requests: usize, tell: fn(usize, u64)) -> MemoryUse {
    let store_program = running::linux_programs(&["store-service"]).remove(0);
    let image = running::images(&["vote-service"]).remove(0);
    let mut store = RunningService::linux(&store_program, &["HEALTH_PORT", "PORT"], &[]);
    store.wait_for("/healthz");
    let store_url = format!("redis://{HOST_SEEN_FROM_GUEST}:{}", store.addresses[1].port());
    let settings = [("REDIS_URL", store_url), ("LOG", "warn".to_owned())];
    let mut vote = RunningService::guest(&image, &[8080], &settings);
    vote.wait_for("/readyz");
    let address = vote.addresses[0];

    let mut answered = crowd(address) + load(address, WARM_UP_REQUESTS);
    let warm_bytes = used_bytes(address);
    let clients = CLIENTS_PER_KIND * Kind::ALL.len();
    let per_look = requests.div_ceil(LOOKS * clients);
    let mut later_bytes = Vec::new();
    for _ in 0..LOOKS {
        answered += load(address, per_look);
        empty_queue(store.addresses[1]);
        later_bytes.push(used_bytes(address));
        tell(answered, used_bytes(address));
    }
    assert!(!vote.has_ended(), "{}", vote.log());
    MemoryUse { warm_bytes, later_bytes, answered }
}

/// As many connections at once as the guest keeps sockets for: how many of its clients it meets at the same
/// time is chance, and a socket that it had not needed before is no leak. How many requests that were.
fn crowd(address: SocketAddrV4) -> usize {
    let mut connections: Vec<_> =
        (0..SPARE_SOCKETS_KEPT).map(|_| Connection::open(address).expect("the port is open")).collect();
    for connection in &mut connections {
        assert!(matches!(connection.ask(&get("/")), Ok((200, _))));
    }
    connections.len()
}

/// Nobody takes the votes; the store must not be what runs full.
fn empty_queue(store: SocketAddrV4) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(store).expect("a store");
    stream.write_all(b"FLUSHALL\r\n").expect("a store");
    let mut reply = [0; 5];
    stream.read_exact(&mut reply).expect("a reply");
    assert_eq!(&reply, b"+OK\r\n");
}

fn used_bytes(address: SocketAddrV4) -> u64 {
    metric(address, "heap_used_bytes ").expect("a guest tells of its heap")
}

/// What a client does.
#[derive(Clone, Copy)]
enum Kind {
    PagesKept,
    PagesNew,
    VotesKept,
    VotesNew,
}

impl Kind {
    const ALL: [Self; 4] = [Self::PagesKept, Self::PagesNew, Self::VotesKept, Self::VotesNew];

    fn request(self) -> Vec<u8> {
        match self {
            Self::PagesKept | Self::PagesNew => get("/"),
            Self::VotesKept | Self::VotesNew => post_vote("a"),
        }
    }

    fn is_kept(self) -> bool {
        matches!(self, Self::PagesKept | Self::VotesKept)
    }
}

/// Sends `count` requests by each client of each kind; how many that were.
fn load(address: SocketAddrV4, count: usize) -> usize {
    thread::scope(|scope| {
        for kind in Kind::ALL {
            for _ in 0..CLIENTS_PER_KIND {
                scope.spawn(move || be_client(address, kind, count));
            }
        }
    });
    count * CLIENTS_PER_KIND * Kind::ALL.len()
}

fn be_client(address: SocketAddrV4, kind: Kind, count: usize) {
    let request = kind.request();
    let assert_good = |answer: std::io::Result<(u16, String)>| {
        assert!(matches!(&answer, Ok((200, page)) if page.contains("Cats")), "{answer:?}");
    };
    if !kind.is_kept() {
        return (0..count).for_each(|_| assert_good(ask(address, &request)));
    }
    let mut left = count;
    while left > 0 {
        let mut connection = Connection::open(address).expect("the port is open");
        let now = left.min(REQUESTS_PER_CONNECTION);
        (0..now).for_each(|_| assert_good(connection.ask(&request)));
        left -= now;
    }
}
