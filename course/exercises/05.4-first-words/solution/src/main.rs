//! A unikernel that greets whom its setting names.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;

use kernel_app::settings::SettingError;
use kernel_app::{Service, Settings};

kernel_app::program!("hello", hello);

fn hello(settings: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    log::info!("hello, {}", settings.get("INSTANCE").unwrap_or("world"));
    Ok(Vec::new())
}
