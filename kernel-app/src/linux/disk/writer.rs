//! The thread that writes and flushes: a flush may take long, and the loop has others to serve.
//!
//! One write at a time, as the contract says.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::string::String;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::vec::Vec;

use mio::Waker;
use rustix::fs::{Advice, fadvise};

use super::file::disk_error;
use crate::disk::DiskError;

/// The thread, and the one write that it has.
#[derive(Debug)]
pub struct Writer {
    /// None while this is dropped.
    jobs: Option<Sender<Job>>,
    ended: Receiver<Ended>,
    thread: Option<JoinHandle<()>>,
    is_busy: bool,
    /// The last write's storage, for the next one.
    spare: Vec<u8>,
}

#[derive(Debug)]
struct Job {
    offset: u64,
    data: Vec<u8>,
    flushes: bool,
}

#[derive(Debug)]
struct Ended {
    outcome: Result<(), DiskError>,
    data: Vec<u8>,
}

impl Writer {
    /// Starts the thread, which ends when this is dropped.
    ///
    /// # Errors
    /// When the process may not have another thread.
    pub fn start(file: File, waker: Option<Arc<Waker>>) -> io::Result<Self> {
        let (jobs, todo) = channel::<Job>();
        let (tell, ended) = channel();
        let thread = thread::Builder::new().name(String::from("disk")).spawn(move || {
            for Job { offset, data, flushes } in todo {
                let outcome = write(&file, offset, &data, flushes);
                if tell.send(Ended { outcome, data }).is_err() {
                    return;
                }
                if let Some(waker) = &waker
                    && let Err(error) = waker.wake()
                {
                    log::error!("the event loop cannot be woken after a write: {error}");
                }
            }
        })?;
        Ok(Self { jobs: Some(jobs), ended, thread: Some(thread), is_busy: false, spare: Vec::new() })
    }

    /// Hands a copy of `data` over.
    pub fn begin(&mut self, offset: u64, data: &[u8], flushes: bool) {
        let mut copy = core::mem::take(&mut self.spare);
        copy.clear();
        copy.extend_from_slice(data);
        self.is_busy = true;
        // The thread does not end before this does; if it did, `outcome` would tell.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(Job { offset, data: copy, flushes }));
    }

    /// The end of the write under way, told once.
    pub fn outcome(&mut self) -> Option<Result<(), DiskError>> {
        use std::sync::mpsc::TryRecvError;
        if !self.is_busy {
            return None;
        }
        let Ended { outcome, data } = match self.ended.try_recv() {
            Ok(ended) => ended,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Ended { outcome: Err(DiskError::Failed), data: Vec::new() },
        };
        (self.is_busy, self.spare) = (false, data);
        Some(outcome)
    }

    /// Whether a write is under way, or its end was not asked for.
    pub fn is_busy(&self) -> bool {
        self.is_busy
    }
}

impl Drop for Writer {
    /// Waits for the thread, which closes the file, unless a write is under way that may never end.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take().filter(|_| !self.is_busy) {
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}

fn write(file: &File, offset: u64, data: &[u8], flushes: bool) -> Result<(), DiskError> {
    let flush = || if flushes { file.sync_data() } else { Ok(()) };
    let written = file.write_all_at(data, offset).and_then(|()| flush());
    if let Err(error) = &written {
        log::error!("{} bytes at byte {offset} of DATA cannot be written: {error}", data.len());
        // The kernel takes pages for clean that it could not write. What is written beside them next must not
        // take them along.
        let _ = fadvise(file, 0, None, Advice::DontNeed);
    }
    written.map_err(|error| disk_error(&error))
}
