//! A connection from the peer to the guest: what it asks, and what it is answered.
//!
//! It does not know the protocol. Who asks knows what a whole answer is.

use anyhow::{Result, anyhow, ensure};
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp;

/// Longest response.
const RESPONSE_BYTES_MAX: usize = 1 << 16;

/// One connection to the guest, open or asked for.
pub(super) struct Client {
    pub(super) handle: SocketHandle,
    /// What is still to be sent.
    request: Vec<u8>,
    response: Vec<u8>,
    keep_alive: bool,
}

impl Client {
    pub(super) fn new(handle: SocketHandle, request: &[u8], keep_alive: bool) -> Self {
        Self { handle, request: request.to_vec(), response: Vec::new(), keep_alive }
    }

    /// Asks for something else, and forgets the answer before.
    pub(super) fn ask(&mut self, request: &[u8]) {
        self.request.extend_from_slice(request);
        self.response.clear();
    }

    /// What the guest has answered so far.
    pub(super) fn response(&self) -> String {
        String::from_utf8_lossy(&self.response).into_owned()
    }

    /// Reads what has come, and writes what there is room for.
    ///
    /// # Errors
    /// When the stack refuses, or a response does not end.
    pub(super) fn serve(&mut self, sockets: &mut SocketSet<'static>) -> Result<()> {
        let socket = sockets.get_mut::<tcp::Socket>(self.handle);
        if socket.can_recv() {
            let read = socket.recv(|bytes| (bytes.len(), self.response.extend_from_slice(bytes)));
            read.map_err(|error| anyhow!("a client cannot read: {error}"))?;
            ensure!(self.response.len() <= RESPONSE_BYTES_MAX, "a response does not end");
        }
        if socket.can_send() && !self.request.is_empty() {
            let sent = socket.send_slice(&self.request);
            let sent = sent.map_err(|error| anyhow!("a client cannot write: {error}"))?;
            self.request.drain(..sent);
        }
        if !self.keep_alive && socket.state() == tcp::State::CloseWait {
            socket.close();
        }
        Ok(())
    }
}
