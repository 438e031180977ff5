//! What a model of PostgreSQL keeps: the rows that are committed, and what each known statement makes of them.
//!
//! Reads no SQL. A statement is carried out as a whole or not at all, on what is committed, one after the other: what
//! PostgreSQL promises for single statements that lock their rows in one order.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use super::array;
use super::flaw::Flaw;
use super::statements::Known;

/// Codes of PostgreSQL (appendix A) that the model uses.
const UNDEFINED_TABLE: &str = "42P01";
const UNDEFINED_COLUMN: &str = "42703";
const INVALID_TEXT: &str = "22P02";
const ROW_TWICE: &str = "21000";

/// A refusal: its code.
pub type Refused = &'static str;
/// Rows of text; none is NULL.
pub type Rows = Vec<Vec<Option<String>>>;

/// A row of `votes`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Vote {
    vote: String,
    seq: Option<i128>,
    generation: Option<i64>,
}

/// All that is committed. A clone is a copy that can be put back.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// By voter.
    votes: Option<BTreeMap<String, Vote>>,
    /// `votes` has the columns beyond the original's.
    is_extended: bool,
    /// Generations by epoch.
    epochs: Option<BTreeMap<String, i64>>,
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
        let (votes, epochs) = match known {
            Known::Create | Known::CreateEpochs => (false, false),
            Known::Extend | Known::Count => (true, false),
            Known::Record | Known::Register => (true, true),
            Known::Forget => (false, true),
        };
        if (votes && self.votes.is_none()) || (epochs && self.epochs.is_none()) {
            return Err(UNDEFINED_TABLE);
        }
        let is_narrow = !self.is_extended && matches!(known, Known::Record | Known::Register);
        if is_narrow { Err(UNDEFINED_COLUMN) } else { Ok(()) }
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
        match (known, parameters) {
            (Known::Create, []) => drop(self.votes.get_or_insert_default()),
            (Known::CreateEpochs, []) => drop(self.epochs.get_or_insert_default()),
            (Known::Extend, []) => self.is_extended = true,
            (Known::Record, parameters) => return self.record(parameters, flaw),
            (Known::Register, [epochs, last]) => self.register(&texts(epochs)?, number(last)?),
            (Known::Forget, [kept]) => self.forget(number(kept)?),
            (Known::Count, []) => return Ok(self.count()),
            _ => return Err(INVALID_TEXT),
        }
        Ok(Rows::new())
    }

    fn last_generation(&self) -> i64 {
        let of_votes = || self.votes.iter().flatten().filter_map(|(_, row)| row.generation).max();
        self.epochs.iter().flatten().map(|(_, generation)| *generation).max().or_else(of_votes).unwrap_or(0)
    }

    /// Places, from 1, and generations of those among `epochs` that are known.
    fn known(&self, epochs: &[String]) -> Vec<(i64, i64)> {
        let generation = |epoch| self.epochs.as_ref().and_then(|known| known.get(epoch).copied());
        (1..).zip(epochs).filter_map(|(place, epoch)| Some((place, generation(epoch)?))).collect()
    }

    fn record(&mut self, parameters: &[Vec<u8>], flaw: Option<Flaw>) -> Result<Rows, Refused> {
        let [ids, votes, sequences, places, epochs] = parameters else { return Err(INVALID_TEXT) };
        let (ids, votes, known) = (texts(ids)?, texts(votes)?, self.known(&texts(epochs)?));
        let (sequences, places) = (numbers::<i128>(sequences)?, numbers::<i64>(places)?);
        if ids.iter().collect::<BTreeSet<_>>().len() < ids.len() {
            return Err(ROW_TWICE);
        }
        let last_known = known.iter().map(|(place, _)| *place).max().unwrap_or(0);
        if places.iter().flatten().any(|place| *place > last_known) && flaw != Some(Flaw::EpochsIgnored) {
            return Ok(vec![vec![None, Some(self.last_generation().to_string())]]);
        }
        let generation = |place: &i64| {
            let up_to = known.iter().filter(|(other, _)| other <= place);
            if flaw == Some(Flaw::EpochsIgnored) {
                0
            } else {
                up_to.map(|(_, number)| *number).max().unwrap_or(0)
            }
        };
        let table = self.votes.get_or_insert_default();
        let mut changed = Rows::new();
        for (((id, vote), seq), place) in ids.into_iter().zip(votes).zip(sequences).zip(&places) {
            let new = Vote { vote, seq, generation: place.as_ref().map(generation) };
            let row = match table.get(&id) {
                None => new,
                Some(old) if overrides(&new, old) || flaw == Some(Flaw::NoGuard) => merge(new, old, flaw),
                Some(_) => continue,
            };
            table.insert(id.clone(), row);
            changed.push(vec![Some(id), None]);
        }
        Ok(changed)
    }

    fn register(&mut self, epochs: &[String], last: i64) {
        if last != self.last_generation() {
            return;
        }
        let last_known = self.known(epochs).iter().map(|(place, _)| *place).max().unwrap_or(0);
        let new = (1..).zip(epochs).filter(|(place, _)| *place > last_known);
        let table = self.epochs.get_or_insert_default();
        for ((_, epoch), generation) in new.zip(last + 1..) {
            table.insert(epoch.clone(), generation);
        }
    }

    fn forget(&mut self, kept: i64) {
        let Some(table) = &mut self.epochs else { return };
        let last = table.values().max().copied().unwrap_or(0);
        table.retain(|_, generation| *generation > last - kept);
    }

    fn count(&self) -> Rows {
        let mut counts = BTreeMap::<&str, u64>::new();
        self.votes().filter(|(_, vote)| ["a", "b"].contains(vote)).for_each(|(_, vote)| {
            *counts.entry(vote).or_default() += 1;
        });
        counts.into_iter().map(|(vote, count)| vec![Some(vote.to_owned()), Some(count.to_string())]).collect()
    }
}

