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
use super::file::sync_name;
use crate::disk::SECTOR_BYTES;

/// Most copies next to one file, so that repeated restarts of a store cannot fill the file system.
const COPIES_MAX: usize = 9;
/// How much is copied at once.
const PIECE_BYTES: usize = 1024 * 1024;
/// How much is copied at once where something cannot be read: no common device has larger sectors.
const PART_BYTES: usize = 4096;

/// Copies a disk to `NAME.damaged-<n>` beside it; the copy's path, and how much of it could not be read.
///
/// # Errors
/// In one line, with what to do; there is no copy then.
pub fn keep(path: &Path, sectors: u64, reader: &mut DirectFile) -> Result<String, String> {
    let (copy, file) = make(path)?;
    let shown = copy.display();
    let copied = fill(&file, sectors * SECTOR_BYTES as u64, reader);
    let synced = |unreadable| file.sync_all().and_then(|()| sync_name(&copy)).map(|()| unreadable);
    match copied.and_then(synced) {
        Ok(0) => Ok(format!("{shown}")),
        Ok(unreadable) => Ok(format!("{shown} (zeros where {unreadable} bytes cannot be read)")),
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

/// Copies all bytes that can be read; how many cannot. Zeros stay holes.
fn fill(file: &File, bytes: u64, reader: &mut DirectFile) -> io::Result<u64> {
    file.set_len(bytes)?;
    let mut piece = vec![0; PIECE_BYTES];
    let (mut at, mut unreadable) = (0, 0);
    while at < bytes {
        let length = piece.len().min(usize::try_from(bytes - at).unwrap_or(usize::MAX));
        let piece = &mut piece[..length];
        if reader.read(at, piece).is_err() {
            unreadable += read_parts(at, piece, reader);
        }
        if piece.iter().any(|byte| *byte != 0) {
            file.write_all_at(piece, at)?;
        }
        at += length as u64;
    }
    Ok(unreadable)
}

/// Reads what can be read of a piece; how many bytes cannot, which are zeros then.
fn read_parts(at: u64, piece: &mut [u8], reader: &mut DirectFile) -> u64 {
    let mut unreadable = 0;
    for (number, part) in piece.chunks_mut(PART_BYTES).enumerate() {
        if reader.read(at + (number * PART_BYTES) as u64, part).is_err() {
            part.fill(0);
            unreadable += part.len() as u64;
        }
    }
    unreadable
}
