//! Bugs of services that talk to the store: what each makes of their commands.
//!
//! Keys and fields are those of `worker` and `vote-service`; a bug that no longer meets the commands it
//! changes is no longer caught, and its test fails.

use std::collections::VecDeque;

use kernel_app::Instant;
use votes::Choice;
use votes::keys::{PROCESSING, RESULTS, TICKETS, WORKERS};

use super::relay::{Action, Tamper, Words};

/// By how many tickets the store leaps where an epoch begins.
const LEAP: u64 = 1 << 16;
const DECOY: &[u8] = b"bug:decoy";
const DECOY_LIST: &[u8] = b"bug:list";

/// Changes commands one by one.
pub struct Each<F>(pub F);

impl<F: FnMut(Words) -> Action> Tamper for Each<F> {
    fn commands(&mut self, commands: Vec<Words>) -> Vec<Action> {
        commands.into_iter().map(&mut self.0).collect()
    }
}

fn is(words: &Words, name: &[u8]) -> bool {
    words.first().is_some_and(|word| word == name)
}

fn has(words: &Words, at: usize, prefix: &[u8]) -> bool {
    words.get(at).is_some_and(|word| word.starts_with(prefix))
}

/// Whether the command is about the results.
fn is_results(words: &Words) -> bool {
    words.get(1).is_some_and(|key| RESULTS.contains(&key.as_slice()))
}

/// A command that changes nothing of interest and is answered with 1.
fn decoy(number: &mut u64) -> Action {
    *number += 1;
    let words: [&[u8]; 4] = [b"HSET", b"bug:counted", &number.to_be_bytes(), b""];
    Action::Send(words.map(<[u8]>::to_vec).to_vec())
}

/// The processing list of a worker's earlier life is not known to the next.
pub fn pop_without_processing_list(life: u64) -> impl Tamper {
    Each(move |mut words: Words| {
        for word in words.iter_mut().filter(|word| word.starts_with(PROCESSING)) {
            *word = format!("bug:popped:{life}:{}", String::from_utf8_lossy(word)).into_bytes();
        }
        Action::Send(words)
    })
}

/// Votes stay on the processing list.
pub fn forget_removal(life: u64) -> impl Tamper {
    let mut number = life << 32;
    Each(move |words| if is(&words, b"LREM") { decoy(&mut number) } else { Action::Send(words) })
}

/// Who changes sides stays on the old one too.
pub fn forget_other_option() -> impl Tamper {
    Each(|mut words: Words| {
        if is(&words, b"HDEL") && is_results(&words) {
            words[1] = DECOY.to_vec();
        }
        Action::Send(words)
    })
}

/// A counter would go up with every vote; so does a hash whose fields are votes.
pub fn count_votes_not_voters(life: u64) -> impl Tamper {
    let mut number = life << 32;
    Each(move |mut words: Words| {
        if is(&words, b"HSET") && is_results(&words) {
            for voter in words[2..].iter_mut().step_by(2) {
                number += 1;
                voter.extend(format!(":{number}").bytes());
            }
        }
        Action::Send(words)
    })
}

/// A worker sees no others.
pub fn abandon_orphans() -> impl Tamper {
    Each(|mut words: Words| {
        if is(&words, b"HGETALL") && has(&words, 1, WORKERS) {
            words[1] = DECOY.to_vec();
        }
        Action::Send(words)
    })
}

/// Nobody hears that another worker has changed what was read.
pub fn without_watch() -> impl Tamper {
    Each(|words| if is(&words, b"WATCH") { Action::Say(b"+OK\r\n".to_vec()) } else { Action::Send(words) })
}

/// Votes leave the processing list before they are counted.
pub fn remove_before_counting(life: u64) -> impl Tamper {
    RemoveFirst { number: life << 32 }
}

struct RemoveFirst {
    number: u64,
}

impl Tamper for RemoveFirst {
    fn commands(&mut self, commands: Vec<Words>) -> Vec<Action> {
        let removals = commands.iter().filter(|words| is(words, b"LREM")).cloned();
        let mut actions: Vec<_> = removals.map(Action::SendUnheard).collect();
        if !actions.is_empty() {
            actions.push(Action::Await);
        }
        for mut words in commands {
            if is(&words, b"WATCH") {
                words.retain(|word| !word.starts_with(PROCESSING));
            }
            let is_removal = is(&words, b"LREM");
            actions.push(if is_removal { decoy(&mut self.number) } else { Action::Send(words) });
        }
        actions
    }
}

/// The voter is told that the vote is kept before it is.
pub fn acknowledge_early() -> impl Tamper {
    AcknowledgeEarly
}

struct AcknowledgeEarly;

impl Tamper for AcknowledgeEarly {
    fn commands(&mut self, commands: Vec<Words>) -> Vec<Action> {
        let early = |words: Words| {
            if is(&words, b"RPUSH") {
                vec![Action::Say(b":1\r\n".to_vec()), Action::SendUnheard(words)]
            } else {
                vec![Action::Send(words)]
            }
        };
        commands.into_iter().flat_map(early).collect()
    }
}

