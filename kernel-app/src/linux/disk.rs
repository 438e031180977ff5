//! A file as a disk, with the same bytes as a disk image: a process can read what a guest wrote, and the reverse.
//!
//! A separate thread writes and flushes, so that the event loop does not block. Reads come from the device and not
//! from the page cache: see [`direct`].

mod copies;
mod direct;
mod file;
mod writer;

use std::format;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::string::String;
use std::sync::Arc;

use mio::Waker;
use rustix::fs::{FallocateFlags, FlockOperation, fallocate, fcntl_lock};
use rustix::io::Errno;

use crate::disk::{Disk, DiskError, SECTOR_BYTES};
use crate::settings::{SettingError, Settings};
use direct::DirectFile;
use file::{disk_error, sync_name};
use wire::Instant;
use writer::Writer;

/// Size of a new file, unless `DATA_SIZE` says otherwise: enough for twice what `MAXMEMORY` allows by
/// default, in each half.
const BYTES_DEFAULT: usize = 128 * 1024 * 1024;
/// The least that `DATA_SIZE` may say.
const BYTES_MIN: usize = 8 * 1024 * 1024;

/// A file that is used as a disk.
#[derive(Debug)]
pub struct LinuxDisk {
    path: PathBuf,
    sectors: u64,
    reader: DirectFile,
    writer: Writer,
    /// A write that could not even begin.
    refused: Option<DiskError>,
}

/// Where the data are to live, as the settings say.
#[derive(Debug)]
pub struct DataFile {
    path: PathBuf,
    /// Its size if it is to be made.
    bytes: u64,
}

impl DataFile {
    /// What `DATA` and `DATA_SIZE` say; none without `DATA`.
    ///
    /// # Errors
    /// When `DATA_SIZE` is no size.
    pub fn of(settings: &Settings) -> Result<Option<Self>, SettingError> {
        let expected = "a number of bytes of at least 8mb, such as 128mb";
        let bytes = settings.bytes("DATA_SIZE", BYTES_DEFAULT, BYTES_MIN, expected)?;
        let bytes = bytes.next_multiple_of(SECTOR_BYTES) as u64;
        Ok(settings.get("DATA").map(|path| Self { path: path.into(), bytes }))
    }
}

impl LinuxDisk {
    /// Opens the file, or makes it; nobody else may use it until this one is dropped. The end of a write
    /// ends the wait that `waker` ends.
    ///
    /// # Errors
    /// In one line, with what to do.
    pub fn open(data: &DataFile, waker: Option<Arc<Waker>>) -> Result<Self, String> {
        let DataFile { path, bytes } = data;
        let shown = path.display();
        let cannot = |what: &str, error: io::Error| format!("DATA={shown} cannot be {what}: {error}");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = open.map_err(|error| cannot("opened", error))?;
        let in_use = || {
            format!("DATA={shown} is in use by another process: stop it, or give this one a file of its own")
        };
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => in_use(),
            TryLockError::Error(error) => cannot("locked", error),
        })?;
        let mut length = file.seek(SeekFrom::End(0)).map_err(|error| cannot("measured", error))?;
        if length == 0 {
            allocate(&file, path, *bytes).map_err(|error| cannot("made", error))?;
            length = *bytes;
        }
        if !length.is_multiple_of(SECTOR_BYTES as u64) {
            return Err(format!("DATA={shown} has {length} bytes: a disk has a multiple of {SECTOR_BYTES}"));
        }
        let reader = DirectFile::open(&file, path).map_err(|error| cannot("read", error))?;
        // Last, as closing any descriptor of the file would end it. Others lock in this way only: QEMU.
        // Where there are no such locks, the first one must do.
        if let Err(Errno::AGAIN | Errno::ACCESS) = fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)
        {
            return Err(in_use());
        }
        let writer = Writer::start(file, waker).map_err(|error| cannot("written", error))?;
        Ok(Self { path: path.clone(), sectors: length / SECTOR_BYTES as u64, reader, writer, refused: None })
    }

    fn begin(&mut self, sector: u64, data: &[u8], flushes: bool) {
        if self.is_within(sector, data.len()) {
            self.writer.begin(sector * SECTOR_BYTES as u64, data, flushes);
        } else {
            self.refused = Some(DiskError::OutOfRange);
        }
    }

    fn is_within(&self, sector: u64, bytes: usize) -> bool {
        let sectors = bytes.div_ceil(SECTOR_BYTES) as u64;
        sector.checked_add(sectors).is_some_and(|end| end <= self.sectors)
    }
}

/// Gives a new file its size, with the space for it where the file system can promise that, and makes its
/// name as durable as its bytes.
fn allocate(file: &File, path: &Path, bytes: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => {}
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.set_len(bytes)?,
        Err(error) => return Err(error.into()),
    }
    file.sync_all()?;
    sync_name(path)
}

impl Disk for LinuxDisk {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        if !self.is_within(sector, into.len()) {
            return Err(DiskError::OutOfRange);
        }
        self.reader.read(sector * SECTOR_BYTES as u64, into).map_err(|error| disk_error(&error))
    }

    fn write(&mut self, sector: u64, data: &[u8], _: Instant) {
        self.begin(sector, data, true);
    }

    fn write_ahead(&mut self, sector: u64, data: &[u8], _: Instant) {
        self.begin(sector, data, false);
    }

    fn outcome(&mut self, _: Instant) -> Option<Result<(), DiskError>> {
        self.refused.take().map(Err).or_else(|| self.writer.outcome())
    }

    fn is_busy(&self) -> bool {
        self.refused.is_some() || self.writer.is_busy()
    }

    /// At once for what was refused; the end of a write wakes the loop.
    fn next_deadline(&self) -> Option<Instant> {
        self.refused.map(|_| Instant::ZERO)
    }

    fn keep_copy(&mut self) -> Result<Option<String>, String> {
        copies::keep(&self.path, self.sectors, &mut self.reader).map(Some)
    }
}

#[cfg(test)]
mod tests;
