//! What a model of PostgreSQL keeps: the rows that are committed, and what each known statement makes of them.
//!
//! Reads no SQL: a statement is known by its text, and one that is not known is a complaint, not an error that a
//! client could take for an answer. Whoever changes a statement of the services changes it here as well.
//!
//! A statement is carried out as a whole or not at all, on what is committed, one after the other: what PostgreSQL
//! promises for single statements that lock their rows in one order.

use std::collections::BTreeMap;

use super::Flaw;

/// Codes of PostgreSQL (appendix A) that the model uses.
pub const UNDEFINED_TABLE: &str = "42P01";
const UNDEFINED_COLUMN: &str = "42703";
const INVALID_TEXT: &str = "22P02";

/// A refusal: its code.
pub type Refused = &'static str;
/// Rows of text.
pub type Rows = Vec<Vec<String>>;

/// A row of `votes`, by voter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// What counts.
    pub vote: String,
    seq: Option<i128>,
}

/// All that is committed. A clone is a copy that can be put back.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    votes: Option<BTreeMap<String, Vote>>,
    has_seq: bool,
}

/// A statement that the services are known to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Create,
    Extend,
    Record,
    Count,
}

impl Known {
    /// The statement with this text, however its words are spaced.
    pub fn find(sql: &str) -> Option<Self> {
        let text = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(match text.as_str() {
            "CREATE TABLE IF NOT EXISTS votes (id VARCHAR(255) NOT NULL UNIQUE, vote VARCHAR(255) NOT NULL)" => {
                Self::Create
            }
            "ALTER TABLE votes ADD COLUMN IF NOT EXISTS seq NUMERIC(20)" => Self::Extend,
            "INSERT INTO votes AS old (id, vote, seq) SELECT * FROM unnest($1::text[], $2::text[], $3::numeric[]) \
             ORDER BY 1 ON CONFLICT (id) DO UPDATE SET vote = excluded.vote, \
             seq = greatest(abs(excluded.seq), abs(old.seq)) \
             WHERE excluded.seq <= 0 OR excluded.seq > coalesce(abs(old.seq), 0) RETURNING id" => {
                Self::Record
            }
            "SELECT vote, COUNT(id) AS count FROM votes WHERE vote IN ('a', 'b') GROUP BY vote" => {
                Self::Count
            }
            _ => return None,
        })
    }
}

impl Tables {
    /// Voters and what counts for them.
    pub fn votes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.votes.iter().flatten().map(|(voter, row)| (voter.as_str(), row.vote.as_str()))
    }

    /// Whether a statement names a table or a column that is not there; PostgreSQL says so when it is prepared.
    ///
    /// # Errors
    /// The code.
    pub fn prepare(&self, known: Known) -> Result<(), Refused> {
        match known {
            Known::Create => Ok(()),
            _ if self.votes.is_none() => Err(UNDEFINED_TABLE),
            Known::Record if !self.has_seq => Err(UNDEFINED_COLUMN),
            _ => Ok(()),
        }
    }

    /// Carries a statement out, with a deliberate bug if there is to be one.
    ///
    /// # Errors
    /// The code; nothing has changed.
    pub fn execute(
        &mut self,
        known: Known,
        parameters: &[Vec<u8>],
        flaw: Option<Flaw>,
    ) -> Result<Rows, Refused> {
        self.prepare(known)?;
        match known {
            Known::Create => {
                self.votes.get_or_insert_default();
                Ok(Rows::new())
            }
            Known::Extend => {
                self.has_seq = true;
                Ok(Rows::new())
            }
            Known::Record => self.record(parameters, flaw),
            Known::Count => Ok(self.count()),
        }
    }

    fn record(&mut self, parameters: &[Vec<u8>], flaw: Option<Flaw>) -> Result<Rows, Refused> {
        let columns: Vec<_> =
            parameters.iter().map(|text| array(text)).collect::<Option<_>>().ok_or(INVALID_TEXT)?;
        let [ids, votes, sequences] = &columns[..] else { return Err(INVALID_TEXT) };
        let sequences: Vec<i128> =
            sequences.iter().map(|text| text.parse().ok()).collect::<Option<_>>().ok_or(INVALID_TEXT)?;
        let table = self.votes.get_or_insert_default();
        let mut changed = Rows::new();
        for ((id, vote), seq) in ids.iter().zip(votes).zip(sequences) {
            let old = table.get(id).map(|row| row.seq);
            let known = old.flatten().map_or(0, i128::abs);
            if old.is_none() {
                table.insert(id.clone(), Vote { vote: vote.clone(), seq: Some(seq) });
            } else if seq <= 0 || seq > known || flaw == Some(Flaw::NoGuard) {
                let kept = if flaw == Some(Flaw::SequenceForgotten) { known } else { seq.abs().max(known) };
                table.insert(id.clone(), Vote { vote: vote.clone(), seq: Some(kept) });
            } else {
                continue;
            }
            changed.push(vec![id.clone()]);
        }
        Ok(changed)
    }

    fn count(&self) -> Rows {
        let mut counts = BTreeMap::<&str, u64>::new();
        self.votes().filter(|(_, vote)| ["a", "b"].contains(vote)).for_each(|(_, vote)| {
            *counts.entry(vote).or_default() += 1;
        });
        counts.into_iter().map(|(vote, count)| vec![vote.to_owned(), count.to_string()]).collect()
    }
}

