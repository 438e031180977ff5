//! The smallest unikernel: it prints a line and ends. `cargo run --target x86_64-unknown-hermit -p hello` boots it,
//! and `cargo run -p hello` runs the same program as a Linux process.
//!
//! There is no `main`: `program!` defines the function that the Hermit kernel calls after its start. It creates the
//! program's services and runs them until the machine is asked to stop. This program has no services, so it ends at
//! once.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;

use kernel_app::settings::SettingError;
use kernel_app::{Service, Settings};

kernel_app::program!("hello", hello);

fn hello(settings: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    // Settings are words on the kernel's command line in a guest, and variables of a process: INSTANCE=you
    log::info!("hello, {}", settings.get("INSTANCE").unwrap_or("world"));
    Ok(Vec::new())
}