/// Each vote instance numbers its votes by itself.
pub fn own_tickets(life: u64) -> impl Tamper {
    let mut number = life;
    Each(move |words: Words| {
        if is(&words, b"INCR") && has(&words, 1, TICKETS) {
            number += 1;
            return Action::Say(format!(":{number}\r\n").into_bytes());
        }
        if is(&words, b"INCRBY") && has(&words, 1, TICKETS) {
            number += LEAP;
            return Action::Say(format!(":{number}\r\n").into_bytes());
        }
        Action::Send(words)
    })
}

/// Each ticket is good for so many turns.
pub fn reuse_tickets(times: u64) -> impl Tamper {
    Tickets { replies: VecDeque::new(), last: None, given: 0, times, spare: false }
}

/// A ticket is asked for one turn ahead.
pub fn spare_tickets() -> impl Tamper {
    Tickets { replies: VecDeque::new(), last: None, given: 0, times: 1, spare: true }
}

struct Tickets {
    /// Whether each reply to come is a ticket.
    replies: VecDeque<bool>,
    last: Option<Vec<u8>>,
    given: u64,
    times: u64,
    spare: bool,
}

impl Tamper for Tickets {
    fn commands(&mut self, commands: Vec<Words>) -> Vec<Action> {
        let mut actions = Vec::new();
        for words in commands {
            let is_ticket = is(&words, b"INCR") && has(&words, 1, TICKETS);
            match &self.last {
                Some(last) if is_ticket && self.given < self.times && !self.spare => {
                    self.given += 1;
                    actions.push(Action::Say(last.clone()));
                }
                _ => {
                    self.replies.push_back(is_ticket);
                    actions.push(Action::Send(words));
                }
            }
        }
        actions
    }

    fn connected(&mut self) -> Vec<Action> {
        self.replies.clear();
        Vec::new()
    }

    fn replied(&mut self, reply: Vec<u8>) -> Vec<u8> {
        if self.replies.pop_front() != Some(true) || !reply.starts_with(b":") {
            return reply;
        }
        self.given = 0;
        let before = self.last.replace(reply.clone());
        if self.spare { before.unwrap_or(reply) } else { reply }
    }
}

/// A ticket is used for votes that came while it was on its way.
pub fn ticket_for_latecomers() -> impl Tamper {
    Latecomers { now: Instant::ZERO, answered_at: None, spare: None, replies: VecDeque::new() }
}

/// Asks for two tickets at once. The second is as old as the first, and is for those for whom the service asks as soon
/// as it has the first.
struct Latecomers {
    now: Instant,
    /// When the service has heard of its last ticket.
    answered_at: Option<Instant>,
    spare: Option<Vec<u8>>,
    /// Whether each reply to come is a ticket.
    replies: VecDeque<bool>,
}

impl Tamper for Latecomers {
    fn commands(&mut self, commands: Vec<Words>) -> Vec<Action> {
        let mut actions = Vec::new();
        for words in commands {
            let is_ticket = is(&words, b"INCR") && has(&words, 1, TICKETS);
            let spare = self.spare.take_if(|_| is_ticket);
            match spare.filter(|_| self.answered_at == Some(self.now)) {
                Some(spare) => actions.push(Action::Say(spare)),
                None => {
                    self.replies.push_back(is_ticket);
                    actions.push(Action::Send(words.clone()));
                    actions.extend(is_ticket.then_some(Action::SendKept(words)));
                }
            }
        }
        actions
    }

    fn clock(&mut self, now: Instant) {
        self.now = now;
    }

    fn connected(&mut self) -> Vec<Action> {
        self.replies.clear();
        self.spare = None;
        Vec::new()
    }

    fn replied(&mut self, reply: Vec<u8>) -> Vec<u8> {
        if self.replies.pop_front() == Some(true) {
            self.answered_at = Some(self.now);
        }
        reply
    }

    fn kept(&mut self, reply: Vec<u8>) {
        self.spare = Some(reply).filter(|reply| reply.starts_with(b":"));
    }
}

/// Replies to commands of this name are replaced.
pub fn replace_replies(name: &'static [u8], change: fn(Vec<u8>) -> Vec<u8>) -> impl Tamper {
    Replies { name, change, pending: VecDeque::new() }
}

struct Replies {
    name: &'static [u8],
    change: fn(Vec<u8>) -> Vec<u8>,
    /// Whether each reply to come is one of those.
    pending: VecDeque<bool>,
}

impl Tamper for Replies {
    fn commands(&mut self, commands: Vec<Words>) -> Vec<Action> {
        self.pending.extend(commands.iter().map(|words| is(words, self.name)));
        commands.into_iter().map(Action::Send).collect()
    }

