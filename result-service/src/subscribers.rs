//! The clients that follow the scores by server-sent events (HTML standard, section 9.2).
//!
//! The page renders the events.

use alloc::vec::Vec;
use core::time::Duration;

use kernel_app::http::{Exchange, HttpServer, PushError};
use kernel_app::{Context, Instant};

use crate::result_page::ResultPage;

/// Most that follow at once; more are answered 503.
pub const SUBSCRIBERS_MAX: usize = 256;
/// An event is sent this often at least, so that nobody takes the stream for dead.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);

/// What a stream begins with: how long a browser waits before it connects again.
const GREETING: &[u8] = b"retry: 1000\n\n";
/// An event, not a comment: a page must be able to tell a quiet server from one that is gone.
const HEARTBEAT: &[u8] = b"event: alive\ndata: 1\n\n";

/// The connections of those who follow.
#[derive(Debug, Default)]
pub struct Subscribers {
    subscribers: Vec<Subscriber>,
    heartbeat_at: Instant,
    pushed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Subscriber {
    exchange: Exchange,
    greeted: bool,
    /// Fresh scores were asked for; older ones are not shown first.
    waits: bool,
    /// Versions of the page's parts that were pushed last; 0 for none.
    seen: [u64; 2],
}

impl Subscribers {
    /// How many follow.
    pub fn len(&self) -> usize {
        self.subscribers.len()
    }

    /// Whether nobody follows.
    pub fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }

    /// How often the state was sent to somebody.
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Takes one more; false when there is no room. With `waits` the first state is sent after
    /// [`Subscribers::release`].
    pub fn join(&mut self, exchange: Exchange, waits: bool, now: Instant) -> bool {
        if self.len() >= SUBSCRIBERS_MAX {
            return false;
        }
        if self.is_empty() {
            self.heartbeat_at = now + HEARTBEAT_EVERY;
        }
        self.subscribers.push(Subscriber { exchange, greeted: false, waits, seen: [0; 2] });
        true
    }

    /// Forgets one.
    pub fn leave(&mut self, exchange: Exchange) {
        self.subscribers.retain(|subscriber| subscriber.exchange != exchange);
    }

    /// The page is as fresh as it can be.
    pub fn release(&mut self) {
        for subscriber in &mut self.subscribers {
            subscriber.waits = false;
        }
    }

    /// When the next heartbeat is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        (!self.is_empty()).then_some(self.heartbeat_at)
    }

    /// Sends everybody what they have not seen, and heartbeats when they are due.
    pub fn turn(&mut self, page: &ResultPage, http: &mut HttpServer, context: &mut Context<'_>) {
        let heartbeat = self.next_deadline().is_some_and(|at| at <= context.now);
        if heartbeat {
            self.heartbeat_at = context.now + HEARTBEAT_EVERY;
        }
        let pushed = &mut self.pushed;
        self.subscribers.retain_mut(|subscriber| {
            let sent = subscriber.send(page, heartbeat, http, context);
            *pushed += u64::from(sent == Ok(true));
            // A slow reader misses states, not the last one: the next turn tries again.
            sent != Err(PushError::Gone)
        });
    }
}

impl Subscriber {
    /// Sends what is due; whether any of the page was part of it.
    fn send(
        &mut self,
        page: &ResultPage,
        heartbeat: bool,
        http: &mut HttpServer,
        context: &mut Context<'_>,
    ) -> Result<bool, PushError> {
        if !self.greeted {
            http.push(self.exchange, GREETING, context)?;
            self.greeted = true;
        }
        if heartbeat {
            http.push(self.exchange, HEARTBEAT, context)?;
        }
        let before = self.seen;
        for (seen, part) in self.seen.iter_mut().zip(page.parts()) {
            if !self.waits && *seen != part.version {
                http.push(self.exchange, part.events.as_bytes(), context)?;
                *seen = part.version;
            }
        }
        Ok(self.seen != before)
    }
}
