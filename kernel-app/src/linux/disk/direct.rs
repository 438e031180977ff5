//! Reads from the device, past the page cache (`O_DIRECT`).
//!
//! After a write that failed the kernel keeps its pages as if they were on the device, for whoever reads them
//! next, also in another process. A log that is read from there seems longer than it is, and all that is then
//! written behind it is lost with the cache. So what the cache holds is dropped, and what is read is read past
//! it. Either would do; file systems exist that do without the one or the other.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::vec;
use std::vec::Vec;

use rustix::fs::{Advice, OFlags, fadvise, fstatfs};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

/// What address, length and place of a direct read are multiples of: no common device has larger sectors.
const ALIGNMENT: usize = 4096;
/// How much is read at once.
const READ_BYTES: usize = 256 * 1024;
/// `f_type` of tmpfs and ramfs, where the cache is the device.
const TMPFS: i64 = 0x0102_1994;
const RAMFS: i64 = 0x8584_58f6;

/// A file that is read past the page cache.
#[derive(Debug)]
pub struct DirectFile {
    file: File,
    /// Whether reads go past the cache.
    direct: bool,
    /// Room for [`READ_BYTES`], and what it takes to align them at both ends.
    buffer: Vec<u8>,
}

impl DirectFile {
    /// Opens `file`, which is at `path`, once more. Nobody writes to it meanwhile.
    ///
    /// # Errors
    /// When it cannot be opened, or what is read from it would be the cache's and not the device's.
    pub fn open(file: &File, path: &Path) -> io::Result<Self> {
        // What an earlier process has written but not flushed is flushed, or known to be lost.
        let flushed = file.sync_all();
        let direct = OpenOptions::new().read(true).custom_flags(OFlags::DIRECT.bits() as i32).open(path);
        let (again, direct) = match direct {
            Ok(direct) => (direct, true),
            Err(error) if error.kind() == ErrorKind::InvalidInput => (file.try_clone()?, false),
            Err(error) => return Err(error),
        };
        let mut reader = Self { file: again, direct, buffer: vec![0; READ_BYTES + 2 * ALIGNMENT] };
        reader.drop_cache();
        if reader.direct && reader.read(0, &mut [0; 512]).is_err_and(|error| is_unsupported(&error)) {
            (reader.file, reader.direct) = (file.try_clone()?, false);
        }
        let shown = path.display();
        if let Err(error) = flushed {
            if !reader.direct {
                return Err(error);
            }
            log::warn!(
                "DATA={shown}: what an earlier process had written could not be flushed ({error}); what counts \
                 is read from the device"
            );
        }
        if !reader.direct && !is_in_memory(file) && reader.is_cached() {
            log::warn!(
                "DATA={shown}: its file system can neither read past its cache nor empty it: what a failed write \
                 has left there is taken for what is on the device"
            );
        }
        Ok(reader)
    }

    /// Reads `into` from `offset` on.
    ///
    /// # Errors
    /// When the device does not give all of it.
    pub fn read(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        if !self.direct {
            self.drop_cache();
            return self.file.read_exact_at(into, offset);
        }
        let mut offset = offset;
        for piece in into.chunks_mut(READ_BYTES) {
            self.read_piece(offset, piece)?;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    fn read_piece(&mut self, offset: u64, piece: &mut [u8]) -> io::Result<()> {
        let inside = (offset % ALIGNMENT as u64) as usize;
        let wanted = inside + piece.len();
        let at = self.buffer.as_ptr().align_offset(ALIGNMENT);
        let aligned = &mut self.buffer[at..at + wanted.next_multiple_of(ALIGNMENT)];
        let mut got = 0;
        // A read ends early at the end of the file, and where the device does not go on.
        while got < wanted {
            let start = got / ALIGNMENT * ALIGNMENT;
            let from = offset - inside as u64 + start as u64;
            match self.file.read_at(&mut aligned[start..], from) {
                Ok(count) if start + count > got => got = start + count,
                Ok(_) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        piece.copy_from_slice(&aligned[inside..wanted]);
        Ok(())
    }

    /// Drops what the cache holds of the file. What could not be dropped is read past.
    fn drop_cache(&self) {
        let _ = fadvise(&self.file, 0, None, Advice::DontNeed);
    }

    /// Whether the file's beginning is still in the cache, as far as the kernel tells.
    fn is_cached(&self) -> bool {
        let mut byte = [0];
        let read = preadv2(&self.file, &mut [io::IoSliceMut::new(&mut byte)], 0, ReadWriteFlags::NOWAIT);
        read != Err(Errno::AGAIN)
    }
}

/// Whether an error says that direct reads are not available.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported)
}

fn is_in_memory(file: &File) -> bool {
    fstatfs(file).is_ok_and(|status| status.f_type == TMPFS || status.f_type == RAMFS)
}
