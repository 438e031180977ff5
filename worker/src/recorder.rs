//! The results in PostgreSQL: one statement for the votes of a batch, and a table that is created if it is missing.
//!
//! It knows nothing about the queue. The table is the original's, `votes (id, vote)`, with two more columns, which
//! the original's programs need not know: the sequence of the vote that counts, and the generation of its epoch.
//! Generations number the store's epochs as they are registered here, in a second table,
//! `voting_epochs (epoch, generation)`.

use alloc::borrow::{Cow, ToOwned};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use kernel_app::client::postgres::{DatabaseFault, DatabaseOutcome, Rows, ServerError, Statement};
use kernel_app::client::{DatabaseClient, DatabaseLogin, Outcome, SendError};
use kernel_app::network::Unreachable;
use kernel_app::pace::LogPace;
use kernel_app::{ConnectionId, Context, Instant, Usage};
use votes::Choice;

use crate::epochs::Epochs;
use crate::queue_consumer::{RecordFault, ToRecord};
use crate::transaction_batch::TransactionBatch;

/// Where the database is.
const SETTING: &str = "RESULTS_URL";
/// Nobody knows what became of it; that it comes again does no harm.
const UNHEARD: &str = "RESULTS_URL: the database has not answered: is it running?";
/// How long the database may take for a batch.
pub const RECORD_WITHIN: Duration = Duration::from_secs(2);
/// Epochs that are kept in the database, the last to become known: many times as many as a store keeps.
pub const GENERATIONS_MAX: u32 = 10_000;

/// The last generation. Where no epoch is known although votes have their generations (the table was dropped, or was
/// not restored with the other), it is the last of those.
macro_rules! last_generation {
    () => {
        "coalesce((SELECT max(generation) FROM voting_epochs), (SELECT max(generation) FROM votes), 0)"
    };
}

/// In the order of names, so that no two workers wait for each other's rows. Of two votes the one of the later
/// generation counts, and in one generation the one with the larger sequence; one without a sequence counts when it
/// comes, which its sign says: a sequence that is not above zero is the largest that is known of its voter. A vote
/// that nobody knows the epoch of (NULL) is not older than those that have one.
///
/// Generations come from the table each time: whoever remembered them would not notice that it has gone back. A vote is
/// of the last generation among the epochs up to its own. When the database knows none from its own on, nothing is
/// done, and the one row that comes back has no name, and the last generation. Otherwise the names of those for whom
/// something has changed come back.
const RECORD: Statement = Statement {
    name: "record",
    sql: concat!(
        "WITH known AS ( \
             SELECT place, generation FROM unnest($5::text[]) WITH ORDINALITY AS epochs (epoch, place) \
             JOIN voting_epochs USING (epoch) \
         ), new AS ( \
             SELECT id, vote, seq, place, CASE WHEN place IS NOT NULL THEN \
                 coalesce((SELECT max(generation) FROM known WHERE known.place <= given.place), 0) \
             END AS generation \
             FROM unnest($1::text[], $2::text[], $3::numeric[], $4::bigint[]) AS given (id, vote, seq, place) \
         ), missing AS ( \
             SELECT 1 WHERE (SELECT max(place) FROM new) > coalesce((SELECT max(place) FROM known), 0) \
         ), changed AS ( \
             INSERT INTO votes AS old (id, vote, seq, generation) \
             SELECT id, vote, seq, generation FROM new WHERE NOT EXISTS (SELECT FROM missing) \
             ORDER BY 1 \
             ON CONFLICT (id) DO UPDATE \
             SET vote = excluded.vote, generation = greatest(excluded.generation, old.generation), \
                 seq = CASE sign(coalesce(excluded.generation, 0) - coalesce(old.generation, 0)) \
                     WHEN 1 THEN abs(excluded.seq) \
                     WHEN 0 THEN greatest(abs(excluded.seq), abs(old.seq)) \
                     ELSE old.seq END \
             WHERE excluded.seq <= 0 OR (excluded.generation IS NULL AND old.generation > 0) \
                 OR (coalesce(excluded.generation, 0), excluded.seq) \
                     > (coalesce(old.generation, 0), coalesce(abs(old.seq), 0)) \
             RETURNING id \
         ) \
         SELECT id, NULL FROM changed UNION ALL SELECT NULL, ",
        last_generation!(),
        " FROM missing"
    ),
};
/// Makes epochs known in the order in which they begin, each as a generation of its own, unless there are other
/// generations than those that were there before the epochs were read: then they may be from a store that is gone. What
/// begins before one that is known is left out: its votes, if it has any, are of the known one before it.
const REGISTER: Statement = Statement {
    name: "register",
    sql: concat!(
        "WITH epochs AS ( \
             SELECT epoch, place FROM unnest($1::text[]) WITH ORDINALITY AS epochs (epoch, place) \
         ) \
         INSERT INTO voting_epochs (epoch, generation) \
         SELECT epoch, $2::bigint + row_number() OVER (ORDER BY place) FROM epochs \
         WHERE $2::bigint = ",
        last_generation!(),
        " AND place > coalesce((SELECT max(place) FROM epochs JOIN voting_epochs USING (epoch)), 0)"
    ),
};
/// Removes epochs that are so old that no store has votes of them any more.
const FORGET: Statement = Statement {
    name: "forget",
    sql: "DELETE FROM voting_epochs WHERE generation <= (SELECT max(generation) FROM voting_epochs) - $1::bigint",
};
const CREATE: Statement = Statement {
    name: "create",
    sql: "CREATE TABLE IF NOT EXISTS votes (id VARCHAR(255) NOT NULL UNIQUE, vote VARCHAR(255) NOT NULL)",
};
const EXTEND: Statement = Statement {
    name: "extend",
    sql: "ALTER TABLE votes ADD COLUMN IF NOT EXISTS seq NUMERIC(20), \
          ADD COLUMN IF NOT EXISTS generation BIGINT",
};
const CREATE_EPOCHS: Statement = Statement {
    name: "create-epochs",
    sql: "CREATE TABLE IF NOT EXISTS voting_epochs (epoch TEXT PRIMARY KEY, generation BIGINT NOT NULL UNIQUE)",
};

