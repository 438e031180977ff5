//! How full the store is, from its own report (`INFO memory`), and when to ask for the next report.
//!
//! It sends nothing itself. It works with any server that speaks Redis's protocol; a server that reports no limit is
//! never full.

use core::time::Duration;

use kernel_app::Instant;
use wire::resp::Reply;

/// The store is asked this often while votes come.
pub const ASK_EVERY: Duration = Duration::from_secs(1);
/// It is asked this often while none come: more often than a quiet connection is tried, which this replaces.
pub const ASK_EVERY_WHILE_QUIET: Duration = Duration::from_secs(4);
/// Memory is checked again after this number of votes, which must use far less than the reserve.
pub const VOTES_PER_ASKING_MAX: u32 = 512;
/// The divisor of the reserve: this fraction of the store's memory is for voters who have voted already.
pub const KEPT_DIVISOR: u64 = 16;
/// What a vote in the queue takes, about: the entry, and its place in the list.
const QUEUED_BYTES: u64 = 160;

/// What is known of the store's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// There is room, or no limit.
    #[default]
    Room,
    /// The rest is for those who have voted already.
    Full,
    /// The same, but it is votes that are not counted yet that fill it.
    Behind,
}

/// What the store has said last.
#[derive(Debug, Default)]
pub struct Fullness {
    level: Level,
    used_bytes: u64,
    /// The store has refused a vote for want of memory, and nothing has told since that there is some.
    is_exhausted: bool,
    is_asked: bool,
    asked_at: Option<Instant>,
    votes: u32,
}

impl Fullness {
    /// What is known.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Whether not even those who have voted already can change their vote.
    pub fn is_exhausted(&self) -> bool {
        self.is_exhausted
    }

    /// A vote was queued.
    pub fn note_vote(&mut self) {
        self.votes = self.votes.saturating_add(1);
        self.is_exhausted = false;
    }

    /// The store has refused something for want of memory.
    pub fn note_exhaustion(&mut self) {
        self.is_exhausted = true;
        if self.level == Level::Room {
            self.level = Level::Full;
        }
    }

    /// The store was reached: it is asked before long.
    pub fn reached(&mut self, now: Instant) {
        (self.is_asked, self.asked_at) = (false, Some(now));
    }

    /// When the store is to be asked; none while its answer is awaited.
    pub fn due_at(&self) -> Option<Instant> {
        let pause = match self.votes {
            0 if self.level == Level::Room => ASK_EVERY_WHILE_QUIET,
            VOTES_PER_ASKING_MAX.. => Duration::ZERO,
            _ => ASK_EVERY,
        };
        self.asked_at.filter(|_| !self.is_asked).map(|at| at + pause)
    }

    /// The store was asked.
    pub fn asked(&mut self, now: Instant) {
        (self.is_asked, self.asked_at, self.votes) = (true, Some(now), 0);
    }

    /// No answer came.
    pub fn missed(&mut self) {
        self.is_asked = false;
    }

    /// The answer to `INFO memory`. Says whether it matters now how many votes wait in the queue.
    pub fn answered(&mut self, reply: Reply<'_>) -> bool {
        self.is_asked = false;
        let Reply::Bulk(text) = reply else { return false };
        let (used, most) = (field(text, b"used_memory:"), field(text, b"maxmemory:"));
        let is_full =
            used.zip(most).is_some_and(|(used, most)| most > 0 && used > most - most / KEPT_DIVISOR);
        self.used_bytes = used.unwrap_or(0);
        match (is_full, self.level) {
            (false, _) => (self.level, self.is_exhausted) = (Level::Room, false),
            (true, Level::Room) => self.level = Level::Full,
            (true, _) => {}
        }
        is_full
    }

    /// How many votes wait in the queue of a store that is full.
    pub fn queue_is(&mut self, reply: Reply<'_>) {
        let Reply::Integer(length) = reply else { return };
        let queued_bytes = u64::try_from(length).unwrap_or(0).saturating_mul(QUEUED_BYTES);
        if self.level != Level::Room {
            self.level = if queued_bytes > self.used_bytes / 2 { Level::Behind } else { Level::Full };
        }
    }
}