/// The elements of an array literal of one dimension whose elements are all quoted.
fn array(text: &[u8]) -> Option<Vec<String>> {
    let mut rest = std::str::from_utf8(text).ok()?.strip_prefix('{')?.strip_suffix('}')?.chars().peekable();
    let mut elements = Vec::new();
    while rest.peek().is_some() {
        if !elements.is_empty() && rest.next()? != ',' {
            return None;
        }
        if rest.next()? != '"' {
            return None;
        }
        let mut element = String::new();
        loop {
            match rest.next()? {
                '"' => break,
                '\\' => element.push(rest.next()?),
                other => element.push(other),
            }
        }
        elements.push(element);
    }
    Some(elements)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(tables: &mut Tables, voter: &str, vote: &str, seq: &str) -> usize {
        let quoted = |value: &str| format!("{{\"{value}\"}}").into_bytes();
        tables
            .execute(Known::Record, &[quoted(voter), quoted(vote), quoted(seq)], None)
            .expect("a table")
            .len()
    }

    #[test]
    fn the_larger_sequence_counts() {
        let mut tables = Tables::default();
        assert_eq!(tables.execute(Known::Record, &[], None), Err(UNDEFINED_TABLE));
        tables.execute(Known::Create, &[], None).expect("made");
        assert_eq!(tables.prepare(Known::Record), Err(UNDEFINED_COLUMN));
        tables.execute(Known::Extend, &[], None).expect("extended");
        assert_eq!(record(&mut tables, "x", "a", "7"), 1);
        assert_eq!(record(&mut tables, "x", "b", "7"), 0);
        assert_eq!(record(&mut tables, "x", "b", "-0"), 1, "without an order, the last counts");
        assert_eq!(record(&mut tables, "x", "a", "7"), 0);
        assert_eq!(tables.execute(Known::Count, &[], None), Ok(vec![vec!["b".to_owned(), "1".to_owned()]]));
    }

    #[test]
    fn arrays_are_read_as_they_are_written() {
        assert_eq!(array(br#"{"a\"b\\c,{}","x"}"#), Some(vec!["a\"b\\c,{}".to_owned(), "x".to_owned()]));
        assert_eq!(array(b"{}"), Some(Vec::new()));
        for wrong in [&b"{\"a\""[..], b"{a}", b"{\"a\"\"b\"}", b"\"a\""] {
            assert_eq!(array(wrong), None);
        }
    }
}
