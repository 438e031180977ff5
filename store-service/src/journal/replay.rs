//! Replay of records' payloads into a keyspace.
//!
//! It reads no disk. It checks everything in a payload, because even a record with a right checksum may come from
//! another program.

use alloc::vec::Vec;
use core::fmt;

use kernel_app::Buffer;
use wire::resp::{Args, ArgsBuffer, Framer};

use crate::command::Command;
use crate::keyspace::{ADD, BEGIN, Keyspace};
use crate::limits::REPLY_BYTES_MAX;

/// Most bytes of one unit: more than a transaction can have, whose arguments are bounded together.
const UNIT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a record's commands cannot be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// They are no commands, or none that change something.
    Malformed,
    /// One of them is refused, although it was not when it was logged.
    Refused,
    /// The data take more memory than the machine has.
    TooLarge,
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => {
                "it contains no commands that this version knows: use the version that wrote it"
            }
            Self::Refused => "its commands do not fit the data before it: use the version that wrote it",
            Self::TooLarge => {
                "its data needs more memory than this machine has: give the machine more memory"
            }
        })
    }
}

/// Carries out what records say, in their order.
#[derive(Debug)]
pub struct Replay {
    framer: Framer,
    /// The parts of a unit that goes on.
    unit: Vec<u8>,
    /// The command and the key that `KEY` began, and then what `ADD` makes of them.
    begun: Option<(Command, Vec<u8>)>,
    args: ArgsBuffer,
    /// Replies, which nobody gets.
    replies: Buffer,
    /// How many commands were carried out.
    pub commands: u64,
}

impl Replay {
    pub fn new() -> Self {
        Self {
            framer: Framer::new(),
            unit: Vec::new(),
            begun: None,
            args: ArgsBuffer::new(),
            replies: Buffer::new(2 * REPLY_BYTES_MAX),
            commands: 0,
        }
    }

    /// Takes a record's payload; when the unit `continues`, nothing is carried out yet.
    ///
    /// # Errors
    /// When its commands cannot be carried out.
    pub fn record(
        &mut self,
        payload: &[u8],
        continues: bool,
        keyspace: &mut Keyspace,
    ) -> Result<(), ReplayError> {
        if !continues && self.unit.is_empty() {
            return self.commands_of(payload, keyspace);
        }
        if self.unit.len() + payload.len() > UNIT_BYTES_MAX {
            return Err(ReplayError::Malformed);
        }
        self.unit.extend_from_slice(payload);
        if continues {
            return Ok(());
        }
        let unit = core::mem::take(&mut self.unit);
        self.commands_of(&unit, keyspace)
    }

    fn commands_of(&mut self, mut bytes: &[u8], keyspace: &mut Keyspace) -> Result<(), ReplayError> {
        let mut framer = core::mem::take(&mut self.framer);
        while !bytes.is_empty() {
            let frame = framer.next(bytes).ok().flatten().ok_or(ReplayError::Malformed)?;
            self.command(frame.args, keyspace)?;
            bytes = &bytes[frame.bytes..];
        }
        self.framer = framer;
        Ok(())
    }

    fn command(&mut self, args: Args<'_>, keyspace: &mut Keyspace) -> Result<(), ReplayError> {
        self.commands += 1;
        match args.get(0) {
            Some(BEGIN) if args.len() == 3 => {
                let command = Command::find(&args[1]).ok_or(ReplayError::Malformed)?;
                self.begun = Some((command, args[2].to_vec()));
                Ok(())
            }
            Some(ADD) => self.add(args, keyspace),
            Some(name) => {
                let command = Command::find(name).ok_or(ReplayError::Malformed)?;
                self.execute(command, args, keyspace)
            }
            None => Err(ReplayError::Malformed),
        }
    }

    fn add(&mut self, items: Args<'_>, keyspace: &mut Keyspace) -> Result<(), ReplayError> {
        let (command, key) = self.begun.take().ok_or(ReplayError::Malformed)?;
        let mut buffer = core::mem::take(&mut self.args);
        buffer.clear();
        buffer.push([command.spec().name.as_bytes(), &key].into_iter().chain(items.iter().skip(1)));
        let args = buffer.get(0).ok_or(ReplayError::Malformed)?;
        self.execute(command, args, keyspace)?;
        self.begun = Some((command, key));
        self.args = buffer;
        Ok(())
    }

    fn execute(
        &mut self,
        command: Command,
        args: Args<'_>,
        keyspace: &mut Keyspace,
    ) -> Result<(), ReplayError> {
        if !command.is_logged() || !command.takes(args.len()) {
            return Err(ReplayError::Malformed);
        }
        self.replies.clear();
        keyspace.execute(command, args, &mut self.replies).map_err(|_| ReplayError::Refused)?;
        // More than `MAXMEMORY` is read, too: it is refused to grow, but not to be there.
        if keyspace.bytes() > keyspace.loadable_bytes() { Err(ReplayError::TooLarge) } else { Ok(()) }
    }
}

/// Carries out commands as a log has them.
#[cfg(test)]
pub(crate) fn load(commands: &[u8], keyspace: &mut Keyspace) {
    Replay::new().record(commands, false, keyspace).expect("commands that a store has written");
}
