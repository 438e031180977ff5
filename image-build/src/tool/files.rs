//! Writing files as a whole, and digests as text.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes a file that is there as a whole or not at all, and not at all when nothing changes.
///
/// # Errors
/// When it cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let directory = path.parent().context("a file without a directory")?;
    let unwritable = || format!("cannot write {}", path.display());
    // Everybody may read it, as far as the user's mask lets them.
    let permissions = Permissions::from_mode(0o666);
    let builder = tempfile::Builder::new().permissions(permissions).tempfile_in(directory);
    let mut file = builder.with_context(unwritable)?;
    file.write_all(bytes).with_context(unwritable)?;
    file.persist(path).with_context(unwritable)?;
    Ok(())
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
