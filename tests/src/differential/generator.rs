//! Streams of random commands: mostly good ones, some wrong in one thing.
//!
//! Knows of the servers' state only whether a transaction was opened, to make transactions of a sensible
//! length. Leaves out what would wait for ever.

use simulator::random::Random;
use store_service::limits::NAME_BYTES_MAX;

use super::normal::is_own;
use super::values::{Kind, any_case, field, key, number, timeout, value, word};
use super::{CONNECTIONS, Step};

/// Longest run of commands on one connection, in commands and in bytes: what is sent in one piece must fit
/// into what a server takes while it is not read from.
const RUN_COMMANDS_MAX: u64 = 120;
const RUN_BYTES_MAX: usize = 40_000;
/// Redis ends the connection of a stranger to whom it owes more than a kilobyte.
const STRANGERS_RUN_MAX: u64 = 3;
/// Longest line of words, which takes four times that on the wire; Redis refuses 64 KiB.
const INLINE_BYTES_MAX: usize = 4_000;
/// How often a run is of one command only, so that connections meet, per million.
const SHORT_RUN_PPM: u32 = 600_000;

/// What a stream is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// All commands, on servers that ask for no password.
    Open,
    /// The same on servers whose password is `secret`: much is refused.
    Locked,
    /// Hashes that Redis keeps in hash tables.
    LargeHashes,
}

impl Mix {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Open, Self::Locked, Self::LargeHashes];
}

