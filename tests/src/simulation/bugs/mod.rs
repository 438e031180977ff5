//! Deliberate bugs, each of which the simulation must catch: the proof that it can fail.
//!
//! None is in the services: each is put in from outside, by a man in the middle between a service and the
//! store ([`relay`]), by a disk that is not what the store takes it for ([`disks`]), or by a database that does not
//! do what it was told ([`Flaw`]).

mod commands;
mod disks;
mod relay;

use std::time::Duration;

use kernel_app::Service;

use super::database::Flaw;
use super::plan::Plan;
use super::role::Role;
use disks::{Dealing, Misled};
use relay::{Relay, Tamper};

macro_rules! bugs {
    ($($bug:ident $name:literal $role:ident $seeds:literal $what:literal;)*) => {
        /// A deliberate bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug { $(#[doc = $what] $bug),* }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$bug),*];

            /// What it is called.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$bug => $name),* }
            }

            /// What is wrong.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$bug => $what),* }
            }

            /// Within how many seeds, from 0 on, it is caught.
            pub const fn seeds_max(self) -> u64 {
                match self { $(Self::$bug => $seeds),* }
            }

            /// The nodes that have it.
            const fn role(self) -> Role {
                match self { $(Self::$bug => Role::$role),* }
            }
        }
    };
}

bugs! {
    DropFlush "drop-flush" Store 100 "The store takes writes for durable that the disk has only cached.";
    FlushEverySecond "flush-every-second" Store 50 "The store flushes once a second, as Redis does by default.";
    IgnoreWriteErrors "ignore-write-errors" Store 50 "The store takes a failed write for a good one.";
    TrustCache "trust-cache" Store 200
        "What is read at the start is what a process before has cached, not what the disk has.";
    CutWritesShort "cut-writes-short" Store 20 "The store leaves out a write's last sector.";
    FlipBeforeCopy "flip-before-copy" Store 200 "A compaction's superblock is durable before its records.";
    FlipWithCopy "flip-with-copy" Store 200
        "A compaction's last records are flushed with the superblock that needs them, not before.";
    FlipNotDone "flip-not-done" Store 200 "A failed change of halves is taken for one that has not happened.";
    BehindFailures "behind-failures" Store 50 "After a failed commit the log goes on behind what failed.";
    BehindParts "behind-parts" Store 200
        "After a failed commit the log goes on behind the parts of it that were written.";
    SkipChecksums "skip-checksums" Store 200 "Recovery believes torn records.";
    IgnoreReadErrors "ignore-read-errors" Store 200 "Sectors that cannot be read are taken for zeros.";
    DamageIsTail "damage-is-tail" Store 100 "Damage in the midst of the log is taken for its end.";
    DamageIsBlank "damage-is-blank" Store 100 "A store whose log is damaged begins anew.";
    AcceptAllLoss "accept-all-loss" Store 200
        "Told to accept the loss of what is behind damage, the store begins anew.";
    PopWithoutProcessingList "pop-without-processing-list" Worker 100 "A popped vote is only in the worker's memory.";
    DiscardProcessingList "discard-processing-list" Worker 50
        "What a worker has taken and not counted is thrown away when it starts again.";
    ForgetRemoval "forget-removal" Worker 20 "A counted vote stays on the processing list.";
    ForgetOtherOption "forget-other-option" Worker 20 "Who changes sides stays on the old one too.";
    ForgetHeldSequences "forget-held-sequences" Worker 50 "A worker does not look which vote of a voter counts.";
    RemoveBeforeCounting "remove-before-counting" Worker 50 "A vote leaves the processing list before it is counted.";
    CountVotes "count-votes" Worker 20 "Votes are counted instead of voters.";
    AbandonOrphans "abandon-orphans" Worker 50
        "What a worker had taken that never comes back is left where it is.";
    WithoutWatch "without-watch" Worker 200 "Two workers count by what the other one has changed since.";
    AcknowledgeEarly "acknowledge-early" Vote 100 "The voter is told that the vote is kept before the store says so.";
    AcceptRefusals "accept-refusals" Vote 100 "The voter is told that the vote is kept whatever the store says.";
    OwnTickets "own-tickets" Vote 20 "Each vote instance numbers its votes by itself.";
    ReuseTickets "reuse-tickets" Vote 20 "A vote instance asks for a ticket every fourth time only.";
    SpareTickets "spare-tickets" Vote 50 "A vote instance asks for its next ticket before there is a vote for it.";
    TicketForLatecomers "ticket-for-latecomers" Vote 200
        "A ticket is used for votes that came after it was asked for.";
    WithoutSequence "without-sequence" Vote 50 "A vote that comes late overrides a newer one.";
    RetryAsNewVote "retry-as-new-vote" Vote 100 "A refused vote is queued again later, as a new one.";
    RecordWithoutGuard "record-without-guard" Worker 50 "In the database the vote that comes last counts.";
    RecordWithoutEpochs "record-without-epochs" Worker 100
        "The database compares sequences of a store with those of another that has taken its place.";
    RecordWithoutSequence "record-without-sequence" Worker 50
        "A vote that takes another's place in the database does not leave its sequence there.";
    IgnoreDatabaseErrors "ignore-database-errors" Worker 50 "What the database refuses is taken for recorded.";
    CommitLater "commit-later" Worker 100 "The database says that it has what its disk has not.";
    OneScoreTwice "one-score-twice" Result 20 "Both scores are those of the first option.";
    StaleScores "stale-scores" Result 20 "The scores shown are those of the first question.";
}

