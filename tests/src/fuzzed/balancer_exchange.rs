//! What a balancer follows of HTTP: whatever client and instance say, what is kept is bounded, what is repeated is all
//! that has no answer yet, and it does not matter in which pieces it came.
//!
//! The first byte of each piece says who speaks, and how long the piece is.

use segment::balancer::exchange::{ANSWER_HEAD_BYTES_MAX, Exchange, REQUEST_BYTES_MAX, Rescue};

/// Longest piece.
const PIECE_BYTES_MAX: usize = 127;

/// Plays the input's pieces.
pub fn check(bytes: &[u8]) {
    let (mut whole, mut cut) = (Exchange::default(), Exchange::default());
    let mut rest = bytes;
    let mut unanswered = Vec::new();
    while let Some((first, after)) = rest.split_first() {
        let length = usize::from(*first) & PIECE_BYTES_MAX;
        let (piece, later) = after.split_at(length.min(after.len()));
        rest = later;
        // A socket has nothing to read, or something.
        if piece.is_empty() {
            continue;
        }
        if *first > PIECE_BYTES_MAX as u8 {
            whole.answered(piece);
            piece.chunks(1).for_each(|byte| cut.answered(byte));
            unanswered.clear();
        } else {
            whole.sent(piece);
            piece.chunks(1).for_each(|byte| cut.sent(byte));
            unanswered.extend_from_slice(piece);
        }
        assert!(whole.kept().len() <= REQUEST_BYTES_MAX.max(ANSWER_HEAD_BYTES_MAX), "what is kept");
        if whole.rescue() == Rescue::Repeat {
            assert_eq!(whole.kept(), unanswered, "what is repeated has no answer, and is all of it");
        }
    }
    let seen = |exchange: &Exchange| (exchange.rescue(), exchange.is_under_way());
    assert_eq!(seen(&whole), seen(&cut), "in one piece and byte by byte");
}
