//! Translates the command line that a VMM or a container engine gives into the words that the Hermit kernel and its
//! program understand.
//!
//! The loader calls it before the kernel reads the line, which complains about words that it does not know and stops
//! with a panic at a quote that is left open. What comes out has neither.
//!
//! | word | becomes |
//! |---|---|
//! | `env=NAME=VALUE` | itself: a setting |
//! | `NAME=VALUE` behind `--` | `env=NAME=VALUE` |
//! | `ip=ADDRESS/PREFIX` (urunc), `ip=ADDRESS:SERVER:GATEWAY:MASK:HOST:CARD:HOW:DNS:DNS` (Linux) | `IP`, `GATEWAY`, `DNS` |
//! | `gateway=`, `dns=`, `mtu=` | `GATEWAY`, `DNS`, `MTU` |
//! | `virtio_mmio.device=SIZE@ADDRESS:INTERRUPT` (Linux), on either side of `--` | a place in `VIRTIO_MMIO` |
//! | `-freq MHZ` | itself |
//! | any other word before `--` | nothing: it is for another kernel |
//! | a path as the first word behind `--` | nothing: engines put the program's name there |
//! | any other word behind `--` | itself: an argument |
//!
//! **Quoting** is that of a POSIX shell, in which Linux's double quotes mean the same: blanks between quotes do not
//! end a word. Unlike both, a quote that is left open stands for itself.
//!
//! **Of two words for one setting the last one counts**, whichever words they are: names come out in the order in which
//! they went in, and the kernel keeps the last. An empty value unsets what came before it. `VIRTIO_MMIO` comes last.
//!
//! Values are not judged: an address that is none is told by the program, with its setting.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod address;
mod devices;
#[cfg(test)]
mod tests;
mod words;

use alloc::string::String;
use core::num::NonZeroU16;

use crate::address::Address;
use crate::devices::Devices;
use crate::words::{Words, push_word};

/// Longest line that is translated. QEMU's firmware takes as many, Firecracker half of it.
pub const LINE_BYTES_MAX: usize = 4095;
/// What the result of the longest line is shorter than: a setting behind `--` grows most, for it gets a prefix and
/// perhaps quotes.
pub const RESULT_BYTES_MAX: usize = 3 * LINE_BYTES_MAX;

/// The option of the kernel with the rate of the processor's time stamps.
const RATE: &str = "-freq";

/// Why a line is not translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It is longer than [`LINE_BYTES_MAX`].
    TooLong,
    /// It is not UTF-8.
    NotText,
}

/// The line in the words of the kernel and the program. Each word that means nothing to them is shown to `dropped`.
///
/// # Errors
/// When the line is too long, or not UTF-8.
pub fn translate(line: &[u8], dropped: impl FnMut(&str)) -> Result<String, Error> {
    if line.len() > LINE_BYTES_MAX {
        return Err(Error::TooLong);
    }
    let mut words = Words::new(core::str::from_utf8(line).map_err(|_| Error::NotText)?);
    let mut translation = Translation::new(dropped);
    let mut word = String::new();
    while words.next(&mut word) {
        translation.take(&word);
    }
    Ok(translation.finish())
}

/// What has been understood of a line so far.
struct Translation<D> {
    settings: String,
    devices: Devices,
    arguments: String,
    /// How many words came behind `--`, if that came.
    behind: Option<usize>,
    /// The word before was [`RATE`].
    wants_rate: bool,
    dropped: D,
}

impl<D: FnMut(&str)> Translation<D> {
    fn new(dropped: D) -> Self {
        let (settings, arguments) = (String::new(), String::new());
        Self { settings, devices: Devices::new(), arguments, behind: None, wants_rate: false, dropped }
    }

    fn take(&mut self, word: &str) {
        if core::mem::take(&mut self.wants_rate) {
            if word.parse::<NonZeroU16>().is_ok() {
                push_word(&mut self.settings, &[RATE]);
                return push_word(&mut self.settings, &[word]);
            }
            (self.dropped)(RATE);
        }
        let pair = word.split_once('=');
        let is_understood = match (pair, self.behind) {
            (Some(("virtio_mmio.device", device)), _) => self.devices.add(device),
            (_, None) => self.option(word, pair),
            (_, Some(count)) => {
                self.behind = Some(count + 1);
                self.argument(word, pair, count == 0)
            }
        };
        if !is_understood {
            (self.dropped)(word);
        }
    }

    /// A word before `--`; whether it is understood.
    fn option(&mut self, word: &str, pair: Option<(&str, &str)>) -> bool {
        match pair {
            None if word == "--" => self.behind = Some(0),
            None if word == RATE => self.wants_rate = true,
            Some(("ip", value)) => self.address(&Address::read(value)),
            Some(("gateway", value)) => self.set("GATEWAY", &[value]),
            Some(("dns", value)) => self.set("DNS", &[value]),
            Some(("mtu", value)) => self.set("MTU", &[value]),
            Some(("env", pair)) => match pair.split_once('=') {
                Some((name, value)) if is_name(name) => self.set(name, &[value]),
                _ => return false,
            },
            _ => return false,
        }
        true
    }

    /// A word behind `--`; whether it is understood.
    fn argument(&mut self, word: &str, pair: Option<(&str, &str)>, is_first: bool) -> bool {
        match pair {
            _ if is_first && word.starts_with('/') => return false,
            Some((name, value)) if is_name(name) => self.set(name, &[value]),
            _ => push_word(&mut self.arguments, &[word]),
        }
        true
    }

    fn address(&mut self, address: &Address<'_>) {
        match address.prefix() {
            Some(prefix) => self.set("IP", &[address.own, "/", prefix.as_str()]),
            None => self.set("IP", &[address.own]),
        }
        if !address.gateway.is_empty() {
            self.set("GATEWAY", &[address.gateway]);
        }
        match address.servers {
            ["", ""] => {}
            [one, ""] | ["", one] => self.set("DNS", &[one]),
            [one, other] => self.set("DNS", &[one, ",", other]),
        }
    }

    /// Sets a setting to these parts of its value.
    fn set(&mut self, name: &str, value: &[&str]) {
        let mut parts = [""; 6];
        parts[..3].copy_from_slice(&["env=", name, "="]);
        parts[3..3 + value.len()].copy_from_slice(value);
        push_word(&mut self.settings, &parts);
    }

    fn finish(mut self) -> String {
        if let Some(devices) = self.devices.listed() {
            push_word(&mut self.settings, &["env=VIRTIO_MMIO=", devices]);
        }
        if !self.arguments.is_empty() {
            push_word(&mut self.settings, &["--"]);
            self.settings.push(' ');
            self.settings.push_str(&self.arguments);
        }
        self.settings
    }
}

/// Whether it can be the name of a setting.
fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.bytes().next().is_some_and(is_letter) && name.bytes().all(|b| is_letter(b) || b.is_ascii_digit())
}
