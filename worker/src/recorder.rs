//! The results in PostgreSQL: one statement for the votes of a part, and a table that is made when it is missing.
//!
//! Knows nothing of the queue. The table is the original's, `votes (id, vote)`, with one column more, which its
//! readers and writers need not know: the sequence of the vote that counts.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use kernel_app::database_client::{DatabaseClient, DatabaseLogin, NotSent, Outcome, ServerError, Statement};
use kernel_app::network::Unreachable;
use kernel_app::{ConnectionId, Context, Instant, Usage};

use crate::mover::RecordFault;
use crate::part::Part;
use crate::payload::Choice;

/// Where the database is.
const SETTING: &str = "RESULTS_URL";
/// Nobody knows what became of it; that it comes again does no harm.
const UNHEARD: &str = "RESULTS_URL: the database has not answered: is it running?";
const BUSY: &str = "RESULTS_URL: the database is busy: what was sent before has not left yet";
/// How long the database may take for a part.
pub const RECORD_WITHIN: Duration = Duration::from_secs(2);

/// In the order of names, so that no two workers wait for each other's rows. Of two votes the one with the larger sequence counts; one without a sequence counts when it comes, which its
/// sign says: a sequence that is not above zero is the largest that is known of its voter. The names of those for
/// whom something has changed come back.
const RECORD: Statement = Statement {
    name: "record",
    sql: "INSERT INTO votes AS old (id, vote, seq) \
          SELECT * FROM unnest($1::text[], $2::text[], $3::numeric[]) \
          ORDER BY 1 \
          ON CONFLICT (id) DO UPDATE \
          SET vote = excluded.vote, seq = greatest(abs(excluded.seq), abs(old.seq)) \
          WHERE excluded.seq <= 0 OR excluded.seq > coalesce(abs(old.seq), 0) \
          RETURNING id",
};
const CREATE: Statement = Statement {
    name: "create",
    sql: "CREATE TABLE IF NOT EXISTS votes (id VARCHAR(255) NOT NULL UNIQUE, vote VARCHAR(255) NOT NULL)",
};
const EXTEND: Statement =
    Statement { name: "extend", sql: "ALTER TABLE votes ADD COLUMN IF NOT EXISTS seq NUMERIC(20)" };

/// There is no such table; no such column.
const NOT_PREPARED: [&[u8; 5]; 2] = [b"42P01", b"42703"];
/// Somebody else has just made it: as a table, as a column, as its type.
const MADE_MEANWHILE: [&[u8; 5]; 3] = [b"42P07", b"42701", b"23505"];

/// What the database was asked for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Record(u64),
    Create,
    Extend,
}

/// What became of the votes that were to be recorded.
#[derive(Debug)]
pub struct News {
    /// The number of [`Recorder::record`].
    pub serial: u64,
    /// The voters for whom the results have changed.
    pub outcome: Result<BTreeSet<Vec<u8>>, RecordFault>,
}

/// See the module.
#[derive(Debug)]
pub struct Recorder {
    client: DatabaseClient<Asked>,
    progress: Progress,
}

/// Beside the client, whose callbacks need it.
#[derive(Debug, Default)]
struct Progress {
    /// The number of the votes that are under way.
    serial: Option<u64>,
    news: Option<News>,
    /// The table is not as it must be.
    prepare: bool,
    /// It was made, and nothing has been recorded since: once more would be no use.
    prepared: bool,
}

impl Recorder {
    /// A recorder that is not connected yet.
    pub fn new(login: DatabaseLogin) -> Self {
        Self { client: DatabaseClient::new(login), progress: Progress::default() }
    }

    /// Whether this is the connection to the database.
    pub fn is(&self, id: ConnectionId) -> bool {
        self.client.is(id)
    }

    /// The database was reached.
    pub fn opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.client.opened(id, context);
    }

    /// The database could not be reached.
    pub fn unreachable(&mut self, reason: Unreachable) {
        self.client.unreachable(reason);
    }

    /// The database has answered.
    pub fn ready(&mut self, context: &mut Context<'_>) {
        let Self { client, progress } = self;
        client.ready(context, |asked, outcome, _| progress.note(asked, outcome));
        self.prepare(context);
    }

    /// The database is gone.
    pub fn closed(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        let Self { client, progress } = self;
        client.closed(id, context, |asked, outcome, _| progress.note(asked, outcome));
    }

    /// Gives up on what the database has left waiting.
    pub fn turn(&mut self, context: &mut Context<'_>) {
        let Self { client, progress } = self;
        client.turn(context, |asked, outcome, _| progress.note(asked, outcome));
    }

    /// When [`Recorder::turn`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.client.next_deadline()
    }

    /// Whether votes can be recorded.
    ///
    /// # Errors
    /// Why not.
    pub fn readiness(&self) -> Result<(), String> {
        self.client.readiness()
    }

    /// How much of what is bounded here is in use.
    pub fn usages(&self, tell: &mut dyn FnMut(Usage)) {
        self.client.usages(tell);
    }

    /// Writes the votes of a part, unless some are under way already; what becomes of them is news under that
    /// number.
    pub fn record(&mut self, serial: u64, part: &Part, context: &mut Context<'_>) {
        if self.progress.serial.is_some() || self.progress.news.is_some() {
            return;
        }
        let [ids, votes, sequences] = columns(part);
        let sent = self.client.send(
            &RECORD,
            &[&ids, &votes, &sequences],
            Asked::Record(serial),
            RECORD_WITHIN,
            context,
        );
        self.progress.serial = Some(serial);
        if sent.is_err() {
            self.progress.fail(self.reason());
        }
    }

    /// What became of votes, once.
    pub fn take_news(&mut self) -> Option<News> {
        self.progress.news.take()
    }

    /// Why nothing could be sent.
    fn reason(&self) -> String {
        self.readiness().err().unwrap_or_else(|| BUSY.to_owned())
    }

    /// Makes the table what it must be.
    fn prepare(&mut self, context: &mut Context<'_>) {
        if !core::mem::take(&mut self.progress.prepare) {
            return;
        }
        log::info!("the database has no table for votes as it must be: making it");
        for (statement, asked) in [(&CREATE, Asked::Create), (&EXTEND, Asked::Extend)] {
            if self.client.send(statement, &[], asked, RECORD_WITHIN, context) == Err(NotSent) {
                return self.progress.fail(self.reason());
            }
        }
    }
}

