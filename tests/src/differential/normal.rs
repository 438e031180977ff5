//! What may differ between the servers' replies: all of it, and nothing else.
//!
//! - The order of `HGETALL` where Redis keeps a hash in a hash table, in streams of [`Mix::LargeHashes`] only:
//!   that order depends on a random key of the process. A small hash (a listpack) has the order of insertion in
//!   both, and is compared as it comes.
//! - `TIME`, `INFO`, `CLIENT ID`, `COMMAND` and `CONFIG GET` tell of the server itself: only the kind of their
//!   replies is compared, as are the client's number and the version in `HELLO`. Streams have none of these in
//!   transactions, so that `EXEC` is compared whole.

use super::mix::Mix;
use super::step::Step;
use crate::redis::reply_bytes;

/// Whether two replies to a command are alike.
pub fn alike(mix: Mix, step: &Step, one: &[u8], other: &[u8]) -> bool {
    one == other || normal(mix, step, one) == normal(mix, step, other)
}

/// Whether a command tells of the server itself, or of an order that is its own.
pub fn is_own(mix: Mix, name: &str) -> bool {
    ["TIME", "INFO", "CLIENT", "COMMAND", "CONFIG", "HELLO"].contains(&name)
        || (mix == Mix::LargeHashes && name == "HGETALL")
}

fn normal(mix: Mix, step: &Step, reply: &[u8]) -> Vec<Vec<u8>> {
    let is_status = reply.starts_with(b"-") || reply.starts_with(b"+");
    match (step.name().as_str(), step.word(1).as_str()) {
        _ if is_status => vec![reply.to_vec()],
        ("time" | "info" | "command", _) | ("client", "id") | ("config", "get") => vec![reply[..1].to_vec()],
        ("hello", _) => without_own(reply),
        ("hgetall", _) if mix == Mix::LargeHashes => sorted_pairs(reply),
        _ => vec![reply.to_vec()],
    }
}

/// The elements of a flat array, as they came.
fn elements(reply: &[u8]) -> Vec<Vec<u8>> {
    let header = reply.iter().position(|byte| *byte == b'\n').map_or(reply.len(), |end| end + 1);
    let mut elements = vec![reply[..header].to_vec()];
    let mut rest = &reply[header..];
    while let Some(length) = reply_bytes(rest).filter(|length| *length > 0) {
        elements.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    elements
}

fn without_own(reply: &[u8]) -> Vec<Vec<u8>> {
    let mut elements = elements(reply);
    for name in ["$7\r\nversion\r\n", "$2\r\nid\r\n"] {
        let found = elements.iter().position(|element| element == name.as_bytes());
        if let Some(value) = found.and_then(|at| elements.get_mut(at + 1)) {
            value.truncate(1);
        }
    }
    elements
}

fn sorted_pairs(reply: &[u8]) -> Vec<Vec<u8>> {
    let elements = elements(reply);
    let mut pairs: Vec<Vec<u8>> = elements[1..].chunks(2).map(<[Vec<u8>]>::concat).collect();
    pairs.sort();
    pairs.push(elements[0].clone());
    pairs
}
