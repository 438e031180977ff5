//! Greets letter by letter.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use kernel_app::settings::SettingError;
use kernel_app::{Service, Settings};

kernel_app::program!("greeter", greet);

fn greet(settings: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    let name = settings.get("INSTANCE").unwrap_or("world");
    let mut said = String::new();
    for letter in name.chars() {
        said.push(letter);
        log::info!("hello, {name}: {said}");
    }
    Ok(Vec::new())
}
