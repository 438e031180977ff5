//! A model of PostgreSQL: a node that speaks its protocol, keeps its transaction rules, and has bad days.
//!
//! What is committed outlives the node ([`Tables`]); what is not is gone with it. Each batch of messages up to a Sync
//! is one transaction, which takes time: it is committed at one moment and answered at a later one, so that a
//! crash in between leaves a commit that nobody heard of. As in PostgreSQL a transaction goes on when its client is
//! gone. Transactions may be refused (a deadlock), and connections dropped before or after the commit.
//!
//! Is no PostgreSQL: it knows the services' statements by their text.

mod array;
mod flaw;
mod messages;
mod statements;
pub mod tables;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use kernel_app::{ConnectionId, Context, Endpoints, Instant, Listener, Origin, Service};
use simulator::random::Random;

use super::findings::Findings;
pub use flaw::Flaw;
use messages::Request;
use statements::Known;
use tables::{Refused, Rows, Tables};

/// Where clients connect.
pub const PORT: u16 = 5432;
/// DEADLOCK DETECTED.
const DEADLOCK: &str = "40P01";
/// So many commits are lost where they are.
const COMMITS_LOST: usize = 3;
/// What the model does not know.
const NOT_SUPPORTED: &str = "0A000";

/// How the database behaves from now on.
#[derive(Clone, Copy, Debug)]
pub struct DatabaseConditions {
    /// Most time until a transaction is committed.
    pub commit_within: Duration,
    /// Most time from there until its client hears of it.
    pub answer_within: Duration,
    /// Transactions of a million that are refused.
    pub refused_per_million: u32,
    /// Connections of a million that end with a transaction, before its commit or after it.
    pub dropped_per_million: u32,
}

impl Default for DatabaseConditions {
    /// A database beside the application.
    fn default() -> Self {
        Self {
            commit_within: Duration::from_millis(5),
            answer_within: Duration::from_millis(1),
            refused_per_million: 0,
            dropped_per_million: 0,
        }
    }
}

/// What has happened to transactions so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseCounts {
    /// Committed.
    pub committed: u64,
    /// Refused by chance.
    pub refused: u64,
    /// Their connection was ended before their commit.
    pub dropped: u64,
    /// Committed without anybody hearing of it.
    pub unheard: u64,
}

/// What outlives the database's node.
#[derive(Debug, Default)]
pub struct Shared {
    /// What is committed.
    pub tables: Tables,
    /// How it behaves.
    pub conditions: DatabaseConditions,
    /// What has happened.
    pub counts: DatabaseCounts,
    /// What is wrong with it on purpose.
    pub flaw: Option<Flaw>,
    /// The tables before the last commits, for the flaw that loses them.
    earlier: VecDeque<Tables>,
}

/// The database as a service of a node.
pub struct Database {
    shared: Rc<RefCell<Shared>>,
    findings: Rc<RefCell<Findings>>,
    random: Random,
    sessions: BTreeMap<u64, Session>,
    numbers: u64,
    transactions: Vec<Transaction>,
}

/// A client.
#[derive(Default)]
struct Session {
    connection: Option<ConnectionId>,
    is_welcome: bool,
    statements: BTreeMap<String, Known>,
    bound: Option<(Known, Vec<Vec<u8>>)>,
    /// What is to be carried out with the next Sync.
    work: Work,
    /// Its transactions are carried out one after the other.
    busy_until: Instant,
}

/// What a transaction is to do, and what is answered before and after.
#[derive(Default)]
struct Work {
    steps: Vec<Step>,
    /// Nothing more is taken until the next Sync.
    has_failed: bool,
}

enum Step {
    Say(Vec<u8>),
    /// Checked when the transaction runs, as its tables may be made meanwhile.
    Prepare(Known),
    Run(Known, Vec<Vec<u8>>),
    Fail(Refused),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Usual,
    Refused,
    DroppedBefore,
    DroppedAfter,
}

struct Transaction {
    session: u64,
    work: Work,
    fate: Fate,
    commit_at: Instant,
    answer_at: Instant,
    /// Once it is committed or refused.
    answer: Option<Vec<u8>>,
}