/// A command's name, its weight, and how its arguments are made.
type Recipe = (&'static str, u64, fn(&mut Random) -> Vec<Vec<u8>>);

const RECIPES: &[Recipe] = &[
    ("RPUSH", 40, |r| keyed(r, Kind::List, |r| many(r, 4, value))),
    ("LPUSH", 25, |r| keyed(r, Kind::List, |r| many(r, 4, value))),
    ("LPOP", 25, |r| keyed(r, Kind::List, |r| maybe(r, number))),
    ("RPOP", 25, |r| keyed(r, Kind::List, |r| maybe(r, number))),
    ("LLEN", 15, |r| keyed(r, Kind::List, |_| Vec::new())),
    ("LRANGE", 20, |r| keyed(r, Kind::List, |r| vec![number(r), number(r)])),
    ("LREM", 25, |r| keyed(r, Kind::List, |r| vec![number(r), value(r)])),
    ("LMOVE", 25, |r| keyed(r, Kind::List, |r| [vec![key(r, Kind::List)], ends(r)].concat())),
    ("BLMOVE", 12, |r| {
        keyed(r, Kind::List, |r| [vec![key(r, Kind::List)], ends(r), vec![timeout(r)]].concat())
    }),
    ("BLPOP", 12, |r| [many(r, 3, |r| key(r, Kind::List)), vec![timeout(r)]].concat()),
    ("BRPOP", 12, |r| [many(r, 3, |r| key(r, Kind::List)), vec![timeout(r)]].concat()),
    ("HSET", 40, |r| keyed(r, Kind::Hash, |r| many(r, 3, |r| vec![field(r), value(r)]).concat())),
    ("HMSET", 10, |r| keyed(r, Kind::Hash, |r| many(r, 3, |r| vec![field(r), value(r)]).concat())),
    ("HGET", 20, |r| keyed(r, Kind::Hash, |r| vec![field(r)])),
    ("HMGET", 20, |r| keyed(r, Kind::Hash, |r| many(r, 4, field))),
    ("HGETALL", 15, |r| keyed(r, Kind::Hash, |_| Vec::new())),
    ("HLEN", 15, |r| keyed(r, Kind::Hash, |_| Vec::new())),
    ("HINCRBY", 25, |r| keyed(r, Kind::Hash, |r| vec![field(r), number(r)])),
    ("HDEL", 25, |r| keyed(r, Kind::Hash, |r| many(r, 3, field))),
    ("SET", 30, |r| keyed(r, Kind::String, |r| [vec![value(r)], set_options(r)].concat())),
    ("GET", 20, |r| keyed(r, Kind::String, |_| Vec::new())),
    ("INCR", 20, |r| keyed(r, Kind::String, |_| Vec::new())),
    ("INCRBY", 15, |r| keyed(r, Kind::String, |r| vec![number(r)])),
    ("DEL", 10, |r| many(r, 3, |r| key(r, Kind::Any))),
    ("EXISTS", 10, |r| many(r, 3, |r| key(r, Kind::Any))),
    ("TYPE", 10, |r| keyed(r, Kind::Any, |_| Vec::new())),
    ("DBSIZE", 5, |_| Vec::new()),
    ("FLUSHALL", 1, |r| maybe(r, |r| word(r, &["SYNC", "ASYNC"]))),
    ("PING", 5, |r| maybe(r, value)),
    ("ECHO", 5, |r| vec![value(r)]),
    ("SELECT", 5, |r| vec![database(r)]),
    ("AUTH", 5, |r| [maybe(r, |r| word(r, &["default", "other"])), vec![password(r)]].concat()),
    ("HELLO", 5, hello),
    ("CLIENT", 6, client),
    ("COMMAND", 3, |r| vec![word(r, &["COUNT", "LIST", "nonsense"])]),
    ("CONFIG", 3, |r| vec![word(r, &["GET", "nonsense"]), value(r)]),
    ("INFO", 1, |r| maybe(r, |r| word(r, &["server", "clients", "keyspace", "none"]))),
    ("TIME", 2, |_| Vec::new()),
    ("RESET", 2, |_| Vec::new()),
    ("QUIT", 1, |r| maybe(r, value)),
    ("WATCH", 25, |r| many(r, 2, |r| key(r, Kind::List))),
    ("UNWATCH", 5, |_| Vec::new()),
    ("MULTI", 25, |_| Vec::new()),
    ("EXEC", 8, |_| Vec::new()),
    ("DISCARD", 4, |_| Vec::new()),
    ("NONSENSE", 5, |r| many(r, 4, value)),
];

fn keyed(random: &mut Random, kind: Kind, rest: fn(&mut Random) -> Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    [vec![key(random, kind)], rest(random)].concat()
}

/// From one of them to so many.
fn many<T>(random: &mut Random, most: u64, one: fn(&mut Random) -> T) -> Vec<T> {
    (0..=random.below(most)).map(|_| one(random)).collect()
}

fn maybe(random: &mut Random, one: fn(&mut Random) -> Vec<u8>) -> Vec<Vec<u8>> {
    if random.below(2) == 0 { Vec::new() } else { vec![one(random)] }
}

fn ends(random: &mut Random) -> Vec<Vec<u8>> {
    let words = ["LEFT", "RIGHT"];
    vec![word(random, &words), word(random, &words)]
}

fn set_options(random: &mut Random) -> Vec<Vec<u8>> {
    let count = random.below(6).saturating_sub(3);
    (0..count).map(|_| word(random, &["NX", "XX", "GET", "KEEPTTL", "nonsense"])).collect()
}

fn database(random: &mut Random) -> Vec<u8> {
    if random.below(2) == 0 { b"0".to_vec() } else { number(random) }
}

fn password(random: &mut Random) -> Vec<u8> {
    if random.below(3) == 0 { value(random) } else { b"secret".to_vec() }
}

/// `HELLO` for both protocols, with and without what else it takes.
fn hello(random: &mut Random) -> Vec<Vec<u8>> {
    let version = random.pick(&[&b"2"[..], b"3"]).to_vec();
    match random.below(5) {
        0 => Vec::new(),
        1 => vec![random.pick(&[&b"4"[..], b"1", b"x", b"", b"99999999999999999999"]).to_vec()],
        2 => vec![version, b"SETNAME".to_vec(), name(random)],
        3 => vec![version, word(random, &["AUTH", "SETNAME"]), b"default".to_vec(), password(random)],
        _ => vec![version],
    }
}

fn client(random: &mut Random) -> Vec<Vec<u8>> {
    match random.below(5) {
        0 => vec![b"ID".to_vec()],
        1 | 2 => vec![any_case(random, "SETNAME"), name(random)],
        3 => vec![any_case(random, "GETNAME")],
        _ => vec![word(random, &["nonsense", "ID", "GETNAME", "SETNAME"])],
    }
}

fn name(random: &mut Random) -> Vec<u8> {
    random.pick(&[&b"me"[..], b"", b"a b", b"a\nb", b"\xff", b"!~"]).to_vec()
}

/// A stream of so many commands.
pub fn stream(random: &mut Random, commands: usize, mix: Mix) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::with_capacity(commands);
    let mut in_transaction = [false; CONNECTIONS];
    let run_max = if mix == Mix::Locked { STRANGERS_RUN_MAX } else { RUN_COMMANDS_MAX };
    while steps.len() < commands {
        let connection = random.below(CONNECTIONS as u64) as usize;
        let run = if random.happens(SHORT_RUN_PPM) { 1 } else { 1 + random.below(run_max) };
        let mut bytes = 0;
        for _ in 0..run {
            let step = step(random, connection, &mut in_transaction[connection], mix);
            bytes += step.bytes().len();
            if bytes > RUN_BYTES_MAX && bytes > step.bytes().len() {
                break;
            }
            steps.push(step);
        }
    }
    steps.truncate(commands);
    steps
}