/// The number behind a name at the start of a line.
fn field(text: &[u8], name: &[u8]) -> Option<u64> {
    let value = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))?;
    core::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn told(fullness: &mut Fullness, used: u64, most: u64) -> Level {
        let text = format!("# Memory\r\nused_memory:{used}\r\nused_memory_human:1M\r\nmaxmemory:{most}\r\n");
        fullness.answered(Reply::Bulk(text.as_bytes()));
        fullness.level()
    }

    #[test]
    fn a_sixteenth_is_kept_for_those_who_have_voted() {
        let mut fullness = Fullness::default();
        for (used, most, level) in [
            (1_500, 1_600, Level::Room),
            (1_501, 1_600, Level::Full),
            (9_999, 1_600, Level::Full),
            (1_499, 1_600, Level::Room),
            (u64::MAX, 0, Level::Room),
            (u64::MAX, u64::MAX, Level::Full),
        ] {
            assert_eq!(told(&mut fullness, used, most), level, "{used} of {most}");
        }
    }

    #[test]
    fn a_store_that_says_nothing_of_its_memory_is_not_full() {
        for reply in [
            Reply::Bulk(b""),
            Reply::Bulk(b"used_memory:9\r\n"),
            Reply::Bulk(b"used_memory:\xff\r\nmaxmemory:1\r\n"),
            Reply::Bulk(b"used_memory:99999999999999999999\r\nmaxmemory:1\r\n"),
            Reply::Error(b"NOPERM this user has no permissions"),
            Reply::Null,
            Reply::Integer(7),
        ] {
            let mut fullness = Fullness::default();
            fullness.answered(reply);
            assert_eq!(fullness.level(), Level::Room, "{reply:?}");
        }
    }

    #[test]
    fn votes_that_are_not_counted_yet_are_no_voters() {
        let mut fullness = Fullness::default();
        told(&mut fullness, 1_600_000, 1_600_000);
        fullness.queue_is(Reply::Integer(100));
        assert_eq!(fullness.level(), Level::Full);
        fullness.queue_is(Reply::Integer(6_000));
        assert_eq!(told(&mut fullness, 1_590_000, 1_600_000), Level::Behind, "until the queue is told again");
        fullness.queue_is(Reply::Error(b"WRONGTYPE"));
        assert_eq!(fullness.level(), Level::Behind);
        fullness.queue_is(Reply::Integer(0));
        assert_eq!(fullness.level(), Level::Full);
        told(&mut fullness, 0, 1_600_000);
        fullness.queue_is(Reply::Integer(9_999_999));
        assert_eq!(fullness.level(), Level::Room);
    }

    #[test]
    fn memory_is_polled_often_during_votes_and_rarely_otherwise() {
        let (start, mut fullness) = (Instant::from_millis(5_000), Fullness::default());
        assert_eq!(fullness.due_at(), None, "there is no store");
        fullness.reached(start);
        assert_eq!(fullness.due_at(), Some(start + ASK_EVERY_WHILE_QUIET));
        fullness.asked(start);
        assert_eq!(fullness.due_at(), None);
        fullness.missed();
        assert_eq!(fullness.due_at(), Some(start + ASK_EVERY_WHILE_QUIET));
        fullness.note_vote();
        assert_eq!(fullness.due_at(), Some(start + ASK_EVERY));
        (1..VOTES_PER_ASKING_MAX).for_each(|_| fullness.note_vote());
        assert_eq!(fullness.due_at(), Some(start));
        fullness.asked(start);
        told(&mut fullness, 2, 1);
        assert_eq!(fullness.due_at(), Some(start + ASK_EVERY), "until there is room again");
    }

    #[test]
    fn an_out_of_memory_error_marks_the_store_full_until_newer_information() {
        let mut fullness = Fullness::default();
        fullness.note_exhaustion();
        assert_eq!((fullness.level(), fullness.is_exhausted()), (Level::Full, true));
        fullness.note_vote();
        assert_eq!((fullness.level(), fullness.is_exhausted()), (Level::Full, false));
        fullness.note_exhaustion();
        told(&mut fullness, 1, 100);
        assert_eq!((fullness.level(), fullness.is_exhausted()), (Level::Room, false));
    }
}
