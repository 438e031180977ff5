//! The progress lines at the end of the terminal; every other message must be printed above them.

use std::sync::LazyLock;

use indicatif::MultiProgress;

/// All lines that turn on the terminal. Who says something meanwhile takes them away for that long: see
/// `output::tell`.
pub fn screen() -> &'static MultiProgress {
    static SCREEN: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);
    &SCREEN
}
