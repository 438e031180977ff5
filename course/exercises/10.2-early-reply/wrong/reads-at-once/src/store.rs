//! Holds back what a change is answered, but not what is read.

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

/// The store: two batches, of which one gathers while the other is written.
#[derive(Debug, Default)]
pub struct Store {
    registers: [u64; CLIENTS],
    /// What has changed and is not yet given to the disk.
    gathering: Vec<Change>,
    /// What waits for it, or for what is written now.
    waiting: Vec<Reply>,
    /// What waits for the write under way.
    committing: Vec<Reply>,
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
        match command {
            Command::Set(value) => {
                self.registers[client] = value;
                self.gathering.push((client, value));
                self.waiting.push(Reply { client, register: client, value });
            }
            Command::Read(register) => {
                replies.push(Reply { client, register, value: self.registers[register] });
            }
        }
    }

    /// A tick of the clock: hears of the write that has ended, and begins the next with all that has gathered.
    pub fn turn(&mut self, disk: &mut Disk, now: u64, replies: &mut Vec<Reply>) {
        if disk.outcome(now) {
            replies.append(&mut self.committing);
        }
        if disk.is_busy() {
            return;
        }
        if self.gathering.is_empty() {
            // All that there is to read is durable.
            replies.append(&mut self.waiting);
        } else {
            core::mem::swap(&mut self.waiting, &mut self.committing);
            disk.write(core::mem::take(&mut self.gathering), now);
        }
    }
}
