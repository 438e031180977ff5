//! The supervisor's record of what runs, kept current on the disk. If the disk does not accept it, the application
//! continues and a message says so: the record is in memory, and is written as soon as there is room.

use std::time::Instant;

use crate::network::OwnNetwork;
use crate::state::event::Event;
use crate::supervisor::lifecycle::Supervisor;
use crate::supervisor::record::INTERVAL;

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

    /// Says which machines the network has cut off.
    pub(super) fn tell_of_network(&mut self) {
        while let Some(message) = self.network.as_ref().and_then(OwnNetwork::trouble) {
            self.tell_trouble(message);
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
