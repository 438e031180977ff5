//! Greets the world, whatever the setting says.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;

use kernel_app::settings::SettingError;
use kernel_app::{Service, Settings};

kernel_app::program!("hello", hello);

fn hello(settings: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    let _ = settings;
    log::info!("hello, world");
    Ok(Vec::new())
}
