//! The poller of the scores: one query at a time.
//!
//! It knows no HTTP: the handler keeps the waiting requests, and the source sends the query.

use alloc::borrow::Cow;
use alloc::string::String;
use core::time::Duration;

use kernel_app::network::Unreachable;
use kernel_app::{ConnectionId, Context, Instant, Usage};
use votes::Scores;

use crate::source::{Answer, Source};

/// Scores that are not older than this are given out without asking again.
pub const FRESH_FOR: Duration = Duration::from_millis(50);
/// While somebody follows, the source is asked this often: a change shows within 200 ms.
pub const POLL_EVERY: Duration = Duration::from_millis(100);

/// The question that is under way.
#[derive(Debug)]
pub struct ScorePoller {
    source: Source,
    /// Number of the last query, which distinguishes late answers to a failed one.
    serial: u64,
    /// Since when a question is under way.
    asked_at: Option<Instant>,
    /// How long the last answer took.
    took: Duration,
    news: Option<News>,
    latest_at: Option<Instant>,
    /// Why the last question was not answered.
    fault: Option<String>,
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The current scores.
    Scores(Scores),
    /// No answer in time, or an error.
    Failed,
}

impl ScorePoller {
    /// A poller that has asked nothing yet.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            serial: 0,
            asked_at: None,
            took: Duration::ZERO,
            news: None,
            latest_at: None,
            fault: None,
        }
    }

    /// Whether this is the connection to the source.
    pub fn is_source(&self, id: ConnectionId) -> bool {
        self.source.is(id)
    }

    /// The source was reached.
    pub fn opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.source.opened(id, context);
    }

    /// The source could not be reached.
    pub fn unreachable(&mut self, reason: Unreachable) {
        self.source.unreachable(reason);
    }

    /// The source is gone.
    pub fn closed(&mut self, id: ConnectionId) {
        self.source.closed(id);
    }

    /// Takes what the source has answered, and gives up on a question that it has left waiting.
    pub fn take_answers(&mut self, context: &mut Context<'_>) {
        while let Some((serial, answer)) = self.source.next_answer(context) {
            self.note(serial, answer, context.now);
        }
    }

    /// When [`ScorePoller::take_answers`] has something to do even if nothing comes.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.source.next_deadline()
    }

    /// Asks for the scores, unless a question is under way already; says whether there will be news.
    pub fn ask(&mut self, context: &mut Context<'_>) -> bool {
        if self.asked_at.is_some() {
            return true;
        }
        self.serial += 1;
        let asked = self.source.ask(self.serial, context);
        self.asked_at = asked.then_some(context.now);
        asked
    }

    /// Whether the source is there and no question is under way.
    pub fn can_ask(&self) -> bool {
        self.asked_at.is_none() && self.source.readiness().is_ok()
    }

    /// How long after a question the next one may be asked for those who follow.
    ///
    /// A source that takes long, because it counts many rows, is left alone for as long again.
    pub fn interval(&self) -> Duration {
        if self.took > POLL_EVERY { self.took * 2 } else { POLL_EVERY }
    }

    /// What became of a question, once.
    pub fn take_news(&mut self) -> Option<News> {
        self.news.take()
    }

    /// Whether the last answer is young enough to be given out as the present state.
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.latest_at.is_some_and(|at| now <= at + FRESH_FOR) && !self.is_in_trouble()
    }

    /// Whether a question asked now would probably fail.
    pub fn is_in_trouble(&self) -> bool {
        self.fault.is_some() || self.source.readiness().is_err()
    }

    /// Whether the scores are available.
    ///
    /// # Errors
    /// Why not, for operators.
    pub fn readiness(&self) -> Result<(), Cow<'_, str>> {
        self.source.readiness()?;
        self.fault.as_deref().map_or(Ok(()), |fault| Err(Cow::Borrowed(fault)))
    }

    /// How many questions were asked.
    pub fn asked(&self) -> u64 {
        self.serial
    }

    /// How much of what is bounded here is in use.
    pub fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        self.source.report_usage(report);
    }

    /// How many commands wait for their replies.
    pub fn pending(&self) -> usize {
        self.source.pending()
    }

    fn note(&mut self, serial: u64, answer: Answer, now: Instant) {
        let Some(asked_at) = self.asked_at.take_if(|_| serial == self.serial) else { return };
        self.took = now.since(asked_at);
        match answer {
            Ok(scores) => {
                (self.latest_at, self.fault) = (Some(now), None);
                self.news = Some(News::Scores(scores));
            }
            Err(fault) => {
                if self.fault.as_ref() != Some(&fault) {
                    log::warn!("no scores: {fault}");
                }
                self.fault = Some(fault);
                self.news = Some(News::Failed);
            }
        }
    }
}
