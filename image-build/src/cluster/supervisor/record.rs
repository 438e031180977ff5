//! The supervisor's record of what runs, kept true on the disk. While the disk does not take it, the application goes
//! on and it is said: what is known is in memory, and is written as soon as there is room.

use std::time::{Duration, Instant};

use super::Supervisor;
use crate::cluster::event::Event;

/// How often it is looked whether the record is there, and written again when it is not.
const INTERVAL: Duration = Duration::from_secs(1);

/// How the record on the disk is.
#[derive(Debug)]
pub struct Record {
    /// Since when what is known has not been written.
    unwritten_since: Option<Instant>,
    /// When it is looked at next.
    due: Instant,
}

impl Record {
    /// One that has been written just now.
    pub fn new(now: Instant) -> Self {
        Self { unwritten_since: None, due: now + INTERVAL }
    }

    /// When it is looked at next.
    pub fn due(&self) -> Instant {
        self.due
    }
}

impl Supervisor<'_> {
    /// Writes what is known; what goes wrong is said once.
    pub(super) fn save(&mut self) {
        match (self.run_dir.write_state(&self.state), self.record.unwritten_since) {
            (Ok(()), Some(since)) => {
                let seconds = since.elapsed().as_secs();
                self.record.unwritten_since = None;
                self.tell_trouble(format!(
                    "the record of what runs is written again; for {seconds} s the disk had no room for it"
                ));
            }
            (Err(error), None) => {
                self.record.unwritten_since = Some(Instant::now());
                self.tell_trouble(format!(
                    "{error:#}: everything goes on, but `cargo ps` is out of date until there is room"
                ));
            }
            (Ok(()), None) | (Err(_), Some(_)) => {}
        }
    }

    /// Writes the record again that was not written, or that somebody has removed.
    pub(super) fn keep_record(&mut self, now: Instant) {
        if self.record.due > now {
            return;
        }
        self.record.due = now + INTERVAL;
        if self.record.unwritten_since.is_some() || !self.run_dir.is_written() {
            self.save();
        }
    }

    /// Says something to who has started the application, and to who reads its logs.
    fn tell_trouble(&mut self, message: String) {
        for instance in self.state.plan.instances.iter().map(|instance| instance.name.clone()) {
            self.write_log(&instance, &message);
        }
        (self.connections.tell)(Event::Trouble { message });
    }
}
