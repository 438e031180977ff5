//! The number of voters for each option, and texts about it.
//!
//! This is arithmetic and text only; `assets/app.js` does the same in the browser.

use alloc::format;
use alloc::string::String;

use serde::Serialize;
use votes::{Scores, json};

/// Shares of the two options in tenths of a percent; they sum to 1,000. Halves when nobody voted.
pub fn shares_tenths(scores: Scores) -> (u64, u64) {
    let total = u128::from(scores.total());
    if total == 0 {
        return (500, 500);
    }
    let rounded = (u128::from(scores.a) * 1000 + total / 2) / total;
    let a = u64::try_from(rounded).unwrap_or(1000).min(1000);
    (a, 1000 - a)
}

/// `{"a":2,"b":1,"total":3}`: the body of `/api/scores`.
pub fn api_json(Scores { a, b }: Scores) -> String {
    #[derive(Serialize)]
    struct Body {
        a: u64,
        b: u64,
        total: u64,
    }
    json::to_string(&Body { a, b, total: Scores { a, b }.total() }) + "\n"
}

/// The sentence under the page's numbers.
pub fn summary(scores: Scores) -> String {
    match scores.total() {
        0 => String::from("No votes yet"),
        total => votes(total),
    }
}

/// `0 votes`, `1 vote`, `2 votes`.
pub fn votes(count: u64) -> String {
    if count == 1 { String::from("1 vote") } else { format!("{count} votes") }
}

/// `66.7` for 667.
pub fn percent(tenths: u64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(a: u64, b: u64) -> (String, String) {
        let (a, b) = shares_tenths(Scores { a, b });
        (percent(a), percent(b))
    }

    #[test]
    fn shares_always_sum_to_a_hundred() {
        for (a, b, expected) in [
            (0, 0, ("50.0", "50.0")),
            (2000, 1000, ("66.7", "33.3")),
            (1, 0, ("100.0", "0.0")),
            (0, 7, ("0.0", "100.0")),
            (1, 7, ("12.5", "87.5")),
            (1, 5, ("16.7", "83.3")),
            (u64::MAX, u64::MAX, ("100.0", "0.0")),
        ] {
            let (share_a, share_b) = shares(a, b);
            assert_eq!((share_a.as_str(), share_b.as_str()), expected, "{a} and {b}");
        }
    }

    #[test]
    fn counts_are_put_into_words() {
        let summary = |a, b| summary(Scores { a, b });
        assert_eq!(summary(0, 0), "No votes yet");
        assert_eq!(summary(0, 1), "1 vote");
        assert_eq!(summary(2, 1), "3 votes");
        assert_eq!(votes(0), "0 votes");
    }

    #[test]
    fn json_is_what_clients_of_the_original_read() {
        let scores = Scores { a: 2, b: 1 };
        assert_eq!(json::to_string(&scores), r#"{"a":2,"b":1}"#);
        assert_eq!(api_json(scores), "{\"a\":2,\"b\":1,\"total\":3}\n");
    }
}
