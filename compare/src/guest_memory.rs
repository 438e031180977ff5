//! The memory of a virtual machine on the host, told apart: what its guest takes, and what the program that makes it.
//!
//! Reference: proc_pid_smaps(5). Starts no machine.

use std::fs::File;
use std::io::Read;

use anyhow::{Context as _, Result, bail, ensure};

use crate::child;

/// Most bytes that are read of a process's list of mappings, and most of them: what Linux allows a process.
const SMAPS_BYTES_MAX: u64 = 64 << 20;
const MAPPINGS_MAX: usize = 65_536;
const BYTES_PER_MIB: u64 = 1 << 20;
const KIB_PER_MIB: f64 = 1024.0;

/// The two parts, in MiB; together what all processes hold, shared pages by their share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parts {
    /// Resident pages of the guest's memory.
    pub guest_mib: f64,
    /// All others.
    pub vmm_mib: f64,
}

/// What the processes of a machine with this much memory hold, and all that have come from them.
///
/// # Errors
/// When the guest's memory is not found among their mappings, or one of them is gone.
pub fn parts(pids: &[i32], memory_mib: u32) -> Result<Parts> {
    let mut all = Vec::new();
    for pid in child::families(pids) {
        match mappings_of(pid) {
            Ok(mappings) => all.push(mappings),
            Err(error) if pids.contains(&pid) => return Err(error),
            // A child may end meanwhile.
            Err(_) => {}
        }
    }
    parts_of(&all, memory_mib)
}

fn mappings_of(pid: i32) -> Result<Vec<Mapping>> {
    let path = format!("/proc/{pid}/smaps");
    let file = File::open(&path).with_context(|| format!("cannot read {path}"))?;
    let mut text = String::new();
    file.take(SMAPS_BYTES_MAX).read_to_string(&mut text).with_context(|| format!("cannot read {path}"))?;
    ensure!((text.len() as u64) < SMAPS_BYTES_MAX, "{path} has {SMAPS_BYTES_MAX} bytes or more");
    parse(&text).with_context(|| format!("cannot make out {path}"))
}

/// The parts of processes, each with its mappings.
fn parts_of(processes: &[Vec<Mapping>], memory_mib: u32) -> Result<Parts> {
    let bytes = u64::from(memory_mib) * BYTES_PER_MIB;
    let runs: Vec<&[Mapping]> = processes.iter().flat_map(|mappings| runs(mappings, bytes)).collect();
    let marked: Vec<_> =
        runs.iter().copied().filter(|run| run.iter().all(|mapping| mapping.is_not_inherited)).collect();
    let guest = match (marked.as_slice(), runs.as_slice()) {
        ([only], _) | ([], [only]) => held_kib(only),
        ([], []) => bail!("none of its mappings has the machine's {memory_mib} MiB"),
        _ => bail!("{} of its mappings have the machine's {memory_mib} MiB", marked.len().max(runs.len())),
    };
    let all: u64 = processes.iter().map(|mappings| held_kib(mappings)).sum();
    Ok(Parts { guest_mib: guest as f64 / KIB_PER_MIB, vmm_mib: (all - guest) as f64 / KIB_PER_MIB })
}

fn held_kib(mappings: &[Mapping]) -> u64 {
    mappings.iter().map(|mapping| mapping.held_kib).sum()
}

/// Writable neighbours that have so many bytes together: memory that is told apart in one place, such as for large
/// pages, becomes several mappings.
fn runs(mappings: &[Mapping], bytes: u64) -> Vec<&[Mapping]> {
    let run = |first: usize| {
        let mut end = mappings[first].start;
        for (index, mapping) in mappings.iter().enumerate().skip(first) {
            if mapping.start != end || !mapping.is_data {
                return None;
            }
            end = mapping.end;
            match (end - mappings[first].start).cmp(&bytes) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Some(&mappings[first..=index]),
                std::cmp::Ordering::Greater => return None,
            }
        }
        None
    };
    (0..mappings.len()).filter_map(run).collect()
}

/// A mapping of a process.
#[derive(Clone, Debug, Default, PartialEq)]
struct Mapping {
    start: u64,
    end: u64,
    /// Whether it can be written, and not executed.
    is_data: bool,
    /// What the process holds of it (Pss).
    held_kib: u64,
    /// Whether a child would not have it (`dc`): so QEMU marks the memory of guests, and a stack is never marked.
    is_not_inherited: bool,
}

fn parse(text: &str) -> Result<Vec<Mapping>> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in text.lines() {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (first.strip_suffix(':'), mappings.last_mut()) {
            (None, _) => {
                ensure!(mappings.len() < MAPPINGS_MAX, "it has more than {MAPPINGS_MAX} mappings");
                mappings.push(begin(first, rest).with_context(|| format!("no mapping: {line:?}"))?);
            }
            (Some("Pss"), Some(mapping)) => {
                let kib = rest.trim().strip_suffix(" kB").and_then(|kib| kib.parse().ok());
                mapping.held_kib = kib.with_context(|| format!("no number: {line:?}"))?;
            }
            (Some("VmFlags"), Some(mapping)) => {
                mapping.is_not_inherited = rest.split_whitespace().any(|flag| flag == "dc");
            }
            _ => {}
        }
    }
    Ok(mappings)
}

/// The first line of a mapping: its addresses, and its rights.
fn begin(addresses: &str, rest: &str) -> Option<Mapping> {
    let (start, end) = addresses.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let (start, end) = (number(start)?, number(end)?);
    let rights = rest.get(..4)?;
    (start < end).then(|| Mapping { start, end, is_data: rights.starts_with("rw-"), ..Mapping::default() })
}

#[cfg(test)]
mod tests;
