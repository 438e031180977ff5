//! Exercise 5.4: a unikernel's first words. Greet whom the setting INSTANCE names, as in `hello, reader`, and end well.
//!
//! `cargo course check 5.4` builds this for Hermit, boots it in QEMU with INSTANCE=reader, and reads its serial line.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;

use kernel_app::settings::SettingError;
use kernel_app::{Service, Settings};

kernel_app::program!("hello", hello);

fn hello(settings: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    // Yours to write.
    let _ = settings;
    Ok(Vec::new())
}
