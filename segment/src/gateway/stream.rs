//! The interface of a stream of the host for the gateway, and its possible events.

use std::io;

/// A stream of the host that never blocks.
pub trait Stream: io::Read + io::Write {
    /// Whether it is connected by now.
    ///
    /// # Errors
    /// Why it will never be.
    fn is_connected(&mut self) -> io::Result<bool>;
    /// Ends what is sent on it; what comes can still be read.
    ///
    /// # Errors
    /// When it is lost.
    fn end_output(&mut self) -> io::Result<()>;
    /// Has the other side told that something went wrong when it closes.
    fn reset_on_close(&mut self);
}

/// What is new of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// There is something to read.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
    /// The other side has ended what it sends, or the stream is lost.
    pub closing: bool,
}
