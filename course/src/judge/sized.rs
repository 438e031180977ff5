//! A step that looks at the size of a work's image.

use anyhow::Result;

use crate::exercise::format::{Profile, Size};
use crate::judge::bench::Bench;
use crate::judge::machine;
use crate::judge::verdict::Fault;

/// Compares the image's bytes with a limit, or with the start's.
///
/// # Errors
/// When it is not the work that keeps it from being built.
pub fn judge(bench: &Bench<'_>, step: &Size) -> Result<Option<Fault>> {
    let image = match machine::build(bench, Profile::Image)? {
        Ok(image) => image,
        Err(fault) => return Ok(Some(fault)),
    };
    let (limit, why) = match (step.at_most, step.smaller_than_start_by_kib) {
        (Some(bytes), _) => (bytes, String::new()),
        (None, kib) => {
            let kib = kib.unwrap_or_default();
            let start = match bench.with_start(|| machine::build(bench, Profile::Image))? {
                Ok(start) => start.bytes,
                Err(fault) => return Ok(Some(fault)),
            };
            (start.saturating_sub(kib * 1024), format!(", {kib} KiB fewer than the start's {start}"))
        }
    };
    Ok((image.bytes > limit).then(|| {
        let over = image.bytes - limit;
        Fault::new(
            format!("an image of at most {limit} bytes{why}"),
            format!("{}, {over} bytes too many", image.bytes),
        )
    }))
}
