//! The source of the scores: two hashes in a store, or the original's table in PostgreSQL.
//!
//! It sends a query when the poller asks for it, and stores nothing.

use alloc::borrow::Cow;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::time::Duration;

use kernel_app::client::postgres::{DatabaseOutcome, Row, Statement};
use kernel_app::client::resp::{StoreOutcome, without_arguments};
use kernel_app::client::{DatabaseClient, Outcome, StoreClient};
use kernel_app::network::Unreachable;
use kernel_app::{ConnectionId, Context, Instant, Usage};
use votes::Scores;
use votes::keys::RESULTS;
use wire::resp::Reply;

/// How long an answer may take: a waiting client gets one within a second.
pub const REPLY_WITHIN: Duration = Duration::from_millis(900);
/// How long a database may take: it counts rows, and millions of rows take longer.
pub const COUNT_WITHIN: Duration = Duration::from_secs(5);

/// The original's own question, about the options that there are: anybody may write others.
const COUNT: Statement = Statement {
    name: "count",
    sql: "SELECT vote, COUNT(id) AS count FROM votes WHERE vote IN ('a', 'b') GROUP BY vote",
};
/// There is no such table: no worker has made it yet, because nobody has voted.
const NO_TABLE: &[u8; 5] = b"42P01";
/// What becomes of a question that nobody answers.
const UNANSWERED: &str = "no answer in time";

/// The client of one of the two; the token is the question's number.
#[derive(Debug)]
pub enum Source {
    /// The hashes' lengths are the scores.
    Store(StoreClient<u64>),
    /// The rows are counted.
    Database(DatabaseClient<u64>),
}

/// The scores, or why there are none.
pub type Answer = Result<Scores, String>;

impl Source {
    /// Whether this is the connection to it.
    pub fn is(&self, id: ConnectionId) -> bool {
        match self {
            Self::Store(client) => client.is(id),
            Self::Database(client) => client.is(id),
        }
    }

    /// It was reached.
    pub fn opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        match self {
            Self::Store(client) => client.opened(id, context),
            Self::Database(client) => client.opened(id, context),
        }
    }

    /// It could not be reached.
    pub fn unreachable(&mut self, reason: Unreachable) {
        match self {
            Self::Store(client) => client.unreachable(reason),
            Self::Database(client) => client.unreachable(reason),
        }
    }

    /// It is gone.
    pub fn closed(&mut self, id: ConnectionId) {
        match self {
            Self::Store(client) => client.closed(id),
            Self::Database(client) => client.closed(id),
        }
    }

    /// What became of a question, by its number; pull until there is nothing.
    pub fn next_answer(&mut self, context: &mut Context<'_>) -> Option<(u64, Answer)> {
        match self {
            Self::Store(client) => {
                client.next_outcome(context).map(|(serial, outcome)| (serial, of_store(outcome)))
            }
            Self::Database(client) => {
                client.next_outcome(context).map(|(serial, outcome)| (serial, of_database(outcome)))
            }
        }
    }

    /// When [`Source::next_answer`] has something to do even if nothing comes.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self {
            Self::Store(client) => client.next_deadline(),
            Self::Database(client) => client.next_deadline(),
        }
    }

    /// Whether a question would be answered.
    ///
    /// # Errors
    /// Why not.
    pub fn readiness(&self) -> Result<(), Cow<'_, str>> {
        match self {
            Self::Store(client) => client.explained_readiness(),
            Self::Database(client) => client.explained_readiness(),
        }
    }

    /// Asks for the scores; says whether that can be answered.
    pub fn ask(&mut self, serial: u64, context: &mut Context<'_>) -> bool {
        match self {
            Self::Store(client) => {
                let questions = RESULTS.map(|key| [&b"HLEN"[..], key]);
                let questions = questions.iter().map(|question| &question[..]);
                client.send_transaction(questions, serial, REPLY_WITHIN, context).is_ok()
            }
            Self::Database(client) => client.send(&COUNT, &[], serial, COUNT_WITHIN, context).is_ok(),
        }
    }

    /// How many commands wait for their replies.
    pub fn pending(&self) -> usize {
        match self {
            Self::Store(client) => client.pending(),
            Self::Database(client) => client.pending(),
        }
    }

    /// How much of what is bounded here is in use.
    pub fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        match self {
            Self::Store(client) => client.report_usage(report),
            Self::Database(client) => client.report_usage(report),
        }
    }
}

fn of_store(outcome: StoreOutcome<'_>) -> Answer {
    let mut counts = match outcome {
        Outcome::Answer(Reply::Array(counts)) => counts,
        Outcome::Answer(Reply::Error(message)) => {
            return Err(format!("the store answers {}", without_arguments(message).escape_ascii()));
        }
        Outcome::Answer(_) => return Err("the store did not answer HLEN with numbers".to_owned()),
        Outcome::Overdue | Outcome::Lost => return Err(UNANSWERED.to_owned()),
    };
    let mut count = || match counts.next()? {
        Reply::Integer(number) => u64::try_from(number).ok(),
        _ => None,
    };
    let mut scores = || Some(Scores { a: count()?, b: count()? });
    scores()
        .ok_or_else(|| "the store did not answer HLEN results:a and HLEN results:b with numbers".to_owned())
}

fn of_database(outcome: DatabaseOutcome<'_>) -> Answer {
    match outcome {
        Outcome::Answer(Ok(rows)) => {
            let mut scores = Scores::default();
            for row in rows {
                add(&mut scores, &row)
                    .ok_or_else(|| "the database did not answer with numbers".to_owned())?;
            }
            Ok(scores)
        }
        Outcome::Answer(Err(error)) if error.sqlstate == *NO_TABLE => Ok(Scores::default()),
        Outcome::Answer(Err(error)) => Err(format!("RESULTS_URL: the database refuses: {error}")),
        Outcome::Overdue | Outcome::Lost => Err(UNANSWERED.to_owned()),
    }
}

/// A row: an option, and how many have it. Votes for anything else are nobody's.
fn add(scores: &mut Scores, row: &Row<'_>) -> Option<()> {
    let count = || core::str::from_utf8(row.column(1)?).ok()?.parse().ok();
    match row.column(0)? {
        b"a" => scores.a = count()?,
        b"b" => scores.b = count()?,
        _ => {}
    }
    Some(())
}
