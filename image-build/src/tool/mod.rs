//! What the commands of this project share: paths, output, other programs and their packages.

pub mod capability;
pub mod files;
#[macro_use]
pub mod output;
pub mod packages;
pub mod process;
pub mod progress;
pub mod screen;
pub mod workspace;
