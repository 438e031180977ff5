//! Writes every change by itself, and answers one client after the other.

use crate::disk::Disk;

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

/// The store: what is to be done comes one after the other.
#[derive(Debug, Default)]
pub struct Store {
    registers: [u64; CLIENTS],
    waiting: std::collections::VecDeque<(usize, Command)>,
    committing: Option<Reply>,
}

impl Store {
    /// The store after a start: its data are what the disk has.
    pub fn recover(disk: &Disk) -> Self {
        let mut store = Self::default();
        disk.durable().iter().for_each(|(register, value)| store.registers[*register] = *value);
        store
    }

    /// A client has sent a command.
    pub fn receive(&mut self, client: usize, command: Command, _replies: &mut Vec<Reply>) {
        self.waiting.push_back((client, command));
    }

    /// A tick of the clock.
    pub fn turn(&mut self, disk: &mut Disk, now: u64, replies: &mut Vec<Reply>) {
        if disk.outcome(now) {
            replies.extend(self.committing.take());
        }
        while !disk.is_busy()
            && let Some((client, command)) = self.waiting.pop_front()
        {
            match command {
                Command::Read(register) => {
                    replies.push(Reply { client, register, value: self.registers[register] });
                }
                Command::Set(value) => {
                    self.registers[client] = value;
                    self.committing = Some(Reply { client, register: client, value });
                    disk.write(vec![(client, value)], now);
                }
            }
        }
    }
}
