//! What is an entry, and what is none.

use super::*;
use alloc::format;
use alloc::string::String;

fn rejection(payload: &str) -> Option<EntryError> {
    Entry::parse(payload.as_bytes()).err()
}

#[test]
fn the_originals_votes_and_ours_are_read_without_a_copy() {
    let original = Entry::parse(br#"{"voter_id": "1f", "vote": "b"}"#).expect("a vote");
    assert_eq!((&*original.voter_id, original.choice, &*original.id), ("1f", Choice::B, ""));
    let ours = br#"{"voter_id":"00","vote":"a","id":"ff","at":[1,{"deep":null}],"vote2":"x"}"#;
    let ours = Entry::parse(ours).expect("a vote");
    assert_eq!((&*ours.voter_id, ours.choice, &*ours.id), ("00", Choice::A, "ff"));
    assert!(matches!((&ours.voter_id, &ours.id), (Cow::Borrowed(_), Cow::Borrowed(_))));
    assert_eq!(rejection(r#"{"voter_id":"x","vote":"a","id":null}"#), None);
}

#[test]
fn an_entry_is_written_as_workers_and_the_original_read_it() {
    for voter in ["0123456789abcdef0123456789abcdef", "1f2e3d4c5b6a798", "0"] {
        for (sequence, digits) in [(65_537, "00000000000000065537"), (u64::MAX, "18446744073709551615")] {
            let id = "fedcba9876543210fedcba9876543210";
            let entry = Entry { voter_id: voter.into(), choice: Choice::B, id: id.into(), sequence };
            let json = entry.to_json().expect("room");
            let expected = format!(r#"{{"voter_id":"{voter}","vote":"b","id":"{id}","seq":"{digits}"}}"#);
            assert_eq!(core::str::from_utf8(json.as_bytes()), Ok(&*expected));
            assert_eq!(Entry::parse(json.as_bytes()), Ok(entry));
        }
    }
    let voter_id = "x".repeat(EntryJson::BYTES_MAX).into();
    let long = Entry { voter_id, choice: Choice::A, id: "".into(), sequence: 0 };
    assert!(long.to_json().is_none());
}

#[test]
fn a_sequence_is_a_number_in_a_string() {
    let of = |seq: &str| {
        let payload = format!(r#"{{"voter_id":"x","vote":"a","seq":{seq}}}"#);
        Entry::parse(payload.as_bytes()).map(|vote| vote.sequence)
    };
    assert_eq!(of("null"), Ok(0));
    assert_eq!(of(r#""00000000000000065536""#), Ok(65_536));
    assert_eq!(of(r#""18446744073709551615""#), Ok(u64::MAX));
    for wrong in ["", "-1", "+1", "1.5", "x", "18446744073709551616", "000000000000000000001"] {
        assert_eq!(of(&format!(r#""{wrong}""#)), Err(EntryError::Sequence), "{wrong}");
    }
    assert_eq!(of("7"), Err(EntryError::Malformed), "a number would lose digits in JavaScript's hands");
}

#[test]
fn escapes_are_decoded_before_anything_is_compared() {
    let vote = Entry::parse(br#"{"voter_id":"\u00e9\"\n\ud83d\ude00","vote":"\u0061"}"#).expect("a vote");
    assert_eq!(vote.voter_id, "é\"\n😀");
    assert_eq!(vote.choice, Choice::A);
}

#[test]
fn lengths_are_counted_in_characters() {
    let of = |voter: &str, id: &str| format!(r#"{{"voter_id":"{voter}","vote":"a","id":"{id}"}}"#);
    let (full, over) = ("é".repeat(255), "é".repeat(256));
    assert_eq!(rejection(&of(&full, &full)), None);
    assert_eq!(rejection(&of(&"\\ud83d\\ude00".repeat(255), "")), None, "all escaped still fits");
    assert_eq!(rejection(&of(&over, "")), Some(EntryError::VoterId));
    assert_eq!(rejection(&of("", "")), Some(EntryError::VoterId));
    assert_eq!(rejection(&of("a\\u0000", "")), Some(EntryError::VoterId));
    assert_eq!(rejection(&of("x", &over)), Some(EntryError::Id));
    assert_eq!(rejection(&of("x", &"y".repeat(PAYLOAD_BYTES_MAX))), Some(EntryError::Oversized));
}

#[test]
fn whatever_is_not_a_vote_is_rejected() {
    for payload in [
        "",
        " ",
        "{",
        "null",
        "\"a\"",
        r#"["x","a"]"#,
        r#"{"vote":"a"}"#,
        r#"{"voter_id":"x"}"#,
        r#"{"voter_id":7,"vote":"a"}"#,
        r#"{"voter_id":"x","vote":"a"} x"#,
        r#"{"voter_id":"x","vote":"a","vote":"b"}"#,
        r#"{"voter_id":"\ud83d","vote":"a"}"#,
        r#"{"voter_id":"x","vote":"a","id":7}"#,
        "true",
        "1.5",
        r#"{"voter_id":null,"vote":"a"}"#,
        r#"{"voter_id":-7,"vote":"a"}"#,
        r#"{"voter_id":1e400,"vote":"a"}"#,
        r#"{"voter_id":"x","vote":true}"#,
        r#"{"voter_id":"x","vote":["a"]}"#,
        r#"{"voter_id":"x","vote":{"a":1}}"#,
        r#"{"voter_id":"x","vote":"a","seq":0.5}"#,
    ] {
        assert_eq!(rejection(payload), Some(EntryError::Malformed), "{payload}");
    }
    for vote in ["c", "A", "", "ab", " a"] {
        let payload = format!(r#"{{"voter_id":"x","vote":"{vote}"}}"#);
        assert_eq!(rejection(&payload), Some(EntryError::UnknownVote), "{payload}");
    }
    assert_eq!(Entry::parse(b"{\"voter_id\":\"\xff\",\"vote\":\"a\"}"), Err(EntryError::Malformed));
    let nested: String = core::iter::repeat_n('[', 4000).collect();
    let nested = format!(r#"{{"voter_id":"x","vote":"a","x":{nested}"#);
    assert_eq!(rejection(&nested), Some(EntryError::Malformed), "nesting does not exhaust the stack");
}
