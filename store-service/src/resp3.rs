//! RESP3 replies, for clients that asked for them with `HELLO 3`.
//!
//! Commands write RESP2. The parts that differ are rewritten afterwards: nulls, maps, and text with a type. See
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use alloc::vec::Vec;

use wire::Buffer;
use wire::resp::Digits;

use crate::command::Command;

const NULL: &[u8] = b"_\r\n";

/// Rewrites the reply to `command` that begins at `start` of `out`. No reply grows by more than a few bytes.
pub fn rewrite(out: &mut Buffer, start: usize, command: Command) {
    let reply = &out.as_slice()[start..];
    // Most replies are the same in both.
    let differs = match reply {
        [b'$', b'-', ..] | [b'*', ..] => true,
        [b'$', ..] => command == Command::Info,
        _ => false,
    };
    if !differs {
        return;
    }
    let reply = rewritten(reply, command);
    out.truncate(start);
    // The limit of replies leaves room for errors, which are longer.
    let _ = out.write(&reply);
}

/// An absent value.
pub fn null(out: &mut Buffer) {
    // The limit of replies leaves room for errors, which are longer.
    let _ = out.write(NULL);
}

fn rewritten(reply: &[u8], command: Command) -> Vec<u8> {
    let mut out = Vec::with_capacity(reply.len() + 16);
    let mut rest = reply;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, behind) = rest.split_at(end + 1);
        let number = line.get(1..end - 1).and_then(wire::resp::parse_integer);
        rest = behind;
        match (line[0], number) {
            (b'$' | b'*', Some(..0)) => out.extend_from_slice(NULL),
            (b'*', Some(count)) if is_map(command) && out.is_empty() => {
                head(&mut out, b'%', count.unsigned_abs() / 2);
            }
            (b'$', Some(length)) => {
                let text = command == Command::Info;
                let (kind, more) = if text { (b'=', 4) } else { (b'$', 0) };
                head(&mut out, kind, length.unsigned_abs() + more);
                out.extend_from_slice(if text { b"txt:" } else { b"" });
                let body = usize::try_from(length).map_or(rest.len(), |length| (length + 2).min(rest.len()));
                out.extend_from_slice(&rest[..body]);
                rest = &rest[body..];
            }
            _ => out.extend_from_slice(line),
        }
    }
    out
}

fn head(out: &mut Vec<u8>, kind: u8, number: u64) {
    out.push(kind);
    out.extend_from_slice(Digits::of_u64(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Whether the reply is names with values.
fn is_map(command: Command) -> bool {
    matches!(command, Command::HGetAll | Command::Config | Command::Hello)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(command: Command, reply: &[u8]) -> Vec<u8> {
        let mut out = Buffer::new(256);
        out.write(b"+before\r\n").expect("fits");
        out.write(reply).expect("fits");
        rewrite(&mut out, 9, command);
        out.as_slice().strip_prefix(b"+before\r\n").expect("untouched").to_vec()
    }

    #[test]
    fn nulls_maps_and_texts_have_their_own_kinds() {
        assert_eq!(of(Command::Get, b"$-1\r\n"), b"_\r\n");
        assert_eq!(of(Command::BLPop, b"*-1\r\n"), b"_\r\n");
        assert_eq!(of(Command::HMGet, b"*2\r\n$-1\r\n$4\r\n$-1\n\r\n"), b"*2\r\n_\r\n$4\r\n$-1\n\r\n");
        assert_eq!(of(Command::HGetAll, b"*2\r\n$1\r\nf\r\n$0\r\n\r\n"), b"%1\r\n$1\r\nf\r\n$0\r\n\r\n");
        assert_eq!(of(Command::HGetAll, b"*0\r\n"), b"%0\r\n");
        assert_eq!(of(Command::Hello, b"*2\r\n$1\r\nm\r\n*0\r\n"), b"%1\r\n$1\r\nm\r\n*0\r\n");
        assert_eq!(of(Command::Info, b"$3\r\na\r\n\r\n"), b"=7\r\ntxt:a\r\n\r\n");
        for same in [&b"$3\r\n$-1\r\n"[..], b":1\r\n", b"+OK\r\n", b"-ERR x\r\n", b"*1\r\n$1\r\na\r\n"] {
            assert_eq!(of(Command::LRange, same), same);
        }
    }
}