impl Database {
    /// A database over what is committed.
    pub fn new(shared: Rc<RefCell<Shared>>, findings: Rc<RefCell<Findings>>, random: Random) -> Self {
        let mut locked = shared.borrow_mut();
        if let Some(earlier) = locked.earlier.pop_front().filter(|_| locked.flaw == Some(Flaw::CommitsLost)) {
            locked.tables = earlier;
        }
        locked.earlier.clear();
        drop(locked);
        Self { shared, findings, random, sessions: BTreeMap::new(), numbers: 0, transactions: Vec::new() }
    }

    fn session_of(&mut self, id: ConnectionId) -> Option<u64> {
        self.sessions.iter().find(|(_, session)| session.connection == Some(id)).map(|(number, _)| *number)
    }

    /// Takes one message; says what is sent at once.
    fn take(&mut self, number: u64, request: Request, now: Instant) -> Vec<u8> {
        let Some(session) = self.sessions.get_mut(&number) else { return Vec::new() };
        if session.work.has_failed && request != Request::Sync {
            return Vec::new();
        }
        let steps = &mut session.work.steps;
        match request {
            Request::Startup => {
                session.is_welcome = true;
                return messages::welcome();
            }
            Request::Close => steps.push(Step::Say(messages::message(b'3', b""))),
            Request::Parse { name, sql } => match Known::find(&name, &sql) {
                Ok(known) => {
                    session.statements.insert(name, known);
                    steps.push(Step::Prepare(known));
                }
                Err(complaint) => {
                    self.findings.borrow_mut().complaint = Some(complaint);
                    steps.push(Step::Fail(NOT_SUPPORTED));
                }
            },
            Request::Bind { name, parameters } => {
                session.bound = session.statements.get(&name).map(|known| (*known, parameters));
                if session.bound.is_none() {
                    // INVALID SQL STATEMENT NAME
                    steps.push(Step::Fail("26000"));
                }
                steps.push(Step::Say(messages::message(b'2', b"")));
            }
            Request::Execute => {
                if let Some((known, parameters)) = session.bound.take() {
                    steps.push(Step::Run(known, parameters));
                }
            }
            Request::Sync => self.begin(number, now),
            Request::Terminate => {}
        }
        Vec::new()
    }

    fn begin(&mut self, number: u64, now: Instant) {
        let Self { shared, random, sessions, transactions, .. } = self;
        let Some(session) = sessions.get_mut(&number) else { return };
        let conditions = shared.borrow().conditions;
        let work = core::mem::take(&mut session.work);
        let fate = if random.happens(conditions.refused_per_million) {
            Fate::Refused
        } else if random.happens(conditions.dropped_per_million) {
            if random.happens(500_000) { Fate::DroppedBefore } else { Fate::DroppedAfter }
        } else {
            Fate::Usual
        };
        let commit_at = now.max(session.busy_until) + random.up_to(conditions.commit_within);
        let answer_at = commit_at + random.up_to(conditions.answer_within);
        session.busy_until = answer_at;
        transactions.push(Transaction { session: number, work, fate, commit_at, answer_at, answer: None });
    }

    /// Commits and answers what is due.
    fn proceed(&mut self, context: &mut Context<'_>) {
        self.transactions.sort_by_key(|transaction| (transaction.commit_at, transaction.answer_at));
        for at in 0..self.transactions.len() {
            if self.transactions[at].answer.is_none() && self.transactions[at].commit_at <= context.now {
                self.commit(at, context);
            }
        }
        let due =
            |transaction: &Transaction| transaction.answer.is_some() && transaction.answer_at <= context.now;
        let (answered, others) = core::mem::take(&mut self.transactions).into_iter().partition(due);
        self.transactions = others;
        for Transaction { session, answer, fate, .. } in answered {
            let id = self.sessions.get(&session).and_then(|session| session.connection);
            let connection = id.and_then(|id| context.connections.get_mut(id));
            match (id, connection, fate) {
                (Some(id), _, Fate::DroppedAfter) => {
                    self.shared.borrow_mut().counts.unheard += 1;
                    context.connections.abort(id);
                }
                (_, Some(connection), _) => {
                    connection.output.write(&answer.unwrap_or_default()).expect("answers are short");
                }
                _ => self.shared.borrow_mut().counts.unheard += 1,
            }
        }
    }