impl Progress {
    fn note(&mut self, asked: Asked, outcome: Outcome<'_>) {
        match (asked, outcome) {
            (Asked::Record(serial), outcome) if self.serial == Some(serial) => self.recorded(outcome),
            (Asked::Record(_), _) => {}
            (Asked::Create | Asked::Extend, Outcome::Refused(error))
                if !is_among(&MADE_MEANWHILE, &error) =>
            {
                self.fail(told(&error));
            }
            (Asked::Create | Asked::Extend, Outcome::Overdue | Outcome::Lost) => {
                self.fail(UNHEARD.to_owned())
            }
            (Asked::Create, _) => {}
            // Nothing is under way now: the votes are sent again.
            (Asked::Extend, _) => (self.serial, self.prepared) = (None, true),
        }
    }

    fn recorded(&mut self, outcome: Outcome<'_>) {
        match outcome {
            Outcome::Refused(error) if is_among(&NOT_PREPARED, &error) && !self.prepared => {
                self.prepare = true
            }
            Outcome::Refused(error) if is_of_content(&error) => {
                log::warn!("{}", told(&error));
                self.end(Err(RecordFault::Content));
            }
            Outcome::Refused(error) => self.fail(told(&error)),
            Outcome::Overdue | Outcome::Lost => self.fail(UNHEARD.to_owned()),
            Outcome::Done(rows) => {
                let ids = rows.filter_map(|row| row.column(0).map(<[u8]>::to_vec));
                self.end(Ok(ids.collect()));
            }
        }
    }

    fn fail(&mut self, reason: String) {
        self.end(Err(RecordFault::Trouble(reason)));
    }

    fn end(&mut self, outcome: Result<BTreeSet<Vec<u8>>, RecordFault>) {
        self.prepared = false;
        if let Some(serial) = self.serial.take() {
            self.news = Some(News { serial, outcome });
        }
    }
}

fn is_among(codes: &[&[u8; 5]], error: &ServerError<'_>) -> bool {
    codes.contains(&&error.sqlstate)
}

/// Whether the error is about what is in a vote: a data exception (SQLSTATE class 22), or a CHECK that it fails. What
/// fails for every vote, such as a column that must be filled, is not: those votes wait until it is mended.
fn is_of_content(error: &ServerError<'_>) -> bool {
    error.sqlstate.starts_with(b"22") || error.sqlstate == *b"23514"
}

/// A refusal, for log and `/readyz`.
fn told(error: &ServerError<'_>) -> String {
    format!("{SETTING}: the database refuses: {error}")
}

/// The parameters of [`RECORD`]: names, options and sequences as array literals (PostgreSQL 15, section 8.15.2).
fn columns(part: &Part) -> [Vec<u8>; 3] {
    let mut columns = [(); 3].map(|()| Vec::from(b"{"));
    for choice in Choice::ALL {
        for effect in part.effects(choice) {
            let sign = if effect.is_ordered { "" } else { "-" };
            let sequence = format!("{sign}{}", effect.sequence);
            let values = [effect.voter, choice.as_str().as_bytes(), sequence.as_bytes()];
            columns.iter_mut().zip(values).for_each(|(column, value)| add_element(column, value));
        }
    }
    columns.iter_mut().for_each(|column| column.push(b'}'));
    columns
}

fn add_element(array: &mut Vec<u8>, value: &[u8]) {
    if array.len() > 1 {
        array.push(b',');
    }
    array.push(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            array.push(b'\\');
        }
        array.push(*byte);
    }
    array.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Batch;
    use crate::limits::BATCH_MAX;
    use alloc::string::ToString;

    #[test]
    fn whatever_a_voter_is_called_is_one_element() {
        let mut batch = Batch::default();
        batch.push(br#"{"voter_id":"a\"b\\c,{}' \u00e9","vote":"b","seq":"7"}"#);
        batch.push(br#"{"voter_id":"x","vote":"b"}"#);
        batch.push(br#"{"voter_id":"NULL","vote":"a","seq":"18446744073709551615"}"#);
        let mut part = Part::default();
        part.take(&batch, BATCH_MAX);
        part.judge_unread();
        let texts = columns(&part).map(|column| String::from_utf8_lossy(&column).to_string());
        let expected =
            [r#"{"NULL","a\"b\\c,{}' é","x"}"#, r#"{"a","b","b"}"#, r#"{"18446744073709551615","7","-0"}"#];
        assert_eq!(texts, expected);
    }
}
