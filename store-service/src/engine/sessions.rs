//! The table of sessions, by their connections' positions. Does nothing with them.

use alloc::boxed::Box;
use alloc::vec::Vec;

use kernel_app::ConnectionId;

use crate::session::{Client, Session};

/// All sessions but the one that is being worked on.
#[derive(Debug, Default)]
pub struct Sessions {
    slots: Vec<Option<Box<Session>>>,
    live: usize,
}

impl Sessions {
    /// How many clients are connected.
    pub fn len(&self) -> usize {
        self.live
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
        Some(session)
    }

    /// Takes a session out to work on it beside the others; [`Sessions::put_back`] must follow.
    pub fn take(&mut self, id: ConnectionId) -> Option<Box<Session>> {
        self.slots.get_mut(id.index())?.take_if(|session| session.client.id == id)
    }

    /// Puts a session back.
    pub fn put_back(&mut self, session: Box<Session>) {
        let index = session.client.id.index();
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
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
}
