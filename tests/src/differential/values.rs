//! What random commands are made of: keys, values, numbers, words, good and bad ones.

use simulator::random::Random;

/// Longest value; a request of the store takes 64 KiB in all.
const BIG_BYTES_MAX: u64 = 40_000;

/// Keys of a type of their own, and others that any command may use; binary, empty and long ones included.
const LIST_KEYS: [&[u8]; 5] = [b"list", b"votes", b"l\r\n\0\xff", b"votes:processing", b"l"];
const HASH_KEYS: [&[u8]; 4] = [b"hash", b"results:a", b"h\0", b"h"];
const STRING_KEYS: [&[u8]; 4] = [b"string", b"counter", b"s\xf0\x9f", b"n"];
const ANY_KEYS: [&[u8]; 4] = [b"any", b"", b"other", &[b'k'; 300]];

/// Which keys a command likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    List,
    Hash,
    String,
    Any,
}

/// A key, mostly of this kind.
pub fn key(random: &mut Random, kind: Kind) -> Vec<u8> {
    let kind = match random.below(100) {
        0..84 => kind,
        84..88 => Kind::List,
        88..92 => Kind::Hash,
        92..96 => Kind::String,
        _ => Kind::Any,
    };
    match kind {
        Kind::List => random.pick(&LIST_KEYS),
        Kind::Hash => random.pick(&HASH_KEYS),
        Kind::String => random.pick(&STRING_KEYS),
        Kind::Any => random.pick(&ANY_KEYS),
    }
    .to_vec()
}

/// A value: mostly short and seen before, sometimes binary, seldom big.
pub fn value(random: &mut Random) -> Vec<u8> {
    match random.below(100) {
        0..50 => random.pick(&[&b"a"[..], b"b", b"c", b"{\"vote\":\"a\"}", b""]).to_vec(),
        50..75 => number(random),
        75..97 => bytes(random, 40),
        97..99 => bytes(random, 1_000),
        _ => bytes(random, BIG_BYTES_MAX),
    }
}

/// A field of a hash, one of few: a hash stays small.
pub fn field(random: &mut Random) -> Vec<u8> {
    match random.below(10) {
        0 => value_of_no_kind(random),
        _ => format!("field{}", random.below(30)).into_bytes(),
    }
}

fn value_of_no_kind(random: &mut Random) -> Vec<u8> {
    random.pick(&[&b""[..], b"\0", b"f\xff", b"1", b"01", &[b'f'; 100]]).to_vec()
}

/// A number, mostly; some are none, or only nearly.
pub fn number(random: &mut Random) -> Vec<u8> {
    const ODD: [&[u8]; 22] = [
        b"9223372036854775807",
        b"-9223372036854775808",
        b"9223372036854775808",
        b"-9223372036854775809",
        b"9223372036854775806",
        b"99999999999999999999999",
        b"4294967296",
        b"2147483648",
        b"-2147483649",
        b"01",
        b"+1",
        b"-0",
        b" 1",
        b"1 ",
        b"1.0",
        b"1e3",
        b"0x10",
        b"abc",
        b"",
        b"-",
        b"1\0",
        b"nan",
    ];
    match random.below(100) {
        0..80 => small(random).into_bytes(),
        _ => random.pick(&ODD).to_vec(),
    }
}

fn small(random: &mut Random) -> String {
    (i64::try_from(random.below(26)).unwrap_or(0) - 6).to_string()
}

/// A timeout after which a test need not wait long; some are none.
pub fn timeout(random: &mut Random) -> Vec<u8> {
    const ALL: [&[u8]; 26] = [
        b"0.001",
        b"0.001",
        b"0.002",
        b"1e-3",
        b"0.0001",
        b".001",
        b"+0.001",
        b"00.001",
        b"-1",
        b"-0.001",
        b"x",
        b"",
        b"nan",
        b"inf",
        b"-inf",
        b"infinity",
        b"1e400",
        b"9223372036854775807",
        b"9300000000000000",
        b"1e17",
        b"0.001x",
        b" 0.001",
        b"0.001 ",
        b"-1e-9x",
        b"9223370000000000",
        b"1\0",
    ];
    random.pick(&ALL).to_vec()
}

/// One of these words, in any case, or another one.
pub fn word(random: &mut Random, words: &[&str]) -> Vec<u8> {
    match random.below(20) {
        0 => value(random),
        1 => number(random),
        _ => any_case(random, random_word(random.clone(), words)),
    }
}

fn random_word<'a>(mut random: Random, words: &[&'a str]) -> &'a str {
    random.pick(words)
}

/// A word in upper, lower or mixed case.
pub fn any_case(random: &mut Random, word: &str) -> Vec<u8> {
    match random.below(8) {
        0 => word.to_ascii_lowercase(),
        1 => word
            .chars()
            .enumerate()
            .map(|(at, c)| if at % 2 == 0 { c.to_ascii_lowercase() } else { c })
            .collect(),
        _ => word.to_ascii_uppercase(),
    }
    .into_bytes()
}

/// Any bytes, at most so many.
fn bytes(random: &mut Random, most: u64) -> Vec<u8> {
    let length = random.below(most + 1);
    let binary = random.below(2) == 0;
    let byte = |random: &mut Random| {
        let byte = random.below(256) as u8;
        if binary { byte } else { b'!' + byte % 94 }
    };
    (0..length).map(|_| byte(random)).collect()
}
