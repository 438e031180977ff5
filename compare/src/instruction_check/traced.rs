//! A guest that is followed from its first instruction on: each instruction's address, in order, turn by turn.
//!
//! For pictures, not for checks: a traced guest is a hundred times slower than a counted one, and executes the same.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use image_build::vm::machine::Machine;

use super::guest::{Guest, TURNS_MAX, settings};
use super::peer;
use super::workload::{VOTE_PORT, WARM_UP, is_whole, request};
use crate::child;
use crate::context::Context;
use crate::record::Method;
use crate::trace::take_in_order;
use image_build::vm::qmp::Monitor;

/// A port of the peer at which nothing listens, for those whose store it cannot play.
const NO_STORE_PORT: u16 = 6380;

/// Who has spoken to a guest before it had a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// Who asks for a page or votes.
    Voter,
    /// The store, which answers a command.
    Store,
}

/// What a guest executed between two times at which it rested.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Whose frames it found.
    pub heard: Party,
    /// The addresses of its instructions, in order.
    pub trace: Vec<u64>,
}

/// A guest whose instructions are followed.
pub struct TracedGuest {
    guest: Guest,
    /// The addresses of the instructions of its boot.
    boot: Vec<u64>,
    /// How many instructions that were, as QEMU counted them; none of a machine that has ended.
    count: Option<u64>,
}

impl TracedGuest {
    /// Boots the program `name` in `image`, until it rests or has ended. The peer is a store for the vote service;
    /// others find none.
    ///
    /// # Errors
    /// When it does neither in time, or QEMU does not tell the instructions.
    pub fn boot(context: &Context, name: &str, image: PathBuf, machine: Machine) -> Result<Self> {
        let has_store = name == "vote-service";
        let settings = settings(if has_store { peer::STORE_PORT } else { NO_STORE_PORT });
        let mut guest = Guest::prepare(context, name, image, machine, &settings)?;
        guest.monitor.log_instructions(true)?;
        let rests = if has_store { guest.find_the_store().map(|()| true) } else { guest.rests_or_ends() };
        let rests = rests.with_context(|| format!("{name} fails\n{}", child::log_tail(&guest.serial)))?;
        if rests {
            guest.monitor.log_instructions(false)?;
        }
        let boot = take_in_order(&guest.log)?;
        let count = rests.then_some(guest.count);
        Ok(Self { guest, boot, count })
    }

    /// The addresses of the instructions of its boot, and how many QEMU has counted unless the machine has ended.
    pub fn boot_trace(&self) -> (&[u64], Option<u64>) {
        (&self.boot, self.count)
    }

    /// The machine's monitor, while the machine is held; none of a machine that has ended.
    pub fn monitor(&mut self) -> Option<&mut Monitor> {
        self.count.is_some().then_some(&mut self.guest.monitor)
    }

    /// What the guest has said on its serial line.
    pub fn serial(&self) -> &Path {
        &self.guest.serial
    }

    /// A folder that QEMU can write to, which goes with the guest.
    pub fn folder(&self) -> &Path {
        self.guest.directory.path()
    }

    /// What the vote service executes for the first request that it ever gets, with its connection: turn by turn.
    ///
    /// # Errors
    /// When it is not answered well, or the guest does not come to rest.
    pub fn first_answer(&mut self) -> Result<Vec<Turn>> {
        self.guest.peer.open(VOTE_PORT, 1, &request(Method::Get, true), true)?;
        let turns = self.turns()?;
        self.guest.hang_up()?;
        Ok(turns)
    }

    /// What it executes for a request on an open connection, after others that have warmed it up: turn by turn.
    ///
    /// # Errors
    /// As [`first_answer`](Self::first_answer).
    pub fn request(&mut self, method: Method) -> Result<Vec<Turn>> {
        let request = request(method, true);
        self.guest.peer.open(VOTE_PORT, 1, &[], true)?;
        self.guest.settle()?;
        for _ in 0..WARM_UP {
            self.guest.peer.ask(&request);
            self.guest.settle()?;
            self.guest.peer.check(is_whole)?;
        }
        self.guest.pause()?;
        self.guest.peer.ask(&request);
        let turns = self.turns()?;
        self.guest.hang_up()?;
        Ok(turns)
    }

    /// Lets peer and guest speak until neither has anything to say.
    fn turns(&mut self) -> Result<Vec<Turn>> {
        let mut turns = Vec::new();
        loop {
            let requests = self.guest.peer.store_requests();
            let frames = self.guest.peer.speak()?;
            let has_store_spoken = self.guest.peer.store_requests() > requests;
            let heard = if has_store_spoken { Party::Store } else { Party::Voter };
            if frames == 0 {
                self.guest.peer.check(is_whole)?;
                return Ok(turns);
            }
            ensure!(turns.len() < TURNS_MAX, "the guest and its peer do not come to an end");
            self.guest.monitor.log_instructions(true)?;
            self.guest.turn(frames)?;
            self.guest.monitor.log_instructions(false)?;
            turns.push(Turn { heard, trace: take_in_order(&self.guest.log)? });
        }
    }
}
