//! The voters: when they vote, for what and where, and how they take it when there is no answer.
//!
//! Sends nothing itself and judges nothing; what it decides, the seed decides.

use std::time::Duration;

use kernel_app::Instant;
use simulator::client::{Client, RequestId, post_form};
use simulator::random::Random;

use super::books::Books;
use super::chronicle::Event;
use super::cluster::{Cluster, voter_name};
use super::ledger::{Answer, Choice};

/// Most choices of a voter.
const CHOICES_MAX: u64 = 5;
/// Most choices of a hasty one.
const HASTY_CHOICES_MAX: u64 = 12;
/// How many voters are hasty, of a million.
const HASTY_PER_MILLION: u32 = 300_000;
/// Longest time until a voter votes for the first time.
const FIRST_MAX: Duration = Duration::from_secs(16);
/// Longest time between an accepted vote and the next choice.
const PAUSE_MAX: Duration = Duration::from_secs(4);
/// The same for a hasty one, whose votes follow each other through the instances.
const HASTY_PAUSE_MAX: Duration = Duration::from_millis(30);
/// Longest time between a failure and the next attempt.
const RETRY_MAX: Duration = Duration::from_millis(1_500);
/// How long a voter waits for an answer.
const PATIENCE: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(4)];
/// How often a voter who has failed makes up their mind anew, of a million.
const OTHER_CHOICE_PER_MILLION: u32 = 250_000;
/// How often one gives up for good.
const GIVES_UP_PER_MILLION: u32 = 20_000;

/// All voters.
pub struct Voters {
    voters: Vec<Voter>,
    random: Random,
}

struct Voter {
    /// Choices that are still to be made, the present one included.
    left: u64,
    choice: Choice,
    state: VoterState,
    is_hasty: bool,
}

#[derive(Clone, Copy)]
enum VoterState {
    /// Votes at this time.
    Thinking(Instant),
    /// Waits for the answer from an instance, until it is too long.
    Waiting {
        instance: usize,
        request: RequestId,
        until: Instant,
    },
    Done,
}

impl Voters {
    /// So many voters.
    pub fn new(count: usize, mut random: Random) -> Self {
        let voter = |_| {
            let is_hasty = random.happens(HASTY_PER_MILLION);
            Voter {
                left: 1 + random.below(if is_hasty { HASTY_CHOICES_MAX } else { CHOICES_MAX }),
                choice: random.pick(&Choice::ALL),
                state: VoterState::Thinking(Instant::ZERO + random.up_to(FIRST_MAX)),
                is_hasty,
            }
        };
        Self { voters: (0..count).map(voter).collect(), random }
    }

    /// When somebody does something next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadline = |voter: &Voter| match voter.state {
            VoterState::Thinking(until) | VoterState::Waiting { until, .. } => Some(until),
            VoterState::Done => None,
        };
        self.voters.iter().filter_map(deadline).min()
    }

    /// Whether all have voted as often as they wanted.
    pub fn are_done(&self) -> bool {
        self.voters.iter().all(|voter| matches!(voter.state, VoterState::Done))
    }

    /// Some voters want to vote once more, soon.
    pub fn encore(&mut self, per_million: u32, now: Instant) {
        for voter in &mut self.voters {
            if self.random.happens(per_million) {
                voter.left = 1;
                voter.choice = voter.choice.other();
                voter.state = VoterState::Thinking(now + self.random.up_to(RETRY_MAX));
            }
        }
    }

    /// Lets those act whose time has come.
    pub fn act(&mut self, cluster: &mut Cluster, books: &mut Books) {
        let now = cluster.simulation.now();
        for index in 0..self.voters.len() {
            match self.voters[index].state {
                VoterState::Thinking(at) if at <= now => self.vote(index, cluster, books),
                VoterState::Waiting { instance, request, until } if until <= now => {
                    cluster.simulation.abandon(&cluster.browsers[instance], request);
                    // Whether it was sent is known once the browser had its turn.
                    self.voters[index].state = VoterState::Waiting { instance, request, until: END };
                }
                _ => {}
            }
        }
    }

    fn vote(&mut self, index: usize, cluster: &mut Cluster, books: &mut Books) {
        let now = cluster.simulation.now();
        let instance = self.random.pick(&cluster.instances_in_service());
        let voter = &mut self.voters[index];
        let form = format!("vote={}", voter.choice.as_str());
        let request = post_form("/", &form, &format!("voter_id={}", voter_name(index)));
        let request = cluster.simulation.send(&cluster.browsers[instance], &request);
        let until = now + self.random.between(PATIENCE[0], PATIENCE[1]);
        voter.state = VoterState::Waiting { instance, request, until };
        books.ledger.cast(index, voter.choice, now);
        books.chronicle.add(now, Event::Cast { voter: index, choice: voter.choice, instance });
    }

    /// Takes what has become of requests.
    ///
    /// # Errors
    /// An answer that a vote must never have.
    pub fn hear(&mut self, cluster: &Cluster, books: &mut Books) -> Result<(), String> {
        for (at, browser) in cluster.browsers.iter().enumerate() {
            for settled in browser.take_settled() {
                let waits = |voter: &Voter| {
                    matches!(voter.state, VoterState::Waiting { instance, request, .. }
                        if instance == at && request == settled)
                };
                if let Some(index) = self.voters.iter().position(waits) {
                    let answer = answer(browser, settled)?;
                    self.settle(index, answer, cluster.simulation.now(), books);
                }
            }
        }
        Ok(())
    }

    fn settle(&mut self, index: usize, answer: Answer, now: Instant, books: &mut Books) {
        books.ledger.settle(index, answer, now);
        books.chronicle.add(now, Event::Answered { voter: index, answer });
        books.counts.answer(answer);
        let Self { voters, random } = self;
        let voter = &mut voters[index];
        if answer == Answer::Accepted {
            voter.left -= 1;
            voter.choice = random.pick(&Choice::ALL);
            let pause_max = if voter.is_hasty { HASTY_PAUSE_MAX } else { PAUSE_MAX };
            voter.state = VoterState::Thinking(now + random.up_to(pause_max));
        } else {
            if random.happens(OTHER_CHOICE_PER_MILLION) {
                voter.choice = voter.choice.other();
            }
            if random.happens(GIVES_UP_PER_MILLION) {
                voter.left = 0;
            }
            voter.state = VoterState::Thinking(now + random.up_to(RETRY_MAX));
        }
        if voter.left == 0 {
            voter.state = VoterState::Done;
        }
    }
}

/// Never comes.
const END: Instant = Instant::from_micros(u64::MAX);

fn answer(browser: &Client, request: RequestId) -> Result<Answer, String> {
    match browser.response(request) {
        Some(response) if response.status == 200 => Ok(Answer::Accepted),
        Some(response) if response.status == 503 => Ok(Answer::Refused),
        Some(response) => Err(format!("a vote was answered with {}", response.status)),
        None if browser.is_unsent(request) => Ok(Answer::Unsent),
        None => Ok(Answer::Lost),
    }
}
