//! Asks the store for the scores, one question at a time.
//!
//! Knows no HTTP: who waits for an answer is the hall's business.

use alloc::borrow::Cow;
use core::time::Duration;

use kernel_app::network::Unreachable;
use kernel_app::store_client::{Outcome, SendError, StoreClient};
use kernel_app::store_login::StoreLogin;
use kernel_app::{ConnectionId, Context, Instant, Usage};
use wire::resp::Reply;

use crate::scores::Scores;

/// How long the store may take: whoever waits has an answer within a second.
pub const STORE_REPLY_WITHIN: Duration = Duration::from_millis(900);
/// Scores that are not older than this are given out without asking again.
pub const FRESH_FOR: Duration = Duration::from_millis(50);

/// Hashes that the worker keeps: one field for each voter of the option.
const KEYS: [&[u8]; 2] = [b"results:a", b"results:b"];

/// The store client, and the question that is under way.
#[derive(Debug)]
pub struct Tally {
    /// The token is the question's serial number.
    store: StoreClient<u64>,
    poll: Poll,
}

#[derive(Debug, Default)]
struct Poll {
    /// Number of the last question, so that what is left of a failed one is told apart.
    serial: u64,
    under_way: bool,
    news: Option<News>,
    latest_at: Option<Instant>,
    failed: bool,
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The store's answer.
    Scores(Scores),
    /// No answer in time, or an error.
    Failed,
}

impl Tally {
    /// A tally of nothing yet, from a store that it logs in to like this.
    pub fn new(login: StoreLogin) -> Self {
        Self { store: StoreClient::new(login), poll: Poll::default() }
    }

    /// Whether this is the connection to the store.
    pub fn is_store(&self, id: ConnectionId) -> bool {
        self.store.is(id)
    }

    /// The store was reached.
    pub fn store_opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.store.opened(id, context);
    }

    /// The store could not be reached.
    pub fn store_unreachable(&mut self, reason: Unreachable) {
        self.store.unreachable(reason);
    }

    /// The store has answered.
    pub fn store_ready(&mut self, context: &mut Context<'_>) {
        let Self { store, poll } = self;
        store.ready(context, |serial, outcome, context| poll.note(serial, &outcome, context.now));
    }

    /// The store is gone.
    pub fn store_closed(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        let Self { store, poll } = self;
        store.closed(id, context, |serial, outcome, context| poll.note(serial, &outcome, context.now));
    }

    /// Gives up on a question that the store has left waiting.
    pub fn turn(&mut self, context: &mut Context<'_>) {
        let Self { store, poll } = self;
        store.turn(context, |serial, outcome, context| poll.note(serial, &outcome, context.now));
    }

    /// When [`Tally::turn`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.store.next_deadline()
    }

    /// Asks for the scores, unless a question is under way already.
    ///
    /// # Errors
    /// Why there will be no news.
    pub fn ask(&mut self, context: &mut Context<'_>) -> Result<(), SendError> {
        if self.poll.under_way {
            return Ok(());
        }
        self.poll.serial += 1;
        let questions = KEYS.map(|key| [&b"HLEN"[..], key]);
        let questions = questions.iter().map(|question| &question[..]);
        self.store.send_transaction(questions, self.poll.serial, STORE_REPLY_WITHIN, context)?;
        self.poll.under_way = true;
        Ok(())
    }

    /// Whether the store is there and no question is under way.
    pub fn can_ask(&self) -> bool {
        !self.poll.under_way && self.store.readiness().is_ok()
    }

    /// What became of a question, once.
    pub fn take_news(&mut self) -> Option<News> {
        self.poll.news.take()
    }

    /// Whether the last answer is young enough to be given out as the present state.
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.poll.latest_at.is_some_and(|at| now <= at + FRESH_FOR) && !self.is_in_trouble()
    }

    /// Whether a question asked now would probably fail.
    pub fn is_in_trouble(&self) -> bool {
        self.poll.failed || self.store.readiness().is_err()
    }

    /// Whether the scores can be had.
    ///
    /// # Errors
    /// Why not, for operators.
    pub fn readiness(&self) -> Result<(), Cow<'static, str>> {
        self.store.explained_readiness()?;
        if self.poll.failed {
            Err("the store did not answer HLEN results:a and HLEN results:b with numbers".into())
        } else {
            Ok(())
        }
    }

    /// How many questions were asked.
    pub fn asked(&self) -> u64 {
        self.poll.serial
    }

    /// How much of what is bounded here is in use.
    pub fn usages(&self, tell: &mut dyn FnMut(Usage)) {
        self.store.usages(tell);
    }

    /// How many commands wait for their replies.
    pub fn pending(&self) -> usize {
        self.store.pending()
    }
}

impl Poll {
    fn note(&mut self, serial: u64, outcome: &Outcome<'_>, now: Instant) {
        if !self.under_way || serial != self.serial {
            return;
        }
        let Some(scores) = scores(outcome) else {
            log::warn!("no scores: {outcome:?}");
            self.end(News::Failed);
            return;
        };
        self.latest_at = Some(now);
        self.end(News::Scores(scores));
    }

    fn end(&mut self, news: News) {
        self.under_way = false;
        self.failed = news == News::Failed;
        self.news = Some(news);
    }
}

fn scores(outcome: &Outcome<'_>) -> Option<Scores> {
    let &Outcome::Reply(Reply::Array(mut counts)) = outcome else { return None };
    let mut count = || match counts.next()? {
        Reply::Integer(number) => u64::try_from(number).ok(),
        _ => None,
    };
    Some(Scores { a: count()?, b: count()? })
}
