//! Files that are guests' disks: created with all their space, checked, and locked against a second user.
//!
//! The guest defines their content. An existing image is used unchanged.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// Least size of an image in MiB: what a store needs for its log at least.
pub const SIZE_MIB_MIN: u32 = 8;
/// Largest size in MiB.
pub const SIZE_MIB_MAX: u32 = 64 * 1024;
/// What a file's size must be a multiple of.
const SECTOR_BYTES: u64 = 512;
const MIB: u64 = 1024 * 1024;

/// An image to be used, and made when it is not there.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DiskImage {
    /// Path of the image file.
    pub path: PathBuf,
    /// Its size when it is made.
    pub size_mib: u32,
}

/// The right to use an image; given back when dropped, also by a crash.
#[derive(Debug)]
pub struct DiskLock {
    _file: File,
}

/// An image that cannot be used.
#[derive(Debug)]
pub enum DiskImageError {
    /// The folder it belongs in cannot be made.
    Folder(PathBuf, io::Error),
    /// It cannot be made.
    Make(DiskImage, io::Error),
    /// It cannot be opened for reading and writing.
    Open(PathBuf, io::Error),
    /// It is no file.
    NoFile(PathBuf),
    /// A file of this many bytes is no image.
    Size(PathBuf, u64),
    /// Another process uses it.
    InUse(PathBuf),
}

impl fmt::Display for DiskImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path, error) => {
                write!(f, "{} cannot be a folder for data ({error}): give another one", path.display())
            }
            Self::Make(DiskImage { path, size_mib }, error) => write!(
                f,
                "{} cannot be made with {size_mib} MiB ({error}): make room, or give another place",
                path.display()
            ),
            Self::Open(path, error) => write!(
                f,
                "{} cannot be read and written ({error}): change its permissions, or give another place",
                path.display()
            ),
            Self::NoFile(path) => write!(f, "{} is not a regular file: move it away", path.display()),
            Self::Size(path, bytes) => write!(
                f,
                "{} has {bytes} bytes and is no disk image: move it away, and one of the right size is made",
                path.display()
            ),
            Self::InUse(path) => write!(
                f,
                "{} is in use by another process: stop that (`cargo down`), or give another place",
                path.display()
            ),
        }
    }
}

impl std::error::Error for DiskImageError {}

impl DiskImage {
    /// Makes the image where it is missing, checks it, and takes its lock. A process that keeps its data
    /// in such a file takes the same lock; QEMU has one of its own besides.
    ///
    /// # Errors
    /// In one line, with what to do.
    pub fn claim(&self) -> Result<DiskLock, DiskImageError> {
        let path = &self.path;
        if !path.exists() {
            self.make()?;
        }
        if !path.is_file() {
            return Err(DiskImageError::NoFile(path.clone()));
        }
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(|error| DiskImageError::Open(path.clone(), error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DiskImageError::InUse(path.clone())),
            Err(TryLockError::Error(error)) => return Err(DiskImageError::Open(path.clone(), error)),
        }
        let bytes = file.metadata().map_err(|error| DiskImageError::Open(path.clone(), error))?.len();
        if bytes < u64::from(SIZE_MIB_MIN) * MIB || !bytes.is_multiple_of(SECTOR_BYTES) {
            return Err(DiskImageError::Size(path.clone(), bytes));
        }
        Ok(DiskLock { _file: file })
    }

    /// Makes the file, whole or not at all.
    fn make(&self) -> Result<(), DiskImageError> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|error| DiskImageError::Folder(folder.to_owned(), error))?;
        let make = || -> io::Result<()> {
            let mut file = tempfile::Builder::new().suffix(".new").tempfile_in(folder)?;
            allocate(file.as_file_mut(), u64::from(self.size_mib) * MIB)?;
            file.as_file().sync_all()?;
            match file.persist_noclobber(&self.path) {
                // Another one has just made it; which of the two uses it is for the lock to say.
                Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => return Err(error.error),
                _ => {}
            }
            File::open(folder)?.sync_all()
        };
        make().map_err(|error| DiskImageError::Make(self.clone(), error))
    }
}

/// Allocates a file's space at once, so that a full disk is an error now and not when a vote comes.
fn allocate(file: &mut File, bytes: u64) -> io::Result<()> {
    match fallocate(&*file, FallocateFlags::empty(), 0, bytes) {
        Err(Errno::OPNOTSUPP) => {
            let zeros = vec![0; MIB as usize];
            (0..bytes / MIB).try_for_each(|_| file.write_all(&zeros))
        }
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(path: PathBuf) -> DiskImage {
        DiskImage { path, size_mib: 8 }
    }

    fn refusal(path: &Path) -> String {
        image(path.to_owned()).claim().expect_err("refused").to_string()
    }

    #[test]
    fn an_image_is_made_once_with_all_its_room_and_used_again() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/er/store-1.img");
        drop(image(path.clone()).claim().expect("made"));
        let made = fs::metadata(&path).expect("a file");
        assert_eq!(made.len(), 8 * MIB);
        assert!(made.blocks() * 512 >= 8 * MIB, "{} blocks", made.blocks());
        fs::write(&path, vec![7; 9 * MIB as usize]).expect("written");
        drop(image(path.clone()).claim().expect("used as it is"));
        assert_eq!(fs::read(&path).expect("readable"), vec![7; 9 * MIB as usize]);
        let files = fs::read_dir(folder.path().join("deep/er")).expect("readable").count();
        assert_eq!(files, 1, "nothing else is left");
    }

    #[test]
    fn an_image_has_one_user() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("store-1.img");
        let lock = image(path.clone()).claim().expect("made");
        assert!(refusal(&path).contains("store-1.img is in use by another process: stop that"));
        drop(lock);
        image(path).claim().expect("free again");
    }

    #[test]
    fn what_is_no_image_is_left_alone_and_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "my diary").expect("written");
        assert!(refusal(&file.join("store-1.img")).contains("file cannot be a folder for data"));
        assert!(refusal(&file).contains("file has 8 bytes and is no disk image: move it away"));
        assert!(refusal(folder.path()).contains("is not a regular file: move it away"));
        assert_eq!(fs::read(&file).expect("readable"), b"my diary");
        let odd = folder.path().join("odd");
        File::create(&odd).and_then(|file| file.set_len(8 * MIB + 1)).expect("made");
        assert!(refusal(&odd).contains("has 8388609 bytes"));
    }

    #[test]
    fn a_full_disk_is_told_when_the_image_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        // More than any file system that tests run on has.
        let image = DiskImage { path: folder.path().join("store-1.img"), size_mib: u32::MAX };
        let error = image.claim().expect_err("no room").to_string();
        assert!(
            error.contains("cannot be made with 4294967295 MiB") && error.contains("make room"),
            "{error}"
        );
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0, "nothing is left");
    }
}