/// There is no such table; no such column.
const NOT_PREPARED: [&[u8; 5]; 2] = [b"42P01", b"42703"];
/// Somebody else has just made it: as a table, as a column, as its type.
const MADE_MEANWHILE: [&[u8; 5]; 3] = [b"42P07", b"42701", b"23505"];
/// Another worker has registered epochs at the same time: as a unique violation, or as a deadlock on it.
const REGISTERED_MEANWHILE: [&[u8; 5]; 3] = [b"23505", b"40P01", b"40001"];

/// What the database was asked for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Record(u64),
    Register,
    Forget,
    Create,
    /// The last statement that makes the tables what they must be.
    Complete,
}

/// What became of the votes that were to be recorded.
#[derive(Debug)]
pub struct News {
    /// The number of [`Recorder::record`].
    pub serial: u64,
    /// The voters for whom the results have changed.
    pub outcome: Result<BTreeSet<Vec<u8>>, RecordFault>,
}

/// What the database has answered, without what it lies in.
enum Answer {
    Done,
    /// The voters for whom something has changed.
    Changed(BTreeSet<Vec<u8>>),
    /// It does not know an epoch; the last generation that it knows.
    UnknownEpoch(u64),
    Refused {
        sqlstate: [u8; 5],
        told: String,
    },
    /// Nobody knows what became of it.
    Unheard,
}

/// The statements, and how far the table is made.
#[derive(Debug)]
pub struct Recorder {
    client: DatabaseClient<Asked>,
    /// The number of the votes that are under way.
    serial: Option<u64>,
    news: Option<News>,
    /// The table is not as it must be.
    prepare: bool,
    /// It was made, and nothing has been recorded since: once more would be no use.
    prepared: bool,
    /// Why epochs could not be registered.
    refusal: Option<String>,
    /// Of votes that are refused for what is in them.
    log_pace: LogPace,
}

impl Recorder {
    /// A recorder that is not connected yet.
    pub fn new(login: DatabaseLogin) -> Self {
        let client = DatabaseClient::new(login);
        let (log_pace, refusal) = Default::default();
        Self { client, serial: None, news: None, prepare: false, prepared: false, refusal, log_pace }
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

    /// The database is gone.
    pub fn closed(&mut self, id: ConnectionId) {
        self.client.closed(id);
    }

    /// Takes what the database has answered, and gives up on what it has left waiting.
    pub fn take_outcomes(&mut self, context: &mut Context<'_>) {
        while let Some((asked, outcome)) = self.client.next_outcome(context) {
            let answer = read(asked, outcome);
            self.note(asked, answer, context.now);
        }
        self.prepare(context);
    }

    /// When [`Recorder::take_outcomes`] has something to do even if nothing comes.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.client.next_deadline()
    }

