//! HTTP requests, whole and in pieces: the same requests must be found, whatever the bytes.
//!
//! The first byte of the input is the size of the pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::http::{Received, Response, Session, header_space};
use wire::{Buffer, Instant};

const BODY_BYTES_MAX: usize = 1024;
const BUFFER_BYTES: usize = 1 << 20;

/// A request in full, and its end in the input.
type Seen = (String, Vec<u8>, usize);

/// The requests found in `input` when it arrives in pieces, and whether one was refused.
fn serve(input: &[u8], piece: usize) -> (Vec<Seen>, bool) {
    let mut session = Session::new(BODY_BYTES_MAX, Instant::ZERO);
    let (mut arrived, mut output) = (Buffer::new(BUFFER_BYTES), Buffer::new(BUFFER_BYTES));
    let mut seen = Vec::new();
    let mut end = 0;
    let parts = input.chunks(piece).map(|part| (part, false)).chain([(&[][..], true)]);
    for (part, ended) in parts {
        if arrived.write(part).is_err() {
            return (seen, true);
        }
        loop {
            let mut space = header_space();
            match session.receive(arrived.as_slice(), ended, Instant::ZERO, &mut space, &mut output) {
                Received::Wait | Received::Ended => break,
                Received::Refused(refusal) => {
                    assert!(refusal.status() >= 400);
                    return (seen, true);
                }
                Received::Request { request, bytes, .. } => {
                    assert!(bytes <= arrived.len() && request.body.len() <= BODY_BYTES_MAX);
                    end += bytes;
                    let line = format!(
                        "{:?} {} {} {:?}",
                        request.method,
                        request.path,
                        request.query,
                        request.cookie("a")
                    );
                    seen.push((line, request.body.to_vec(), end));
                    arrived.consume(bytes);
                }
            }
            session.answer(&Response::text(200, "ok"), b"", Instant::ZERO, &mut output).expect("room");
            output.clear();
            if session.is_over() {
                return (seen, false);
            }
        }
    }
    (seen, false)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((piece, input)) = bytes.split_first() else { return };
    let whole = serve(input, input.len().max(1));
    assert_eq!(serve(input, usize::from(*piece).max(1)), whole);
});
