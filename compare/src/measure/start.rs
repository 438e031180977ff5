//! Time from the start of a vote service to its first answer, from a cold and from a warm page cache.
//!
//! Cold means that the files which are started are not in the page cache. The rest of the system is as
//! warm as it is: what another running process has mapped cannot be dropped, and the sample says so.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use image_build::{process, qemu};
use rustix::fs::{Advice, fadvise};

use super::{Site, vote};
use crate::record::{Cache, Measure, Metric, Sample};

/// Starts of each kind in a full run and in a quick one.
const STARTS: (usize, usize) = (11, 3);
/// An instance that has not answered by then does not.
const LIMIT: Duration = Duration::from_secs(30);
/// How long the first words of an instance that answers are waited for.
const LOG_LIMIT: Duration = Duration::from_secs(2);
/// How often its log is looked at.
const LOG_POLL: Duration = Duration::from_millis(1);

/// A sample for each start, cold and warm by turns.
///
/// # Errors
/// When an instance does not answer.
pub fn measure(site: &Site) -> Result<Vec<Sample>> {
    let starts = if site.quick { STARTS.1 } else { STARTS.0 };
    let kinds = (0..starts).flat_map(|_| [Cache::Cold, Cache::Warm]);
    kinds.map(|cache| start(site, cache)).collect()
}

fn start(site: &Site, cache: Cache) -> Result<Sample> {
    let files = files(site);
    let note = match cache {
        Cache::Cold => drop_from_cache(&files)?,
        Cache::Warm => read_all(&files).map(|()| None)?,
    };
    let (mut instance, host) = vote::start(site, "vote", None)?;
    let log = instance.log.clone();
    let begun = instance.begun;
    // The log is watched beside, so that the questions are not held up.
    let words = thread::spawn(move || first_words(&log, begun));
    let time = vote::first_page(&mut instance, host, LIMIT)?;
    let words = words.join().ok().flatten();
    let sample = site.sample(Measure::Start { cache }, [(Metric::Ms, milliseconds(time))]);
    Ok(Sample { timeline: timeline(words, time), note, ..sample })
}

/// What is read to start an instance, as far as it is known by name.
fn files(site: &Site) -> Vec<PathBuf> {
    let mut files = site.substrate.shipped();
    if site.substrate.memory_range().is_some() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        files.extend(
            std::env::split_paths(&path)
                .map(|directory| directory.join(qemu::PROGRAM))
                .find(|path| path.is_file()),
        );
    }
    files
}

/// Drops files from the page cache; what of them stayed, if something did.
fn drop_from_cache(files: &[PathBuf]) -> Result<Option<String>> {
    for path in files {
        let file = open(path)?;
        // Only what is on disk already can be dropped.
        file.sync_all().with_context(|| format!("cannot sync {}", path.display()))?;
        fadvise(&file, 0, None, Advice::DontNeed)
            .with_context(|| format!("cannot drop {}", path.display()))?;
    }
    let stayed: Vec<String> = files.iter().filter_map(|path| cached(path)).collect();
    Ok((!stayed.is_empty())
        .then(|| format!("not quite cold: {} stayed in the page cache", stayed.join(", "))))
}

/// What `fincore` says is cached of a file, if it is something; silent where there is no `fincore`.
fn cached(path: &Path) -> Option<String> {
    let mut fincore = Command::new("fincore");
    fincore.args(["--bytes", "--noheadings", "--output", "RES"]).arg(path);
    let bytes: u64 = process::output(&mut fincore, "asking for cached pages").ok()?.trim().parse().ok()?;
    let name = path.file_name()?.to_string_lossy();
    (bytes > 0).then(|| format!("{} KiB of {name}", bytes / 1024))
}

fn read_all(files: &[PathBuf]) -> Result<()> {
    for path in files {
        fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("cannot open {}", path.display()))
}

/// When a log got its first whole line, and that line.
fn first_words(log: &Path, begun: Instant) -> Option<(Duration, String)> {
    while begun.elapsed() < LIMIT + LOG_LIMIT {
        let text = fs::read_to_string(log).unwrap_or_default();
        if let Some((line, _)) = text.split_once('\n') {
            return Some((begun.elapsed(), line.to_owned()));
        }
        thread::sleep(LOG_POLL);
    }
    None
}

/// The stages of a start in the order in which they were reached.
fn timeline(words: Option<(Duration, String)>, answer: Duration) -> Vec<(String, f64)> {
    let mut stages = Vec::new();
    if let Some((said, line)) = words.filter(|(said, _)| *said < answer) {
        if let Some(uptime) = uptime(&line).filter(|uptime| *uptime < said) {
            stages.push(("machine switched on".to_owned(), milliseconds(said - uptime)));
        }
        stages.push(("service speaks".to_owned(), milliseconds(said)));
    }
    stages.push(("first 200".to_owned(), milliseconds(answer)));
    stages
}

/// The machine's age by the line `... is up N ms after power-on`.
fn uptime(line: &str) -> Option<Duration> {
    let (_, after) = line.split_once(" is up ")?;
    Some(Duration::from_millis(after.split_once(" ms after power-on")?.0.parse().ok()?))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_s_age_is_in_a_unikernel_s_first_line_only() {
        let line = "2026-11-24T01:12:16.021Z INFO  vote vote 0.1.0 is up 54 ms after power-on";
        assert_eq!(uptime(line), Some(Duration::from_millis(54)));
        assert_eq!(uptime("2026-11-24T01:12:22.043Z INFO  vote running as a Linux process, pid 1"), None);
    }

    #[test]
    fn what_was_dropped_is_not_cached() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), vec![1; 1 << 20]).expect("it is writable");
        read_all(&[file.path().to_owned()]).expect("readable");
        // Where the file system keeps its files in memory, the note says what stayed.
        let note = drop_from_cache(&[file.path().to_owned()]).expect("it can be asked for");
        assert_eq!(note.is_some(), cached(file.path()).is_some());
    }
}