/// The condition of the statement: the later generation, in one generation the larger sequence, or no order.
fn overrides(new: &Vote, old: &Vote) -> bool {
    let place = |row: &Vote, seq: i128| (row.generation.unwrap_or(0), seq);
    let Some(seq) = new.seq else { return false };
    seq <= 0
        || (new.generation.is_none() && old.generation.is_some_and(|generation| generation > 0))
        || place(new, seq) > place(old, old.seq.map_or(0, i128::abs))
}

/// What becomes of a row that is overridden.
fn merge(new: Vote, old: &Vote, flaw: Option<Flaw>) -> Vote {
    let abs = |seq: Option<i128>| seq.map(i128::abs);
    let seq = match new.generation.unwrap_or(0).cmp(&old.generation.unwrap_or(0)) {
        _ if flaw == Some(Flaw::SequenceForgotten) => old.seq,
        std::cmp::Ordering::Greater => abs(new.seq),
        std::cmp::Ordering::Equal => abs(new.seq).max(abs(old.seq)),
        std::cmp::Ordering::Less => old.seq,
    };
    Vote { vote: new.vote, seq, generation: new.generation.max(old.generation) }
}

fn texts(array: &[u8]) -> Result<Vec<String>, Refused> {
    array::parse(array).and_then(|elements| elements.into_iter().collect()).ok_or(INVALID_TEXT)
}

fn numbers<T: FromStr>(array: &[u8]) -> Result<Vec<Option<T>>, Refused> {
    let number =
        |element: Option<String>| element.map(|text| text.parse().map_err(|_| INVALID_TEXT)).transpose();
    array::parse(array).ok_or(INVALID_TEXT)?.into_iter().map(number).collect()
}

fn number(text: &[u8]) -> Result<i64, Refused> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(INVALID_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables that are made, and know these epochs.
    fn tables(epochs: &str) -> Tables {
        let mut tables = Tables::default();
        assert_eq!(tables.execute(Known::Record, &[], None), Err(UNDEFINED_TABLE));
        for known in [Known::Create, Known::CreateEpochs] {
            tables.execute(known, &[], None).expect("made");
        }
        assert_eq!(tables.prepare(Known::Record), Err(UNDEFINED_COLUMN));
        tables.execute(Known::Extend, &[], None).expect("extended");
        register(&mut tables, epochs, "0");
        tables
    }

    fn register(tables: &mut Tables, epochs: &str, last: &str) {
        tables.execute(Known::Register, &[epochs.into(), last.into()], None).expect("numbers");
    }

    fn record(tables: &mut Tables, vote: &str, seq: &str, place: &str, epochs: &str) -> Rows {
        let columns = ["{\"x\"}", &format!("{{\"{vote}\"}}"), &format!("{{\"{seq}\"}}"), place, epochs];
        tables
            .execute(Known::Record, &columns.map(|column| column.as_bytes().to_vec()), None)
            .expect("tables")
    }

    #[test]
    fn the_larger_sequence_counts_and_before_it_the_later_epoch() {
        let mut tables = tables("{\"one\"}");
        let changed = vec![vec![Some("x".to_owned()), None]];
        assert_eq!(record(&mut tables, "a", "7", "{1}", "{\"one\"}"), changed);
        assert_eq!(record(&mut tables, "b", "7", "{1}", "{\"one\"}"), Rows::new());
        let unknown = vec![vec![None, Some("1".to_owned())]];
        assert_eq!(record(&mut tables, "b", "2", "{1}", "{\"two\"}"), unknown, "nothing was done");
        register(&mut tables, "{\"two\"}", "0");
        assert_eq!(record(&mut tables, "b", "2", "{1}", "{\"two\"}"), unknown, "the last was not that");
        register(&mut tables, "{\"two\"}", "1");
        assert_eq!(record(&mut tables, "b", "2", "{1}", "{\"two\"}"), changed);
        assert_eq!(record(&mut tables, "a", "9", "{1}", "{\"one\"}"), Rows::new(), "it is older");
        assert_eq!(record(&mut tables, "a", "-0", "{1}", "{\"one\"}"), changed, "without an order, the last");
        assert_eq!(
            tables.execute(Known::Count, &[], None),
            Ok(vec![vec![Some("a".into()), Some("1".into())]])
        );
        tables.execute(Known::Forget, &[b"1".to_vec()], None).expect("a number");
        assert_eq!(tables.epochs.expect("made").into_iter().collect::<Vec<_>>(), [("two".to_owned(), 2)]);
    }

    #[test]
    fn a_voter_stands_in_a_statement_once() {
        let twice = ["{\"x\",\"x\"}", "{\"a\",\"b\"}", "{1,2}", "{NULL,NULL}", "{}"];
        let columns = twice.map(|column| column.as_bytes().to_vec());
        assert_eq!(tables("{}").execute(Known::Record, &columns, None), Err(ROW_TWICE));
    }
}
