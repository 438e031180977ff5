//! The table of sessions, by the positions of their connections, and the memory that they use.

use alloc::boxed::Box;
use alloc::vec::Vec;

use kernel_app::ConnectionId;

use crate::limits::{CLIENTS_MAX, MACHINE_CLIENTS_BYTES_MAX};
use crate::session::{Client, Session};

/// All sessions but the one that is being worked on.
#[derive(Debug, Default)]
pub struct Sessions {
    slots: Vec<Option<Box<Session>>>,
    live: usize,
    bytes: usize,
}

impl Sessions {
    /// How many clients are connected.
    pub fn len(&self) -> usize {
        self.live
    }

    /// What all of them have allocated, in use or not.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a client that has connected.
    pub fn add(&mut self, session: Session) {
        self.live += 1;
        self.put_back(Box::new(session));
    }

    /// Removes a client that is gone.
    pub fn remove(&mut self, id: ConnectionId) -> Option<Box<Session>> {
        let session = self.take(id)?;
        self.live -= 1;
        self.bytes -= session.counted_bytes;
        Some(session)
    }

    /// Takes a session out to work on it beside the others; [`Sessions::put_back`] must follow.
    pub fn take(&mut self, id: ConnectionId) -> Option<Box<Session>> {
        self.slots.get_mut(id.index())?.take_if(|session| session.client.id == id)
    }

    /// Puts a session back, and counts what it takes now.
    pub fn put_back(&mut self, mut session: Box<Session>) {
        let index = session.client.id.index();
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        count(&mut self.bytes, &mut session);
        self.slots[index] = Some(session);
    }

    /// All clients but the one that is being worked on.
    pub fn clients(&mut self) -> impl Iterator<Item = &mut Client> {
        self.slots.iter_mut().flatten().map(|session| &mut session.client)
    }

    /// A client, unless it is being worked on.
    pub fn client(&mut self, id: ConnectionId) -> Option<&mut Client> {
        let session = self.slots.get_mut(id.index())?.as_mut()?;
        (session.client.id == id).then_some(&mut session.client)
    }

    /// Counts what a client takes now, after it was changed in its place.
    pub fn recount(&mut self, id: ConnectionId) {
        if let Some(session) = self.slots.get_mut(id.index()).and_then(Option::as_mut) {
            count(&mut self.bytes, session);
        }
    }

    /// Has all clients give back what they only keep.
    pub fn give_back(&mut self) {
        for session in self.slots.iter_mut().flatten() {
            session.give_back();
            count(&mut self.bytes, session);
        }
    }

    /// The session of the client that takes the most, if that is more than modest.
    pub fn largest(&mut self) -> Option<&mut Session> {
        let sessions = self.slots.iter_mut().flatten().map(Box::as_mut);
        sessions
            .max_by_key(|session| session.counted_bytes)
            .filter(|session| session.counted_bytes > MACHINE_CLIENTS_BYTES_MAX / CLIENTS_MAX)
    }
}

fn count(bytes: &mut usize, session: &mut Session) {
    let now = session.storage_bytes();
    *bytes = *bytes + now - session.counted_bytes;
    session.counted_bytes = now;
}
