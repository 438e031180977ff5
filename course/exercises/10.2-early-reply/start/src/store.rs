//! The store: a register for each client, in memory and in a log on the disk. Edit this file.
//!
//! Like every service here it is a state machine. `receive` gets a command, `turn` comes once a tick, and both may
//! add replies to `replies`: those are with the clients at once.

use crate::disk::{Change, Disk};

/// How many clients there are, and registers.
pub const CLIENTS: usize = 8;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Gives its own register this value.
    Set(u64),
    /// Asks for the value of any register.
    Read(usize),
}

/// What a client is told: the value that it has set or asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Who is told.
    pub client: usize,
    /// Which register is spoken of.
    pub register: usize,
    /// The register's value.
    pub value: u64,
}

/// The store.
#[derive(Debug, Default)]
pub struct Store {
    registers: [u64; CLIENTS],
    /// What has changed and is not yet given to the disk.
    gathering: Vec<Change>,
}

impl Store {
    /// The store after a start: its data are what the disk has.
    pub fn recover(disk: &Disk) -> Self {
        let mut store = Self::default();
        disk.durable().iter().for_each(|(register, value)| store.registers[*register] = *value);
        store
    }

    /// A client has sent a command.
    pub fn receive(&mut self, client: usize, command: Command, replies: &mut Vec<Reply>) {
        let register = match command {
            Command::Set(value) => {
                self.registers[client] = value;
                self.gathering.push((client, value));
                client
            }
            Command::Read(register) => register,
        };
        replies.push(Reply { client, register, value: self.registers[register] });
    }

    /// A tick of the clock: the place for work that is done once for many commands.
    pub fn turn(&mut self, disk: &mut Disk, now: u64, _replies: &mut Vec<Reply>) {
        let _ = disk.outcome(now);
        if !disk.is_busy() && !self.gathering.is_empty() {
            disk.write(core::mem::take(&mut self.gathering), now);
        }
    }
}
