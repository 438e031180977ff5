//! A node that looks into the store: who is counted for what, and what waits, at one moment each time.
//!
//! Judges nothing. One `MULTI` takes each look, so that no vote moves while it is taken. Results that are in the
//! database are looked at when the store's answer is there, and without a network.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use kernel_app::client::resp::StoreOutcome;
use kernel_app::client::{Outcome, StoreClient};
use kernel_app::{ConnectionId, Context, Endpoints, Instant, Origin, Peer, Service, Target};
use votes::keys::QUEUE;
use wire::resp::Reply;

use super::database::Shared;
use super::findings::{Findings, Look};
use super::ledger::Choice;
use super::neighbour::{MARK_FIELDS, MARKS};

/// How often the auditor looks.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// How long a look may take before the connection counts as lost.
const REPLY_WITHIN: Duration = Duration::from_secs(10);

/// A client of the store that asks for all of it at once.
pub struct Auditor {
    store: Target,
    lists: Rc<RefCell<BTreeSet<String>>>,
    client: StoreClient<bool>,
    is_looking: bool,
    look_at: Instant,
    began: Instant,
    database: Option<Rc<RefCell<Shared>>>,
    findings: Rc<RefCell<Findings>>,
}

impl Auditor {
    /// An auditor of the store at `host` that looks at these processing lists, which may become more, and at the
    /// database if results are there.
    pub fn new(
        host: &str,
        port: u16,
        lists: Rc<RefCell<BTreeSet<String>>>,
        database: Option<Rc<RefCell<Shared>>>,
        findings: Rc<RefCell<Findings>>,
    ) -> Self {
        Self {
            store: Target::Host { host: host.to_owned(), port },
            lists,
            client: StoreClient::default(),
            is_looking: false,
            look_at: Instant::ZERO,
            began: Instant::ZERO,
            database,
            findings,
        }
    }

    fn look(&mut self, context: &mut Context<'_>) {
        let lists = self.lists.borrow();
        let results = Choice::ALL.map(|choice| [&b"HGETALL"[..], choice.results_key()]);
        let marks: Vec<_> = ["HMGET", MARKS].into_iter().chain(MARK_FIELDS).map(str::as_bytes).collect();
        let lists = lists.iter().map(|list| list.as_bytes());
        let lengths = [QUEUE].into_iter().chain(lists).map(|list| [&b"LLEN"[..], list]);
        let client = &mut self.client;
        let mut send = |words: &[&[u8]], is_last| client.send(words, is_last, REPLY_WITHIN, context).is_ok();
        self.is_looking = send(&[b"MULTI"], false)
            && send(&marks, false)
            && results.into_iter().chain(lengths).all(|words| send(&words, false))
            && send(&[b"EXEC"], true);
        self.began = context.now;
        self.look_at = context.now + LOOK_INTERVAL;
    }

    /// Takes the replies to the commands of a look.
    fn take_replies(&mut self, context: &mut Context<'_>) {
        let Self { client, is_looking, findings, database, began, .. } = self;
        let mut findings = findings.borrow_mut();
        while let Some((is_last, outcome)) = client.next_outcome(context) {
            note(is_last, &outcome, is_looking, &mut findings, |look| {
                look.began = *began;
                if let Some(database) = database {
                    look.counted.extend(counted(&database.borrow()));
                }
            });
        }
    }
}

impl Service for Auditor {
    fn name(&self) -> &'static str {
        "auditor"
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints {
            listeners: Vec::new(),
            peers: vec![Peer { name: "store", setting: "REDIS_URL", target: self.store.clone() }],
        }
    }

    fn opened(&mut self, id: ConnectionId, _: Origin, context: &mut Context<'_>) {
        self.client.opened(id, context);
        self.look_at = context.now;
    }

    fn ready(&mut self, _: ConnectionId, context: &mut Context<'_>) {
        self.take_replies(context);
    }

    fn closed(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.client.closed(id);
        self.take_replies(context);
        self.is_looking = false;
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        self.take_replies(context);
        if !self.is_looking && self.look_at <= context.now && self.client.readiness().is_ok() {
            self.look(context);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let look = (!self.is_looking && self.client.readiness().is_ok()).then_some(self.look_at);
        Instant::earliest([self.client.next_deadline(), look])
    }
}

/// Who is counted in the database; a vote for something that is no option is nobody's.
fn counted(shared: &Shared) -> impl Iterator<Item = (String, Choice)> {
    let choice = |vote: &str| Choice::ALL.into_iter().find(|choice| choice.as_str() == vote);
    shared.tables.votes().filter_map(move |(voter, vote)| Some((voter.to_owned(), choice(vote)?)))
}

fn note(
    is_last: bool,
    outcome: &StoreOutcome<'_>,
    is_looking: &mut bool,
    findings: &mut Findings,
    complete: impl FnOnce(&mut Look),
) {
    match outcome {
        Outcome::Answer(reply) if is_last => {
            *is_looking = false;
            match read(reply) {
                Some(mut look) => {
                    complete(&mut look);
                    findings.looks.push(look);
                }
                // Its data are not there yet: it cannot read its disk.
                None if is_loading(reply) => {}
                None => findings.complaint = Some(format!("the store answered a look with {reply:?}")),
            }
        }
        Outcome::Answer(Reply::Simple(_)) => {}
        Outcome::Answer(reply) if is_loading(reply) => *is_looking &= !is_last,
        Outcome::Answer(reply) => findings.complaint = Some(format!("the store answered {reply:?}")),
        Outcome::Overdue | Outcome::Lost => *is_looking = false,
    }
}

fn is_loading(reply: &Reply<'_>) -> bool {
    matches!(reply, Reply::Error(message) if message.starts_with(b"LOADING") || message.starts_with(b"EXECABORT"))
}

fn read(reply: &Reply<'_>) -> Option<Look> {
    let &Reply::Array(mut replies) = reply else { return None };
    let Reply::Array(mut marks) = replies.next()? else { return None };
    let mut look = Look { is_whole: marks.next()? == marks.next()?, ..Look::default() };
    for choice in Choice::ALL {
        let Reply::Array(mut fields) = replies.next()? else { return None };
        while let Some(field) = fields.next() {
            let (Reply::Bulk(voter), Reply::Bulk(_)) = (field, fields.next()?) else { return None };
            look.counted.push((String::from_utf8_lossy(voter).into_owned(), choice));
        }
    }
    look.queue = length(replies.next()?)?;
    for reply in replies {
        look.processing += length(reply)?;
    }
    Some(look)
}

fn length(reply: Reply<'_>) -> Option<usize> {
    let Reply::Integer(length) = reply else { return None };
    usize::try_from(length).ok()
}