    fn commit(&mut self, at: usize, context: &mut Context<'_>) {
        let Transaction { session: number, fate, work, .. } = &mut self.transactions[at];
        let mut shared = self.shared.borrow_mut();
        let mut tables = shared.tables.clone();
        let mut answer = match fate {
            Fate::DroppedBefore => {
                shared.counts.dropped += 1;
                let id = self.sessions.get(number).and_then(|session| session.connection);
                id.into_iter().for_each(|id| context.connections.abort(id));
                Err(DEADLOCK)
            }
            Fate::Refused => {
                shared.counts.refused += 1;
                Err(DEADLOCK)
            }
            Fate::Usual | Fate::DroppedAfter => Ok(Vec::new()),
        };
        for step in core::mem::take(&mut work.steps) {
            let Ok(said) = &mut answer else { break };
            match run(step, &mut tables, shared.flaw) {
                Ok(more) => said.extend(more),
                Err(code) => answer = Err(code),
            }
        }
        let answer = match answer {
            Ok(said) => {
                shared.counts.committed += 1;
                let before = core::mem::replace(&mut shared.tables, tables);
                shared.earlier.push_back(before);
                if shared.earlier.len() > COMMITS_LOST {
                    shared.earlier.pop_front();
                }
                said
            }
            Err(_) if shared.flaw == Some(Flaw::RefusalsIgnored) => done(&Rows::new()),
            Err(code) => messages::error(code, "refused by the model"),
        };
        self.transactions[at].answer = Some([answer, messages::ready()].concat());
    }
}

fn run(step: Step, tables: &mut Tables, flaw: Option<Flaw>) -> Result<Vec<u8>, Refused> {
    match step {
        Step::Say(bytes) => Ok(bytes),
        Step::Fail(code) => Err(code),
        Step::Prepare(known) => tables.prepare(known).map(|()| messages::message(b'1', b"")),
        Step::Run(known, parameters) => tables.execute(known, &parameters, flaw).map(|rows| done(&rows)),
    }
}

fn done(rows: &Rows) -> Vec<u8> {
    let mut said: Vec<u8> = rows.iter().flat_map(|values| messages::row(values)).collect();
    said.extend(messages::message(b'C', b"DONE\0"));
    said
}

impl Service for Database {
    fn name(&self) -> &'static str {
        "database"
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints { listeners: vec![Listener { name: "postgres", port: PORT }], peers: Vec::new() }
    }

    fn opened(&mut self, id: ConnectionId, _: Origin, _: &mut Context<'_>) {
        self.numbers += 1;
        self.sessions.insert(self.numbers, Session { connection: Some(id), ..Session::default() });
    }

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        let Some(number) = self.session_of(id) else { return };
        loop {
            let is_first = self.sessions.get(&number).is_some_and(|session| !session.is_welcome);
            let Some(connection) = context.connections.get_mut(id) else { return };
            match messages::parse(connection.input.as_slice(), is_first) {
                Ok(Some((request, length))) => {
                    connection.input.consume(length);
                    let said = self.take(number, request, context.now);
                    let Some(connection) = context.connections.get_mut(id) else { return };
                    connection.output.write(&said).expect("a welcome is short");
                }
                Ok(None) if connection.input_ended => return context.connections.abort(id),
                Ok(None) => return,
                Err(what) => {
                    let complaint = format!("the model of PostgreSQL does not understand {what}");
                    self.findings.borrow_mut().complaint = Some(complaint);
                    return context.connections.abort(id);
                }
            }
        }
    }

    fn closed(&mut self, id: ConnectionId, _: &mut Context<'_>) {
        if let Some(number) = self.session_of(id) {
            self.sessions.remove(&number);
        }
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        self.proceed(context);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let due = |transaction: &Transaction| match transaction.answer {
            None => transaction.commit_at,
            Some(_) => transaction.answer_at,
        };
        self.transactions.iter().map(due).min()
    }
}
