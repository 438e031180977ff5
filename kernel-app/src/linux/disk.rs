//! A file as a disk, with the same bytes as a disk image: what a guest wrote a process can read, and the
//! other way round.
//!
//! Writes and flushes before it returns (`pwrite`, `fdatasync`): the loop stands still meanwhile.

use std::format;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::string::String;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use crate::disk::{Disk, DiskError, SECTOR_BYTES};
use crate::settings::{SettingError, Settings};
use wire::Instant;

/// Size of a new file, unless `DATA_SIZE` says otherwise: enough for twice what `MAXMEMORY` allows by
/// default, in each half.
const BYTES_DEFAULT: usize = 128 * 1024 * 1024;
/// The least that `DATA_SIZE` may say.
const BYTES_MIN: usize = 8 * 1024 * 1024;

/// See the module.
#[derive(Debug)]
pub struct LinuxDisk {
    file: File,
    sectors: u64,
    /// How the last write ended, until it is asked for.
    outcome: Option<Result<(), DiskError>>,
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
    /// Opens the file, or makes it; nobody else may use it until this one is dropped.
    ///
    /// # Errors
    /// In one line, with what to do.
    pub fn open(data: &DataFile) -> Result<Self, String> {
        let DataFile { path, bytes } = data;
        let shown = path.display();
        let cannot = |what: &str, error: io::Error| format!("DATA={shown} cannot be {what}: {error}");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = open.map_err(|error| cannot("opened", error))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                format!(
                    "DATA={shown} is in use by another process: stop it, or give this one a file of its own"
                )
            }
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
        // What an earlier process has written but not flushed must not be read as if it were durable.
        file.sync_all().map_err(|error| cannot("flushed", error))?;
        Ok(Self { file, sectors: length / SECTOR_BYTES as u64, outcome: None })
    }

    fn write_and_flush(&self, sector: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, sector * SECTOR_BYTES as u64)?;
        self.file.sync_data()
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
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

fn disk_error(error: &io::Error) -> DiskError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => DiskError::NoSpace,
        _ => DiskError::Failed,
    }
}

impl Disk for LinuxDisk {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read(&mut self, sector: u64, into: &mut [u8]) -> Result<(), DiskError> {
        if !self.is_within(sector, into.len()) {
            return Err(DiskError::OutOfRange);
        }
        self.file.read_exact_at(into, sector * SECTOR_BYTES as u64).map_err(|error| disk_error(&error))
    }

    fn write(&mut self, sector: u64, data: &[u8], _: Instant) {
        self.outcome = Some(if self.is_within(sector, data.len()) {
            self.write_and_flush(sector, data).map_err(|error| disk_error(&error))
        } else {
            Err(DiskError::OutOfRange)
        });
    }

    fn outcome(&mut self, _: Instant) -> Option<Result<(), DiskError>> {
        self.outcome.take()
    }

    fn is_busy(&self) -> bool {
        self.outcome.is_some()
    }

    /// At once: the write is over.
    fn next_deadline(&self) -> Option<Instant> {
        self.outcome.map(|_| Instant::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A file of its own for each test, gone with it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("linux-disk-{}-{name}", std::process::id()));
            // Left behind by a process of the same number, if at all.
            let _ = fs::remove_file(&path);
            Self(path)
        }

        fn data(&self) -> DataFile {
            DataFile { path: self.0.clone(), bytes: 1024 * SECTOR_BYTES as u64 }
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn sectors_are_there_when_the_file_is_opened_again() {
        let scratch = Scratch::new("again");
        let mut disk = LinuxDisk::open(&scratch.data()).expect("a new file");
        assert_eq!(disk.sectors(), 1024);
        disk.write(1022, &[7; 2 * SECTOR_BYTES], Instant::ZERO);
        assert!(disk.is_busy());
        assert_eq!(disk.outcome(Instant::ZERO), Some(Ok(())));
        assert_eq!((disk.outcome(Instant::ZERO), disk.is_busy()), (None, false));
        drop(disk);
        let mut disk = LinuxDisk::open(&scratch.data()).expect("the same file");
        let mut sectors = [0; 3 * SECTOR_BYTES];
        disk.read(1021, &mut sectors).expect("within the disk");
        assert_eq!(sectors[..SECTOR_BYTES], [0; SECTOR_BYTES]);
        assert_eq!(sectors[SECTOR_BYTES..], [7; 2 * SECTOR_BYTES]);
    }

    #[test]
    fn what_lies_beyond_the_end_is_an_error_and_changes_nothing() {
        let scratch = Scratch::new("beyond");
        let mut disk = LinuxDisk::open(&scratch.data()).expect("a new file");
        disk.write(1023, &[7; 2 * SECTOR_BYTES], Instant::ZERO);
        assert_eq!(disk.outcome(Instant::ZERO), Some(Err(DiskError::OutOfRange)));
        let mut sector = [1; SECTOR_BYTES];
        assert_eq!(disk.read(1024, &mut sector), Err(DiskError::OutOfRange));
        assert_eq!(disk.read(u64::MAX, &mut sector), Err(DiskError::OutOfRange));
        disk.read(1023, &mut sector).expect("the last sector");
        assert_eq!(sector, [0; SECTOR_BYTES]);
    }

    #[test]
    fn two_cannot_use_one_file() {
        let scratch = Scratch::new("shared");
        let first = LinuxDisk::open(&scratch.data()).expect("a new file");
        let refused = LinuxDisk::open(&scratch.data()).expect_err("in use");
        assert!(refused.contains("in use by another process") && !refused.contains('\n'), "{refused}");
        drop(first);
        assert!(LinuxDisk::open(&scratch.data()).is_ok());
    }

    #[test]
    fn what_is_no_disk_is_refused_in_one_line() {
        let scratch = Scratch::new("odd");
        fs::write(&scratch.0, [0; 700]).expect("a file");
        let odd = LinuxDisk::open(&scratch.data()).expect_err("no whole sectors");
        assert!(odd.contains("700 bytes") && !odd.contains('\n'), "{odd}");
        let missing = DataFile { path: scratch.0.join("nowhere"), bytes: 512 };
        let error = LinuxDisk::open(&missing).expect_err("no such directory");
        assert!(error.contains("cannot be opened") && !error.contains('\n'), "{error}");
    }
}