    /// Whether votes can be recorded.
    ///
    /// # Errors
    /// Why not.
    pub fn readiness(&self) -> Result<(), Cow<'static, str>> {
        self.client.explained_readiness()
    }

    /// How much of what is bounded here is in use.
    pub fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        self.client.report_usage(report);
    }

    /// Writes votes, unless some are under way already; what becomes of them is news under their number.
    pub fn record(&mut self, votes: &ToRecord<'_>, context: &mut Context<'_>) {
        if self.serial.is_some() || self.news.is_some() {
            return;
        }
        self.serial = Some(votes.serial);
        self.refusal = None;
        let sent = self.register(votes, context).and_then(|()| {
            let columns = columns(votes.batch, votes.epochs);
            let columns = columns.each_ref().map(Vec::as_slice);
            self.client.send(&RECORD, &columns, Asked::Record(votes.serial), RECORD_WITHIN, context)
        });
        if let Err(error) = sent {
            self.fail_to_send(error);
        }
    }

    /// Makes the epochs known, if that is to be done.
    fn register(&mut self, votes: &ToRecord<'_>, context: &mut Context<'_>) -> Sent {
        let Some(generations) = votes.registers_after else { return Ok(()) };
        let [epochs, generations] = [epochs(votes.epochs), generations.to_string().into_bytes()];
        self.client.send(&REGISTER, &[&epochs, &generations], Asked::Register, RECORD_WITHIN, context)?;
        let kept = GENERATIONS_MAX.to_string();
        self.client.send(&FORGET, &[kept.as_bytes()], Asked::Forget, RECORD_WITHIN, context)
    }

    /// What became of votes, once.
    pub fn take_news(&mut self) -> Option<News> {
        self.news.take()
    }

    /// Makes the table what it must be.
    fn prepare(&mut self, context: &mut Context<'_>) {
        if !core::mem::take(&mut self.prepare) {
            return;
        }
        log::info!("the database has no table for votes as it must be: making it");
        for (statement, asked) in
            [(&CREATE, Asked::Create), (&EXTEND, Asked::Create), (&CREATE_EPOCHS, Asked::Complete)]
        {
            if let Err(error) = self.client.send(statement, &[], asked, RECORD_WITHIN, context) {
                return self.fail_to_send(error);
            }
        }
    }

    fn note(&mut self, asked: Asked, answer: Answer, now: Instant) {
        match (asked, answer) {
            (Asked::Record(serial), answer) if self.serial == Some(serial) => self.recorded(answer, now),
            (Asked::Record(_), _) => {}
            (Asked::Create | Asked::Complete, Answer::Refused { sqlstate, told })
                if !MADE_MEANWHILE.contains(&&sqlstate) =>
            {
                self.fail(told);
            }
            (Asked::Create | Asked::Complete, Answer::Unheard) => self.fail(UNHEARD.to_owned()),
            // What comes next says so if it is missed.
            (Asked::Register, Answer::Refused { sqlstate, told })
                if !REGISTERED_MEANWHILE.contains(&&sqlstate) && !NOT_PREPARED.contains(&&sqlstate) =>
            {
                self.refusal = Some(told);
            }
            (Asked::Register | Asked::Forget | Asked::Create, _) => {}
            // Nothing is under way now: the votes are sent again.
            (Asked::Complete, _) => (self.serial, self.prepared) = (None, true),
        }
    }

    fn recorded(&mut self, answer: Answer, now: Instant) {
        match (answer, self.refusal.take()) {
            (Answer::Refused { sqlstate, .. }, _) if NOT_PREPARED.contains(&&sqlstate) && !self.prepared => {
                self.prepare = true;
            }
            (Answer::Refused { sqlstate, told }, _) if is_of_content(&sqlstate) => {
                if self.log_pace.allows(now) {
                    log::warn!("{told}");
                }
                self.end(Err(RecordFault::Content));
            }
            (Answer::Refused { told, .. }, _) => self.fail(told),
            (Answer::Unheard, _) => self.fail(UNHEARD.to_owned()),
            (Answer::UnknownEpoch(_), Some(refusal)) => self.fail(refusal),
            (Answer::UnknownEpoch(generations), None) => {
                self.end(Err(RecordFault::UnknownEpoch(generations)));
            }
            (Answer::Changed(voters), _) => self.end(Ok(voters)),
            (Answer::Done, _) => self.end(Ok(BTreeSet::new())),
        }
    }

    fn fail_to_send(&mut self, error: SendError<DatabaseFault>) {
        self.fail(self.client.explained(error));
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

type Sent = Result<(), SendError<DatabaseFault>>;

/// What an outcome says.
fn read(asked: Asked, outcome: DatabaseOutcome<'_>) -> Answer {
    match outcome {
        Outcome::Overdue | Outcome::Lost => Answer::Unheard,
        Outcome::Answer(Err(error)) => Answer::Refused { sqlstate: error.sqlstate, told: told(&error) },
        Outcome::Answer(Ok(_)) if !matches!(asked, Asked::Record(_)) => Answer::Done,
        Outcome::Answer(Ok(rows)) => match unknown_epoch(rows) {
            Some(generations) => Answer::UnknownEpoch(generations),
            None => Answer::Changed(changed(rows)),
        },
    }
}

/// The voters for whom something has changed.
fn changed(rows: Rows<'_>) -> BTreeSet<Vec<u8>> {
    let mut voters = BTreeSet::new();
    // One by one: to collect them would sort them, and a sort is five kilobytes of an image.
    voters.extend(rows.filter_map(|row| row.column(0).map(<[u8]>::to_vec)));
    voters
}

/// The last generation, when the database does not know an epoch.
fn unknown_epoch(mut rows: Rows<'_>) -> Option<u64> {
    let row = rows.find(|row| row.column(0).is_none())?;
    core::str::from_utf8(row.column(1)?).ok()?.parse().ok()
}

/// Whether the error is about what is in a vote: a data exception (SQLSTATE class 22), or a CHECK that it fails. What
/// fails for every vote, such as a column that must be filled, is not: those votes wait until it is mended.
fn is_of_content(sqlstate: &[u8; 5]) -> bool {
    sqlstate.starts_with(b"22") || sqlstate == b"23514"
}

/// A refusal, for log and `/readyz`.
fn told(error: &ServerError<'_>) -> String {
    format!("{SETTING}: the database refuses: {error}")
}

/// The parameters of [`RECORD`] as array literals (PostgreSQL 15, section 8.15.2): names, options, sequences, places
/// among the epochs, and those.
fn columns(batch: &TransactionBatch, epochs: &Epochs) -> [Vec<u8>; 5] {
    let mut columns = [(); 4].map(|()| Vec::from(b"{"));
    let [ids, votes, sequences, places] = &mut columns;
    for choice in Choice::ALL {
        for effect in batch.effects(choice) {
            let sign = if effect.is_ordered { "" } else { "-" };
            let place = epochs.place(effect.sequence).map_or("NULL".into(), |place| place.to_string());
            add_element(ids, effect.voter);
            add_element(votes, choice.as_str().as_bytes());
            add_element(sequences, format!("{sign}{}", effect.sequence).as_bytes());
            add_bare(places, &place);
        }
    }
    columns.iter_mut().for_each(|column| column.push(b'}'));
    let [ids, votes, sequences, places] = columns;
    [ids, votes, sequences, places, self::epochs(epochs)]
}

/// The names of epochs as an array literal.
fn epochs(epochs: &Epochs) -> Vec<u8> {
    let mut names = Vec::from(b"{");
    epochs.names().for_each(|name| add_element(&mut names, name.as_bytes()));
    names.push(b'}');
    names
}

/// A number or NULL, which must not be quoted.
fn add_bare(array: &mut Vec<u8>, value: &str) {
    if array.len() > 1 {
        array.push(b',');
    }
    array.extend_from_slice(value.as_bytes());
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
    use crate::fetched_entries::FetchedEntries;
    use crate::limits::BATCH_MAX;
    use wire::resp::Reply;

    #[test]
    fn whatever_a_voter_is_called_is_one_element() {
        let mut fetched = FetchedEntries::default();
        fetched.push(br#"{"voter_id":"a\"b\\c,{}' \u00e9","vote":"b","seq":"7"}"#);
        fetched.push(br#"{"voter_id":"x","vote":"b"}"#);
        fetched.push(br#"{"voter_id":"NULL","vote":"a","seq":"18446744073709551615"}"#);
        let mut batch = TransactionBatch::default();
        batch.take(&fetched, BATCH_MAX);
        batch.judge_unread();
        let fields = [&b"one"[..], b"7", b"two", b"8"].map(Reply::Bulk);
        let epochs = Epochs::read(fields.into_iter());
        let texts = columns(&batch, &epochs).map(|column| String::from_utf8_lossy(&column).to_string());
        let expected = [
            r#"{"NULL","a\"b\\c,{}' é","x"}"#,
            r#"{"a","b","b"}"#,
            r#"{"18446744073709551615","7","-0"}"#,
            "{2,1,0}",
            r#"{"one","two"}"#,
        ];
        assert_eq!(texts, expected);
    }
}
