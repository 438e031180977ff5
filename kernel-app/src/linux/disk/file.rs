//! What a file needs to be a disk: a name that is durable, and errors in the words of disks.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::disk::DiskError;

/// Makes a file's name durable.
pub fn sync_name(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// A file's error as a disk's.
pub fn disk_error(error: &io::Error) -> DiskError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => DiskError::NoSpace,
        _ => DiskError::Failed,
    }
}
