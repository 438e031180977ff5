//! RESP requests, whole and in pieces: the same requests must be found, whatever the bytes, and within the
//! limits.
//!
//! The first byte of the input is the size of the pieces.

use wire::resp::{ARGS_MAX, ArgsBuffer, COMMAND_BYTES_MAX, FrameError, Framer};

/// The requests found in `input` when it arrives in pieces, and what ended them.
fn frames(input: &[u8], piece: usize) -> (Vec<Vec<Vec<u8>>>, Result<(), FrameError>) {
    let (mut framer, mut found, mut kept) = (Framer::new(), Vec::new(), ArgsBuffer::new());
    let (mut taken, mut seen) = (0, 0);
    loop {
        match framer.next(&input[taken..seen]) {
            Ok(Some(frame)) => {
                assert!(frame.bytes > 0 && frame.bytes <= COMMAND_BYTES_MAX && taken + frame.bytes <= seen);
                assert!(frame.args.len() <= ARGS_MAX);
                taken += frame.bytes;
                kept.push(frame.args.iter());
                let args: Vec<_> = frame.args.iter().map(<[u8]>::to_vec).collect();
                let copy = kept.get(kept.len() - 1).expect("just pushed");
                assert!(copy.iter().eq(args.iter().map(Vec::as_slice)));
                found.push(args);
            }
            Ok(None) if seen == input.len() => return (found, Ok(())),
            Ok(None) => seen = (seen + piece).min(input.len()),
            Err(error) => return (found, Err(error)),
        }
    }
}

/// Reads `bytes` as requests, whole and in pieces.
pub fn check(bytes: &[u8]) {
    let Some((piece, input)) = bytes.split_first() else { return };
    let whole = frames(input, input.len().max(1));
    assert_eq!(frames(input, usize::from(*piece).max(1)), whole);
    // By single bytes no request is read at once.
    assert_eq!(frames(input, 1), whole);
}
