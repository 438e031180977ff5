//! The smallest unikernel: it says a line and ends. `cargo run --target x86_64-unknown-hermit -p hello` boots it,
//! `cargo run -p hello` runs the same as a Linux process.
//!
//! There is no `main`: `program!` defines what the Hermit kernel calls once it is up. It makes the program's services
//! and runs them until the machine is told to stop. This program has none, so it is at its end.
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