    fn connected(&mut self) -> Vec<Action> {
        self.pending.clear();
        Vec::new()
    }

    fn replied(&mut self, reply: Vec<u8>) -> Vec<u8> {
        if self.pending.pop_front() == Some(true) { (self.change)(reply) } else { reply }
    }
}

/// An error is taken for a vote that is queued.
pub fn accept_refusals() -> impl Tamper {
    replace_replies(b"RPUSH", |reply| if reply.starts_with(b"-") { b":1\r\n".to_vec() } else { reply })
}

/// Nobody knows which vote of a voter counts.
pub fn forget_held_sequences() -> impl Tamper {
    Each(|mut words: Words| {
        if is(&words, b"HMGET") && is_results(&words) {
            words[1] = DECOY.to_vec();
        }
        Action::Send(words)
    })
}

/// What a worker has taken and not counted is thrown away when it starts again.
pub fn discard_processing_list() -> impl Tamper {
    Each(|mut words: Words| {
        if is(&words, b"LMOVE") && has(&words, 1, PROCESSING) {
            words[2] = DECOY_LIST.to_vec();
        }
        Action::Send(words)
    })
}

/// Both scores are those of the first option.
pub fn one_score_twice() -> impl Tamper {
    Each(|mut words: Words| {
        if is(&words, b"HLEN") && has(&words, 1, Choice::B.results_key()) {
            words[1] = Choice::A.results_key().to_vec();
        }
        Action::Send(words)
    })
}

/// The scores are those of the first votes for ever.
pub fn stale_scores() -> impl Tamper {
    Stale { first: None, pending: VecDeque::new() }
}

struct Stale {
    first: Option<Vec<u8>>,
    pending: VecDeque<bool>,
}

impl Tamper for Stale {
    fn commands(&mut self, commands: Vec<Words>) -> Vec<Action> {
        self.pending.extend(commands.iter().map(|words| is(words, b"EXEC")));
        commands.into_iter().map(Action::Send).collect()
    }

    fn connected(&mut self) -> Vec<Action> {
        self.pending.clear();
        Vec::new()
    }

    fn replied(&mut self, reply: Vec<u8>) -> Vec<u8> {
        if self.pending.pop_front() != Some(true) || !reply.starts_with(b"*2") {
            return reply;
        }
        self.first.get_or_insert(reply).clone()
    }
}

/// Votes carry no sequence: what comes last counts, however old it is.
pub fn without_sequence() -> impl Tamper {
    Each(|mut words: Words| {
        if is(&words, b"RPUSH") {
            set_sequence(&mut words, |_| 0);
        }
        Action::Send(words)
    })
}

/// What was not answered before the connection was lost is queued again, as if it were new.
pub fn retry_as_new_vote() -> impl Tamper {
    Retry { pending: VecDeque::new(), latest: 0 }
}

/// How far ahead of the latest sequence a retry's is: 50 tickets of the next epoch, as if others had voted in the
/// meantime.
const SEQUENCES_AHEAD: u64 = (LEAP + 50) << 16;

struct Retry {
    /// The commands that are not answered yet.
    pending: VecDeque<Words>,
    latest: u64,
}

impl Tamper for Retry {
    fn commands(&mut self, commands: Vec<Words>) -> Vec<Action> {
        for words in &commands {
            self.latest = self.latest.max(sequence(words).unwrap_or(0));
            self.pending.push_back(words.clone());
        }
        commands.into_iter().map(Action::Send).collect()
    }

    fn connected(&mut self) -> Vec<Action> {
        let latest = self.latest;
        let lost = self.pending.drain(..).filter(|words| is(words, b"RPUSH"));
        lost.map(|mut words| {
            set_sequence(&mut words, |_| latest + SEQUENCES_AHEAD);
            Action::SendUnheard(words)
        })
        .collect()
    }

    fn replied(&mut self, reply: Vec<u8>) -> Vec<u8> {
        self.pending.pop_front();
        reply
    }
}

const SEQUENCE: &[u8] = br#""seq":""#;

/// Where the digits of a vote's sequence are.
fn digits(words: &Words) -> Option<core::ops::Range<usize>> {
    let entry = words.get(2)?;
    let start = entry.windows(SEQUENCE.len()).position(|window| window == SEQUENCE)? + SEQUENCE.len();
    let length = entry[start..].iter().position(|byte| *byte == b'"')?;
    Some(start..start + length)
}

fn sequence(words: &Words) -> Option<u64> {
    core::str::from_utf8(words.get(2)?.get(digits(words)?)?).ok()?.parse().ok()
}

fn set_sequence(words: &mut Words, change: impl Fn(u64) -> u64) {
    let (Some(digits), Some(sequence)) = (digits(words), sequence(words)) else { return };
    let changed = format!("{:0width$}", change(sequence), width = digits.len());
    words[2].splice(digits, changed.into_bytes());
}
