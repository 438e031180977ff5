//! RESP replies: nothing may panic, a reply's parts are incomplete, and what was read is read again from what the
//! writers make of it.

use wire::Buffer;
use wire::buffer::Full;
use wire::resp::{REPLY_BYTES_MAX, Reply, parse_reply, write};

fn rewrite(out: &mut Buffer, reply: Reply<'_>) -> Result<(), Full> {
    match reply {
        Reply::Simple(text) => write::simple(out, text),
        Reply::Error(text) => write::error(out, text),
        Reply::Integer(value) => write::integer(out, value),
        Reply::Bulk(bytes) => write::bulk(out, bytes),
        Reply::Null => write::null(out),
        Reply::Oversized => unreachable!("nothing is skipped"),
        Reply::Array(mut items) => {
            write::array(out, items.len())?;
            items.try_for_each(|item| rewrite(out, item))
        }
    }
}

/// Elements in order; arrays compare by their elements, not by their bytes: `*-1` is written as `$-1`.
fn same(left: Reply<'_>, right: Reply<'_>) -> bool {
    match (left, right) {
        (Reply::Array(left), Reply::Array(right)) => {
            left.len() == right.len() && left.zip(right).all(|(left, right)| same(left, right))
        }
        // The writer makes blanks of line ends, so that an error cannot end early.
        (Reply::Error(left), Reply::Error(right)) => left.len() == right.len(),
        _ => left == right,
    }
}

/// Reads `bytes` as replies, whole and in pieces.
pub fn check(bytes: &[u8]) {
    let Ok(Some((reply, length))) = parse_reply(bytes) else { return };
    assert!(length > 0 && length <= bytes.len());
    for cut in [0, 1, length / 2, length - 1] {
        assert_eq!(parse_reply(&bytes[..cut]), Ok(None), "cut at {cut}");
    }
    let mut out = Buffer::new(2 * REPLY_BYTES_MAX);
    rewrite(&mut out, reply).expect("room");
    let (again, _) = parse_reply(out.as_slice()).expect("well formed").expect("complete");
    assert!(same(reply, again));
}
