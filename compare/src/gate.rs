//! The gate against regressions: instructions for a boot, a GET and a POST against committed figures.
//!
//! Counted in a lockstep with one client, so that they repeat on any machine; see `counted`. They do
//! depend on the compiler, and a boot's a little on QEMU's firmware.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use image_build::accelerator::Choice;
use image_build::qemu::Machine;

use crate::context::Context;
use crate::counted::{self, CountedVote};
use crate::substrate::{self, Program};

/// How far a count may be from the committed one, in percent of it.
const TOLERANCE_PERCENT: u64 = 2;
/// What the file of figures begins with.
const HEADING: &str = "# Guest instructions of the vote service on q35, one client in lockstep; checked in CI within 2%.\n\
    # After a change that is meant: `cargo compare instructions --update`.\n";

type Figures = BTreeMap<String, u64>;

/// `cargo compare instructions`: counts, and compares with the committed figures or replaces them.
///
/// # Errors
/// When a count differs too much, or cannot be taken.
pub fn run(update: bool) -> Result<()> {
    let context = Context::find(Choice::Tcg, None, false)?;
    let counted = count(&context)?;
    let path = path(&context);
    if update {
        let text = HEADING.to_owned() + &toml::to_string(&counted)?;
        return fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()));
    }
    let unreadable =
        || format!("cannot read {}: write it with `cargo compare instructions --update`", path.display());
    let committed: Figures =
        toml::from_str(&fs::read_to_string(&path).with_context(unreadable)?).with_context(unreadable)?;
    let mut failures = Vec::new();
    for (name, figure) in &committed {
        let now =
            *counted.get(name).with_context(|| format!("{name} in {} is not counted", path.display()))?;
        println!("{name:<16} {figure:>12} committed {now:>12} now {:>+7.2}%", percent(*figure, now));
        failures.extend(failure(name, *figure, now));
    }
    if !failures.is_empty() {
        bail!("{}\nif this is meant: `cargo compare instructions --update`, and commit", failures.join("\n"));
    }
    Ok(())
}

fn path(context: &Context) -> PathBuf {
    context.workspace.root.join("compare/instructions.toml")
}

fn count(context: &Context) -> Result<Figures> {
    let directory = context.artifacts("instructions")?;
    let hermit = substrate::hermit(context, Machine::Q35, &[Program::Vote, Program::Store])?;
    let mut vote = CountedVote::start(hermit.as_ref(), &directory)?;
    let name = |counted| -> Result<String> {
        let name = serde_json::to_value(counted)?;
        Ok(name.as_str().context("a count without a name")?.to_owned())
    };
    let mut figures = Figures::new();
    for counted in counted::ALL {
        let count = match counted::kind(counted) {
            None => vote.boot,
            Some((method, keep_alive)) => vote.lockstep(method, keep_alive)?,
        };
        figures.insert(name(counted)?, count);
    }
    Ok(figures)
}

fn percent(committed: u64, now: u64) -> f64 {
    (now as f64 / committed.max(1) as f64 - 1.0) * 100.0
}

/// What is wrong with a count, if it is too far from the committed one. Fewer instructions are welcome,
/// but the figures have to stay true.
fn failure(name: &str, committed: u64, now: u64) -> Option<String> {
    if now.abs_diff(committed).saturating_mul(100) <= committed.saturating_mul(TOLERANCE_PERCENT) {
        return None;
    }
    let percent = percent(committed, now);
    let word = if percent > 0.0 { "more" } else { "fewer" };
    Some(format!(
        "{name} takes {now} instructions, {:.1}% {word} than the committed {committed}",
        percent.abs()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_two_percent_is_well_and_beyond_is_not() {
        assert_eq!(failure("boot", 1000, 1020), None);
        assert_eq!(failure("boot", 1000, 980), None);
        let more = failure("get-close", 1000, 1021).expect("too many");
        assert_eq!(more, "get-close takes 1021 instructions, 2.1% more than the committed 1000");
        assert!(failure("boot", 1000, 500).expect("too few").contains("50.0% fewer"));
        assert!(failure("boot", 0, 5).is_some());
    }
}
