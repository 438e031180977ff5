//! NewVotes as a vote service adds them to the store's queue, each of another voter.

use anyhow::{Context as _, Result};
use simulator::random::Random;
use votes::{Choice, Entry, keys, sequence};
use wire::Buffer;
use wire::resp::{COMMAND_BYTES_MAX, write_command};

/// The ticket with which sequences begin: that of a service that has run for a while.
const TICKET_FIRST: u64 = 100_000;

/// What makes the ids: the same in every count.
const SEED: u64 = 1;

/// A sequence of votes.
#[derive(Debug)]
pub struct NewVotes {
    random: Random,
    /// How many there were.
    count: u64,
}

impl Default for NewVotes {
    fn default() -> Self {
        Self { random: Random::new(SEED), count: 0 }
    }
}

impl NewVotes {
    /// The commands that add so many new ones.
    ///
    /// # Errors
    /// When they are longer than a command may be.
    pub fn push(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut commands = Buffer::new(COMMAND_BYTES_MAX);
        for _ in 0..count {
            let json = self.next().to_json().context("a vote is longer than a vote service's")?;
            write_command(&mut commands, &[b"RPUSH", keys::QUEUE, json.as_bytes()])
                .with_context(|| format!("{count} votes are too many for one piece"))?;
        }
        Ok(commands.as_slice().to_vec())
    }

    fn next(&mut self) -> Entry<'static> {
        self.count += 1;
        Entry {
            voter_id: self.id().into(),
            choice: self.random.pick(&Choice::ALL),
            id: self.id().into(),
            sequence: sequence::first_of(TICKET_FIRST) + self.count,
        }
    }

    /// 32 digits, as a vote service draws them. Ids with a common beginning would take longer to be told apart.
    fn id(&mut self) -> String {
        format!("{:016x}{:016x}", self.random.next(), self.random.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vote_is_another_voter_s_and_newer() {
        let mut votes = NewVotes::default();
        let (first, second) = (votes.next(), votes.next());
        assert!(first.voter_id != second.voter_id && first.sequence < second.sequence);
        assert_eq!(first.voter_id.len(), 32);
    }

    #[test]
    fn a_push_is_what_a_vote_service_sends() {
        let commands = NewVotes::default().push(2).expect("room");
        let text = String::from_utf8(commands).expect("text");
        assert!(text.starts_with("*3\r\n$5\r\nRPUSH\r\n$5\r\nvotes\r\n$127\r\n{\"voter_id\":\""), "{text}");
        assert_eq!(text.matches("RPUSH").count(), 2);
        assert!(NewVotes::default().push(1000).is_err());
    }
}
