//! Where a connection's numbers begin.
//!
//! smoltcp draws that number from a generator whose state three of them reveal, and RFC 6528 asks for one that depends
//! on the connection and on a secret. So whoever owns the socket may set it until the SYN is sent.
#![warn(missing_docs)]
#![deny(unsafe_code)]

use super::{Socket, State};
use crate::wire::TcpSeqNumber;

impl Socket<'_> {
    /// Has a connection whose SYN is not sent yet begin with this number; whether it is such a one.
    pub fn begin_with(&mut self, number: u32) -> bool {
        let begins = matches!(self.state, State::SynSent | State::SynReceived);
        if !begins || self.remote_last_seq != self.local_seq_no {
            return false;
        }
        self.local_seq_no = TcpSeqNumber(number.cast_signed());
        self.remote_last_seq = self.local_seq_no;
        true
    }
}
