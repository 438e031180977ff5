//! Copies of a damaged disk beside it, made before anything is changed.

use std::ffi::OsString;
use std::format;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::string::String;
use std::vec;

use super::direct::DirectFile;
use super::sync_name;
use crate::disk::SECTOR_BYTES;

/// Most copies beside one file: whoever restarts a store for ever must not fill the file system.
const COPIES_MAX: usize = 9;
/// How much is copied at once.
const PIECE_BYTES: usize = 1024 * 1024;

/// Copies a disk to `NAME.damaged-<n>` beside it; the copy's path.
///
/// # Errors
/// In one line, with what to do; there is no copy then.
pub fn keep(path: &Path, sectors: u64, reader: &mut DirectFile) -> Result<String, String> {
    let (copy, file) = make(path)?;
    let shown = copy.display();
    let copied = fill(&file, sectors * SECTOR_BYTES as u64, reader);
    match copied.and_then(|()| file.sync_all()).and_then(|()| sync_name(&copy)) {
        Ok(()) => Ok(format!("{shown}")),
        Err(error) => {
            // Half a copy would only take room and a number.
            let _ = std::fs::remove_file(&copy);
            Err(format!("no copy can be kept at {shown}: {error}"))
        }
    }
}

/// The first copy's file that is not there yet, made for nobody but its owner.
fn make(path: &Path) -> Result<(PathBuf, File), String> {
    for number in 1..=COPIES_MAX {
        let mut name = OsString::from(path);
        name.push(format!(".damaged-{number}"));
        let copy = PathBuf::from(name);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&copy) {
            Ok(file) => return Ok((copy, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("no copy can be kept at {}: {error}", copy.display())),
        }
    }
    let shown = path.display();
    Err(format!("{shown}.damaged-1 to -{COPIES_MAX} are there already: move them away"))
}

/// Copies all bytes; zeros stay holes.
fn fill(file: &File, bytes: u64, reader: &mut DirectFile) -> io::Result<()> {
    file.set_len(bytes)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = 0;
    while at < bytes {
        let length = piece.len().min(usize::try_from(bytes - at).unwrap_or(usize::MAX));
        let piece = &mut piece[..length];
        reader.read(at, piece)?;
        if piece.iter().any(|byte| *byte != 0) {
            file.write_all_at(piece, at)?;
        }
        at += length as u64;
    }
    Ok(())
}
