//! Which commands were exercised, and how they ended.

use std::collections::BTreeMap;

use store_service::command::Command;

use super::Step;

/// Counts by command.
#[derive(Debug, Default)]
pub struct Coverage {
    /// Commands that were sent, unknown ones included.
    pub commands: usize,
    counts: BTreeMap<&'static str, Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    ok: usize,
    errors: usize,
    queued: usize,
}

/// Commands that Redis refuses for no arguments; a password aside.
const NEVER_REFUSED: [&str; 2] = ["quit", "info"];

impl Coverage {
    /// Notes the commands of a stream with their replies.
    pub fn note(&mut self, steps: &[Step], replies: &[Vec<u8>]) {
        self.commands += steps.len();
        for (step, reply) in steps.iter().zip(replies) {
            let Some(command) = Command::find(&step.args[0]) else { continue };
            let counts = self.counts.entry(command.spec().name).or_default();
            match reply.as_slice() {
                [b'-', ..] => counts.errors += 1,
                b"+QUEUED\r\n" => counts.queued += 1,
                _ => counts.ok += 1,
            }
        }
    }

    /// The commands that were not seen to succeed, to be refused, or (those that can be) to be queued.
    pub fn gaps(&self) -> Vec<String> {
        let gaps = |command: &Command| {
            let name = command.spec().name;
            let counts = self.counts.get(name).copied().unwrap_or_default();
            let has_error = counts.errors > 0 || NEVER_REFUSED.contains(&name);
            (counts.ok == 0 || !has_error).then(|| format!("{name}: {counts:?}"))
        };
        Command::ALL.iter().filter_map(gaps).collect()
    }

    /// The counts as text, a command a line.
    pub fn table(&self) -> String {
        let line = |(name, counts): (&&str, &Counts)| {
            format!("{name:9} ok {:6}  error {:6}  queued {:6}\n", counts.ok, counts.errors, counts.queued)
        };
        self.counts.iter().map(line).collect()
    }
}