impl Bug {
    /// The bug of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|bug| bug.name() == name)
    }

    /// The application in which it can be seen.
    pub const fn fit(self, plan: Plan) -> Plan {
        let plan = match self.role() {
            Role::Store => Plan { has_disk: true, ..plan },
            // Their commands are those for results in the store.
            Role::Worker | Role::Result => Plan { has_database: self.flaw().is_some(), ..plan },
            Role::Vote => plan,
        };
        match self {
            Self::AcceptRefusals => Plan { is_cramped: true, ..plan },
            Self::RecordWithoutEpochs => Plan { has_disk: false, ..plan },
            Self::FlipBeforeCopy | Self::FlipWithCopy | Self::FlipNotDone | Self::BehindParts => {
                Plan { has_neighbour: true, ..plan }
            }
            _ => plan,
        }
    }

    /// What is wrong with the database, or how it is used.
    pub const fn flaw(self) -> Option<Flaw> {
        match self {
            Self::RecordWithoutGuard => Some(Flaw::NoGuard),
            Self::RecordWithoutEpochs => Some(Flaw::EpochsIgnored),
            Self::RecordWithoutSequence => Some(Flaw::SequenceForgotten),
            Self::IgnoreDatabaseErrors => Some(Flaw::RefusalsIgnored),
            Self::CommitLater => Some(Flaw::CommitsLost),
            _ => None,
        }
    }

    /// Puts the bug into a node's services, if it is a node that has it. `life` tells a node's starts apart; a store
    /// may have been told to accept a loss.
    pub fn afflict(
        self,
        role: Role,
        life: u64,
        recovers: bool,
        services: Vec<Box<dyn Service>>,
    ) -> Vec<Box<dyn Service>> {
        if role != self.role() || (self == Self::AcceptAllLoss && !recovers) {
            return services;
        }
        services.into_iter().map(|service| self.spoil(service, life)).collect()
    }

    fn spoil(self, service: Box<dyn Service>, life: u64) -> Box<dyn Service> {
        let misled = |service, dealing| Box::new(Misled::new(service, dealing)) as _;
        match self {
            Self::DropFlush => misled(service, Dealing::Cached(Duration::ZERO)),
            Self::FlushEverySecond => misled(service, Dealing::Cached(Duration::from_secs(1))),
            Self::IgnoreWriteErrors => misled(service, Dealing::FailuresIgnored),
            // The disk itself keeps its cache, and the database has its own flaws.
            Self::TrustCache
            | Self::RecordWithoutGuard
            | Self::RecordWithoutEpochs
            | Self::RecordWithoutSequence
            | Self::IgnoreDatabaseErrors
            | Self::CommitLater => service,
            Self::CutWritesShort => misled(service, Dealing::CutShort),
            Self::FlipBeforeCopy => misled(service, Dealing::SuperblockFirst),
            Self::FlipWithCopy => misled(service, Dealing::CopyUnflushed),
            Self::FlipNotDone => misled(service, Dealing::FlipNotDone),
            Self::BehindFailures => misled(service, Dealing::BehindFailures),
            Self::BehindParts => misled(service, Dealing::BehindParts),
            Self::SkipChecksums => misled(service, Dealing::ChecksumsIgnored),
            Self::IgnoreReadErrors => misled(service, Dealing::ReadsIgnored),
            Self::DamageIsTail => misled(service, Dealing::DamageIsTail),
            Self::DamageIsBlank | Self::AcceptAllLoss => misled(service, Dealing::DamageIsBlank),
            Self::PopWithoutProcessingList => relayed(service, commands::pop_without_processing_list(life)),
            Self::DiscardProcessingList => relayed(service, commands::discard_processing_list()),
            Self::ForgetHeldSequences => relayed(service, commands::forget_held_sequences()),
            Self::ForgetRemoval => relayed(service, commands::forget_removal(life)),
            Self::ForgetOtherOption => relayed(service, commands::forget_other_option()),
            Self::RemoveBeforeCounting => relayed(service, commands::remove_before_counting(life)),
            Self::CountVotes => relayed(service, commands::count_votes_not_voters(life)),
            Self::AbandonOrphans => relayed(service, commands::abandon_orphans()),
            Self::WithoutWatch => relayed(service, commands::without_watch()),
            Self::AcknowledgeEarly => relayed(service, commands::acknowledge_early()),
            Self::AcceptRefusals => relayed(service, commands::accept_refusals()),
            Self::ReuseTickets => relayed(service, commands::reuse_tickets(3)),
            Self::SpareTickets => relayed(service, commands::spare_tickets()),
            Self::TicketForLatecomers => relayed(service, commands::ticket_for_latecomers()),
            Self::OneScoreTwice => relayed(service, commands::one_score_twice()),
            Self::StaleScores => relayed(service, commands::stale_scores()),
            Self::OwnTickets => relayed(service, commands::own_tickets(life)),
            Self::WithoutSequence => relayed(service, commands::without_sequence()),
            Self::RetryAsNewVote => relayed(service, commands::retry_as_new_vote()),
        }
    }
}

fn relayed(service: Box<dyn Service>, tamper: impl Tamper + 'static) -> Box<dyn Service> {
    Box::new(Relay::new(service, tamper))
}
