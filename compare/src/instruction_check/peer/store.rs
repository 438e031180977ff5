//! The store of a counted guest: the store service itself, on the peer's clock.
//!
//! It has no disk. What it answers depends on nothing but what it has been told.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use kernel_app::connections::Ending;
use kernel_app::{ConnectionId, Settings};
use simulator::harness::Harness;
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp;

/// A store, the guest's one connection to it, and one for those who fill it.
pub(super) struct Store {
    harness: Harness<store_service::Store>,
    /// Where it listens, and then the guest's connection.
    pub(super) handle: SocketHandle,
    guest: Option<ConnectionId>,
    own: ConnectionId,
    requests: usize,
}

impl Store {
    /// An empty store with a socket that listens.
    ///
    /// # Errors
    /// When the store cannot use its default settings.
    pub(super) fn new(handle: SocketHandle) -> Result<Self> {
        let store = store_service::Store::new(&Settings::default());
        let store = store.map_err(|error| anyhow!("the peer's store does not start: {error}"))?;
        let mut harness = Harness::new(store);
        let own = harness.accept();
        Ok(Self { harness, handle, guest: None, own, requests: 0 })
    }

    /// How often the guest has asked it something.
    pub(super) fn requests(&self) -> usize {
        self.requests
    }

    /// What the store answers to one who is not the guest.
    ///
    /// # Errors
    /// When the store ends the connection.
    pub(super) fn ask(&mut self, command: &[u8]) -> Result<String> {
        self.harness.receive(self.own, command);
        ensure!(self.is_open(self.own), "the peer's store does not take {:?}", command.escape_ascii());
        Ok(self.harness.sent(self.own))
    }

    /// Hands on what the guest has sent, and what the store has answered.
    ///
    /// # Errors
    /// When one of them ends the connection, or the stack refuses.
    pub(super) fn serve(&mut self, sockets: &mut SocketSet<'static>, passed: Duration) -> Result<()> {
        let socket = sockets.get_mut::<tcp::Socket>(self.handle);
        self.harness.pass(passed);
        if !socket.is_active() {
            ensure!(self.guest.is_none(), "the guest has left its store");
            return Ok(());
        }
        let guest = *self.guest.get_or_insert_with(|| self.harness.accept());
        self.hear(guest, socket)?;
        let connection = self.harness.connections.get_mut(guest).context("the guest's connection is gone")?;
        let sent = if socket.can_send() { socket.send_slice(connection.output.as_slice()) } else { Ok(0) };
        connection.output.consume(sent.map_err(|error| anyhow!("the store cannot write: {error}"))?);
        ensure!(self.is_open(guest), "the peer's store ends the guest's connection");
        Ok(())
    }

    fn hear(&mut self, guest: ConnectionId, socket: &mut tcp::Socket<'static>) -> Result<()> {
        let space = self.harness.connections.get(guest).map_or(0, |connection| connection.input.space());
        if !socket.can_recv() || space == 0 {
            return Ok(());
        }
        let take = |bytes: &mut [u8]| {
            let count = bytes.len().min(space);
            (count, bytes[..count].to_vec())
        };
        let bytes = socket.recv(take).map_err(|error| anyhow!("the store cannot read: {error}"))?;
        self.harness.receive(guest, bytes);
        self.requests += 1;
        Ok(())
    }

    fn is_open(&self, id: ConnectionId) -> bool {
        self.harness.ending(id) == Some(Ending::Open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_keeps_what_it_is_told() {
        let mut store = Store::new(SocketHandle::default()).expect("a store");
        assert_eq!(store.ask(b"RPUSH votes x\r\n").expect("a reply"), ":1\r\n");
        assert_eq!(store.ask(b"LLEN votes\r\n").expect("a reply"), ":1\r\n");
        assert_eq!(store.requests(), 0, "the guest has asked nothing");
    }
}
