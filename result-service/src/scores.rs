//! How many voters each option has, and how that is put into words.
//!
//! Pure arithmetic and text; `assets/app.js` does the same in the browser.

use alloc::string::String;

use alloc::format;

/// One count for each option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scores {
    /// Voters whose last choice is the first option.
    pub a: u64,
    /// Voters whose last choice is the second option.
    pub b: u64,
}

impl Scores {
    /// Voters altogether.
    pub fn total(self) -> u64 {
        self.a.saturating_add(self.b)
    }

    /// Shares of the two options in tenths of a percent; they sum to 1,000. Halves when nobody voted.
    pub fn shares_tenths(self) -> (u64, u64) {
        let total = u128::from(self.total());
        if total == 0 {
            return (500, 500);
        }
        let rounded = (u128::from(self.a) * 1000 + total / 2) / total;
        let a = u64::try_from(rounded).unwrap_or(1000).min(1000);
        (a, 1000 - a)
    }

    /// `{"a":2,"b":1}`: the event's data.
    pub fn event_json(self) -> String {
        format!("{{\"a\":{},\"b\":{}}}", self.a, self.b)
    }

    /// `{"a":2,"b":1,"total":3}`: the body of `/api/scores`.
    pub fn api_json(self) -> String {
        format!("{{\"a\":{},\"b\":{},\"total\":{}}}\n", self.a, self.b, self.total())
    }

    /// The sentence under the page's numbers.
    pub fn summary(self) -> String {
        match self.total() {
            0 => String::from("No votes yet"),
            total => votes(total),
        }
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
        let (a, b) = Scores { a, b }.shares_tenths();
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
        let summary = |a, b| Scores { a, b }.summary();
        assert_eq!(summary(0, 0), "No votes yet");
        assert_eq!(summary(0, 1), "1 vote");
        assert_eq!(summary(2, 1), "3 votes");
        assert_eq!(votes(0), "0 votes");
    }

    #[test]
    fn json_is_what_clients_of_the_original_read() {
        let scores = Scores { a: 2, b: 1 };
        assert_eq!(scores.event_json(), r#"{"a":2,"b":1}"#);
        assert_eq!(scores.api_json(), "{\"a\":2,\"b\":1,\"total\":3}\n");
    }
}
