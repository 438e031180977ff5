//! The files that a start reads: dropped from the page cache, or read into it.
//!
//! Drops nothing else: no other file, no directory entries, no metadata.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use image_build::tool::packages;
use image_build::tool::packages::table::FINCORE;
use image_build::tool::packages::table::QEMU;
use image_build::tool::process;
use rustix::fs::{Advice, fadvise};

use crate::child;
use crate::substrate::{Instance, Substrate};

/// A start is not cold when more than this share of what is the substrate's own stays cached.
const OWN_SHARE_MAX: f64 = 0.5;
const MIB: f64 = 1_048_576.0;

/// What a start reads.
#[derive(Debug)]
pub struct Files {
    /// What the substrate names.
    own: BTreeSet<PathBuf>,
    /// What its processes have mapped besides, such as QEMU and its libraries, and QEMU's firmware.
    other: BTreeSet<PathBuf>,
}

impl Files {
    /// What `instance`, which answers, has read.
    ///
    /// # Errors
    /// When QEMU does not say where its firmware is.
    pub fn of(substrate: &dyn Substrate, instance: &Instance) -> Result<Self> {
        let own: BTreeSet<PathBuf> = substrate.started_from().into_iter().collect();
        let maps = child::families(&instance.processes).into_iter().map(|pid| format!("/proc/{pid}/maps"));
        // Of another user's process, and of one that has just ended, nothing is known.
        let maps: Vec<String> = maps.filter_map(|path| fs::read_to_string(path).ok()).collect();
        let mut other: BTreeSet<PathBuf> = maps.iter().flat_map(|text| mapped(text)).collect();
        if other.iter().any(|path| path.file_name().is_some_and(|name| name == QEMU.program)) {
            other.extend(firmware()?);
        }
        Ok(Self { other: other.difference(&own).cloned().collect(), own })
    }

    /// Reads them all, so that they are in the page cache.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn read(&self) -> Result<()> {
        for path in self.own.iter().chain(&self.other) {
            fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        }
        Ok(())
    }

    /// Drops them all from the page cache; what stayed there.
    ///
    /// # Errors
    /// When one cannot be opened or dropped.
    pub fn drop_from_cache(&self) -> Result<Left> {
        for path in self.own.iter().chain(&self.other) {
            let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            // Only what is on disk already can be dropped.
            file.sync_all().with_context(|| format!("cannot sync {}", path.display()))?;
            fadvise(&file, 0, None, Advice::DontNeed)
                .with_context(|| format!("cannot drop {}", path.display()))?;
        }
        if !process::is_installed(FINCORE.program) {
            return Ok(Left { is_known: false, ..Left::default() });
        }
        Ok(Left { is_known: true, own: cached(&self.own)?, other: cached(&self.other)? })
    }
}

/// Files that a process has mapped (proc_pid_maps(5)), as far as they are the same here: a container's
/// paths are its own.
fn mapped(maps: &str) -> BTreeSet<PathBuf> {
    let file = |line: &str| {
        let mut fields = line.split_whitespace();
        let inode: u64 = fields.nth(4)?.parse().ok()?;
        let path = Path::new(fields.next().filter(|path| path.starts_with('/'))?);
        (fs::metadata(path).is_ok_and(|data| data.is_file() && data.ino() == inode)).then(|| path.to_owned())
    };
    maps.lines().filter_map(file).collect()
}

/// The files that QEMU may load into a machine: its firmware and what it boots kernels with.
fn firmware() -> Result<Vec<PathBuf>> {
    let mut command = Command::new(QEMU.program);
    let folders = process::output(command.args(["-L", "help"]), "asking QEMU for its firmware")?;
    let files = folders.lines().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    Ok(files.map(|entry| entry.path()).filter(|path| path.is_file()).collect())
}

/// Bytes of files, and how many of them the page cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cached {
    bytes: u64,
    cached: u64,
}

/// What the page cache holds of files.
fn cached(files: &BTreeSet<PathBuf>) -> Result<Cached> {
    if files.is_empty() {
        return Ok(Cached::default());
    }
    let mut fincore = Command::new(FINCORE.program);
    fincore.args(["--bytes", "--noheadings", "--output", "RES,SIZE"]).args(files);
    let table = process::output(&mut fincore, "asking for cached pages")?;
    let rows: Vec<Cached> = table.lines().filter_map(row).collect();
    ensure!(rows.len() == files.len(), "fincore says {} lines of {} files", rows.len(), files.len());
    Ok(Cached {
        bytes: rows.iter().map(|row| row.bytes).sum(),
        // The last page counts as a whole one.
        cached: rows.iter().map(|row| row.cached.min(row.bytes)).sum(),
    })
}

