//! The same bytes get the same answers, however they are cut, and a line without an end takes no memory.
//!
//! One test: all of the program's allocations are counted, so nothing else may run beside it.

use std::alloc::System;

use cap::Cap;
use exercise_09_1::{LINE_BYTES_MAX, Session};

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// What a session may take for a line that never ends.
const HEAP_BYTES_MAX: usize = 4 * 1024;
const DIALOGUE: &[u8] = b"ADD 3\nTOTAL\r\nWHAT\nADD 40\nTOTAL\n";
const ANSWERS: &str = "OK\n3\nERROR unknown command\nOK\n43\n";

/// What a new session answers to these pieces.
fn answers<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut session = Session::default();
    let mut output = Vec::new();
    pieces.into_iter().for_each(|piece| session.receive(piece, &mut output));
    String::from_utf8(output).expect("answers are text")
}

fn expect(answer: &str, expected: &str, when: &str, advice: &str) {
    assert!(answer == expected, "expected {expected:?} {when}; came {answer:?}: {advice}");
}

#[test]
fn judge() {
    whole_lines();
    cut_lines();
    long_lines();
    endless_line();
}

fn whole_lines() {
    let answer = answers(DIALOGUE.split_inclusive(|byte| *byte == b'\n'));
    expect(&answer, ANSWERS, "when each piece is a line", "leave `answer` as it was");
    let advice = "go on until the piece has no whole line left";
    expect(&answers([DIALOGUE]), ANSWERS, "when several lines arrive in one piece", advice);
}

fn cut_lines() {
    for at in 1..DIALOGUE.len() {
        let (first, second) = DIALOGUE.split_at(at);
        let when = format!("when the first piece ends with {:?}", String::from_utf8_lossy(first));
        let advice = "keep what has come of a line until its `\\n` comes";
        expect(&answers([first, second]), ANSWERS, &when, advice);
    }
    expect(
        &answers(DIALOGUE.chunks(1)),
        ANSWERS,
        "when every piece is one byte",
        "no piece but `\\n` ends a line",
    );
}

fn long_lines() {
    let longest = format!("{}\nTOTAL\n", "x".repeat(LINE_BYTES_MAX));
    let expected = "ERROR unknown command\n0\n";
    let advice = "64 bytes are not too long";
    expect(&answers([longest.as_bytes()]), expected, "for a line of exactly 64 bytes", advice);

    let long = format!("{}ADD 9\nTOTAL\n", "x".repeat(LINE_BYTES_MAX + 1));
    let expected = "ERROR line too long\n0\n";
    let advice =
        "remember that the line is too long until its `\\n`; its rest was taken for a line of its own";
    for bytes in [long.len(), LINE_BYTES_MAX + 1, LINE_BYTES_MAX, 1] {
        let when = format!("for a line of 70 bytes in pieces of {bytes}");
        expect(&answers(long.as_bytes().chunks(bytes)), expected, &when, advice);
    }
}

fn endless_line() {
    let mut session = Session::default();
    let mut output = Vec::with_capacity(256);
    let before = HEAP.allocated();
    for _ in 0..1_000 {
        session.receive(&[b'x'; 1_000], &mut output);
    }
    let taken = HEAP.allocated().saturating_sub(before);
    assert!(
        taken <= HEAP_BYTES_MAX,
        "expected at most {HEAP_BYTES_MAX} bytes of memory for a line that never ends; came {taken} after a million \
         bytes of it: what is more than {LINE_BYTES_MAX} bytes need not be kept to be refused"
    );
}
