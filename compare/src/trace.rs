//! Which instructions a guest has executed, out of QEMU's log of them.
//!
//! Does not know what they are for; see `budget`. The log has a line for each, as `-d exec` writes it when
//! every instruction is a block of its own (QEMU, docs/devel/tcg.rst).

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// How often the instruction at each address was executed.
pub type Trace = HashMap<u64, u64>;

/// What a line about an executed block begins with.
const EXECUTED: &str = "Trace ";

/// Reads QEMU's log, and empties it.
///
/// # Errors
/// When there is nothing of that kind in it.
pub fn take(log: &Path) -> Result<Trace> {
    let mut trace = Trace::new();
    for address in take_in_order(log)? {
        *trace.entry(address).or_default() += 1;
    }
    Ok(trace)
}

/// Reads QEMU's log, and empties it: the address of each instruction, in the order in which they were executed.
///
/// # Errors
/// As [`take`].
pub fn take_in_order(log: &Path) -> Result<Vec<u64>> {
    let file = File::open(log).with_context(|| format!("cannot read QEMU's log {}", log.display()))?;
    let trace = read(BufReader::new(file))?;
    // QEMU appends to it.
    fs::write(log, []).with_context(|| format!("cannot empty QEMU's log {}", log.display()))?;
    ensure!(!trace.is_empty(), "QEMU's log has no executed instructions: is `log exec` unknown to it?");
    Ok(trace)
}

fn read(log: impl BufRead) -> Result<Vec<u64>> {
    let mut trace = Vec::new();
    for line in log.lines() {
        trace.extend(address(&line.context("QEMU's log cannot be read")?));
    }
    Ok(trace)
}

/// The address in `Trace 0: 0x7f1c [00000000/0000000000201234/000000b3/ff000201] name`.
fn address(line: &str) -> Option<u64> {
    let (_, fields) = line.strip_prefix(EXECUTED)?.split_once('[')?;
    u64::from_str_radix(fields.split('/').nth(1)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executed_instructions_are_read_in_order_and_other_lines_are_not() {
        let log = "Trace 0: 0x7f1c4000 [0000000000000000/0000000000201234/000000b3/ff000201] main\n\
                   Trace 0: 0x7f1c4100 [00000000/0000000000201238/000000b3/ff000201] \n\
                   Trace 0: 0x7f1c4000 [00000000/0000000000201234/000000b3/ff000201] main\n\
                   Stopped execution of TB chain before 0x7f1c4000 [0000000000201234] main\n\
                   Trace 0: broken\n";
        let trace = read(log.as_bytes()).expect("a log");
        assert_eq!(trace, [0x20_1234, 0x20_1238, 0x20_1234]);
    }
}