/// A line of fincore's table.
fn row(line: &str) -> Option<Cached> {
    let mut fields = line.split_whitespace().map(str::parse);
    let (cached, bytes) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some(Cached { bytes, cached })
}

/// What stayed in the page cache of files that were dropped from it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Left {
    /// Whether somebody could tell.
    is_known: bool,
    own: Cached,
    other: Cached,
}

impl Left {
    fn cached(&self) -> u64 {
        self.own.cached + self.other.cached
    }

    /// The one of two of which more stayed; this one, if as much.
    pub fn max(self, other: Self) -> Self {
        if other.cached() > self.cached() { other } else { self }
    }

    /// Why the start that follows is not a cold one, if so.
    pub fn flaw(&self) -> Option<String> {
        let Cached { bytes, cached } = self.own;
        (cached as f64 > bytes as f64 * OWN_SHARE_MAX).then(|| {
            format!(
                "not cold: {} of {} of what is started stay in the page cache; are they in use, or on a \
                 file system in memory?",
                mib(cached),
                mib(bytes)
            )
        })
    }

    /// What a reader must know, if something stayed or nobody knows.
    pub fn note(&self) -> Option<String> {
        if !self.is_known {
            return Some(format!(
                "that files were dropped from the page cache was asked for, not seen: {}",
                packages::advice_for(&[&FINCORE])
            ));
        }
        (self.cached() > 0).then(|| {
            format!(
                "of {} that a start may read, {} stay in the page cache, because other programs use them",
                mib(self.own.bytes + self.other.bytes),
                mib(self.cached())
            )
        })
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_a_process_has_mapped_are_found() {
        let own = fs::read_to_string("/proc/self/maps").expect("this is Linux");
        let program = std::env::current_exe().expect("a path");
        assert!(mapped(&own).contains(&program), "{own}");
        let text = |inode: u64| format!("55-56 r-xp 00000000 fe:00 {inode}    {}\n", program.display());
        let inode = fs::metadata(&program).expect("it is there").ino();
        assert_eq!(mapped(&text(inode)).len(), 1);
        assert_eq!(mapped(&text(inode + 1)).len(), 0);
        assert_eq!(mapped("55-56 rw-p 00000000 00:00 0   [heap]\n55-56 rw-p 00000000 00:00 0 \n").len(), 0);
    }

    #[test]
    fn what_fincore_says_of_each_file_is_read() {
        assert_eq!(row(" 408 1674800"), Some(Cached { bytes: 1_674_800, cached: 408 }));
        assert_eq!(row("fincore: failed"), None);
    }

    #[test]
    fn a_file_that_is_read_is_cached_and_one_that_is_dropped_is_not() {
        // In the target directory: the usual place of temporary files may be memory.
        let program = std::env::current_exe().expect("a path");
        let file = tempfile::NamedTempFile::new_in(program.parent().expect("a folder")).expect("a file");
        fs::write(file.path(), vec![1; 1 << 20]).expect("it is writable");
        let files = Files { own: [file.path().to_owned()].into(), other: BTreeSet::new() };
        files.read().expect("readable");
        let left = files.drop_from_cache().expect("it can be asked for");
        if !left.is_known {
            return assert!(left.note().expect("a note").contains("not seen"));
        }
        assert_eq!(left.own.bytes, 1 << 20);
        assert_eq!((left.own.cached, left.flaw(), left.note()), (0, None, None));
        files.read().expect("readable");
        assert_eq!(cached(&files.own).expect("fincore"), Cached { bytes: 1 << 20, cached: 1 << 20 });
    }

    #[test]
    fn a_cold_start_with_a_warm_cache_does_not_count() {
        let own = |cached| Cached { bytes: 2 << 20, cached };
        let left = |cached, other| Left {
            is_known: true,
            own: own(cached),
            other: Cached { bytes: 60 << 20, cached: other },
        };
        assert_eq!((left(0, 0).flaw(), left(0, 0).note()), (None, None));
        let note = left(0, 3 << 20).note().expect("a note");
        assert!(note.contains("of 62.0 MiB that a start may read, 3.0 MiB stay"), "{note}");
        assert_eq!(left(0, 3 << 20).flaw(), None);
        assert_eq!(left(0, 1).max(left(0, 2)).cached(), 2);
        assert_eq!(left(0, 2).max(left(0, 1)).cached(), 2);
        assert!(left(2 << 20, 0).flaw().expect("a flaw").contains("2.0 MiB of 2.0 MiB"));
    }
}