fn step(random: &mut Random, connection: usize, in_transaction: &mut bool, mix: Mix) -> Step {
    let (name, arguments) = match random.below(100) {
        // A transaction is of some commands; most locked clients log in at last.
        0..12 if *in_transaction => ("EXEC", Vec::new()),
        12..14 if mix == Mix::Locked => ("AUTH", vec![b"secret".to_vec()]),
        14..34 if mix == Mix::LargeHashes => ("HSET", large_field(random)),
        _ => match draw(random) {
            (name, _) if *in_transaction && is_own(mix, name) => ("PING", Vec::new()),
            drawn => drawn,
        },
    };
    let mut args = [vec![any_case(random, name)], arguments].concat();
    spoil(random, &mut args);
    if mix == Mix::Locked {
        // Redis allows strangers no more.
        args.truncate(10);
        args.iter_mut().for_each(|argument| argument.truncate(16 * 1024));
    }
    if matches!(name, "CLIENT" | "HELLO") {
        // The store takes no longer name of a client.
        args.iter_mut().for_each(|argument| argument.truncate(NAME_BYTES_MAX));
    }
    // In doubt it counts as open.
    *in_transaction = match name {
        "MULTI" => true,
        "EXEC" | "DISCARD" | "RESET" if args.len() == 1 => false,
        "QUIT" => false,
        _ => *in_transaction,
    };
    let inline = random.below(50) == 0 && args.iter().map(Vec::len).sum::<usize>() < INLINE_BYTES_MAX;
    Step { connection, args, inline }
}

/// One of many fields, which make a hash large.
fn large_field(random: &mut Random) -> Vec<Vec<u8>> {
    let field = format!("many{}", random.below(400)).into_bytes();
    vec![key(random, Kind::Hash), field, value(random)]
}

fn draw(random: &mut Random) -> (&'static str, Vec<Vec<u8>>) {
    let all = RECIPES.iter().map(|(_, weight, _)| weight).sum();
    let mut at = random.below(all);
    for (name, weight, make) in RECIPES {
        if at < *weight {
            return (name, make(random));
        }
        at -= weight;
    }
    ("PING", Vec::new())
}

/// Makes one of twelve commands wrong in one thing, or at least strange: an argument less, one more, or another.
fn spoil(random: &mut Random, args: &mut Vec<Vec<u8>>) {
    match random.below(36) {
        0 if args.len() > 1 => {
            args.pop();
        }
        1 => args.push(value(random)),
        2 if args.len() > 1 => {
            let at = 1 + random.below(args.len() as u64 - 1) as usize;
            args[at] = value(random);
        }
        _ => {}
    }
    if waits_long(args) {
        *args = vec![b"PING".to_vec()];
    }
}

/// Whether the last argument is a timeout that a test must not wait for, or a hexadecimal one, which the store
/// does not take.
fn waits_long(args: &[Vec<u8>]) -> bool {
    const LONGEST: f64 = 0.01;
    let blocks = [&b"BLPOP"[..], b"BRPOP", b"BLMOVE"].iter().any(|name| args[0].eq_ignore_ascii_case(name));
    let timeout = args.last().map(|timeout| String::from_utf8_lossy(timeout).to_ascii_lowercase());
    let timeout = timeout.unwrap_or_default();
    // What is slightly below zero counts as zero. Beyond any clock the timeout is refused.
    let is_long = |timeout| (-0.01..=0.0).contains(&timeout) || (LONGEST..9.3e15).contains(&timeout);
    blocks && (timeout.contains("0x") || timeout.parse().is_ok_and(is_long))
}
