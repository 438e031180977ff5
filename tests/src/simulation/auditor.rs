//! A node that looks into the store: who is counted for what, and what waits, at one moment each time.
//!
//! Judges nothing. One `MULTI` takes each look, so that no vote moves while it is taken.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use kernel_app::store_client::{Outcome, StoreClient};
use kernel_app::{ConnectionId, Context, Endpoints, Instant, Origin, Peer, Service, Target};
use wire::resp::Reply;

use super::ledger::Choice;

/// How often the auditor looks.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// How long a look may take before the connection counts as lost.
const REPLY_WITHIN: Duration = Duration::from_secs(10);

/// What a look found.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// The name of every field of the results, and the option under which it was found; a voter who is
    /// in both is in it twice.
    pub counted: Vec<(String, Choice)>,
    /// Elements on the queue.
    pub queue: usize,
    /// Elements on all processing lists.
    pub processing: usize,
}

impl Look {
    /// Whether no vote waits anywhere.
    pub fn is_drained(&self) -> bool {
        self.queue == 0 && self.processing == 0
    }

    /// The voters and their choice; the last one of a voter who is in it twice.
    pub fn by_voter(&self) -> BTreeMap<&str, Choice> {
        self.counted.iter().map(|(voter, choice)| (voter.as_str(), *choice)).collect()
    }
}

/// What auditor and test share.
#[derive(Debug, Default)]
pub struct Findings {
    /// The looks since the test took them.
    pub looks: Vec<Look>,
    /// An answer of the store that is not what it should be.
    pub complaint: Option<String>,
}

/// See the module.
pub struct Auditor {
    store: Target,
    lists: Rc<RefCell<BTreeSet<String>>>,
    client: StoreClient<bool>,
    is_looking: bool,
    look_at: Instant,
    findings: Rc<RefCell<Findings>>,
}

impl Auditor {
    /// An auditor of the store at `host` that looks at these processing lists, which may become more.
    pub fn new(
        host: &str,
        port: u16,
        lists: Rc<RefCell<BTreeSet<String>>>,
        findings: Rc<RefCell<Findings>>,
    ) -> Self {
        Self {
            store: Target::Host { host: host.to_owned(), port },
            lists,
            client: StoreClient::default(),
            is_looking: false,
            look_at: Instant::ZERO,
            findings,
        }
    }

    fn look(&mut self, context: &mut Context<'_>) {
        let lists = self.lists.borrow();
        let results = Choice::ALL.map(|choice| format!("results:{}", choice.as_str()));
        let results = results.iter().map(|key| ["HGETALL", key]);
        let lengths = [["LLEN", "votes"]].into_iter().chain(lists.iter().map(|list| ["LLEN", list]));
        let client = &mut self.client;
        let mut send = |words: &[&str], is_last| {
            let words: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
            client.send(&words, is_last, REPLY_WITHIN, context).is_ok()
        };
        self.is_looking = send(&["MULTI"], false)
            && results.chain(lengths).all(|words| send(&words, false))
            && send(&["EXEC"], true);
        self.look_at = context.now + LOOK_INTERVAL;
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
        let Self { client, is_looking, findings, .. } = self;
        client.ready(context, |is_last, outcome, _| note(is_last, &outcome, is_looking, findings));
    }

    fn closed(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.client.closed(id, context, |_, _, _| {});
        self.is_looking = false;
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        let Self { client, is_looking, findings, .. } = self;
        client.turn(context, |is_last, outcome, _| note(is_last, &outcome, is_looking, findings));
        if !self.is_looking && self.look_at <= context.now && self.client.readiness().is_ok() {
            self.look(context);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let look = (!self.is_looking && self.client.readiness().is_ok()).then_some(self.look_at);
        [self.client.next_deadline(), look].into_iter().flatten().min()
    }
}

/// Takes the reply to a command of a look.
fn note(is_last: bool, outcome: &Outcome<'_>, is_looking: &mut bool, findings: &RefCell<Findings>) {
    let mut findings = findings.borrow_mut();
    match outcome {
        Outcome::Reply(reply) if is_last => {
            *is_looking = false;
            match read(reply) {
                Some(look) => findings.looks.push(look),
                None => findings.complaint = Some(format!("the store answered a look with {reply:?}")),
            }
        }
        Outcome::Reply(Reply::Simple(_)) => {}
        Outcome::Reply(reply) => findings.complaint = Some(format!("the store answered {reply:?}")),
        Outcome::Overdue | Outcome::Lost => *is_looking = false,
    }
}

fn read(reply: &Reply<'_>) -> Option<Look> {
    let &Reply::Array(mut replies) = reply else { return None };
    let mut look = Look::default();
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
