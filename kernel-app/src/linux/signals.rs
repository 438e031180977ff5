//! Signals as bytes on a stream that the event loop can wait for.
//!
//! The loop ends between two turns when a byte has arrived.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGPIPE, SIGTERM};
use signal_hook::low_level::pipe;

/// A stream that becomes readable on SIGTERM or SIGINT.
///
/// # Errors
/// When the process may not have more files or signal handlers.
pub(super) fn stop_stream() -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    pipe::register(SIGTERM, write.try_clone()?)?;
    pipe::register(SIGINT, write)?;
    // `no_main` skips what std does for this: a reader of our log that goes away must not end us.
    signal_hook::flag::register(SIGPIPE, Arc::new(AtomicBool::new(false)))?;
    Ok(read)
}
