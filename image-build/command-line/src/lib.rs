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
//! | `ip=ADDRESS/PREFIX` (urunc) | `IP` |
//! | `ip=ADDRESS:SERVER:GATEWAY:MASK:HOST:CARD:HOW:DNS:DNS` (Linux) | `IP`, `GATEWAY`, `DNS` |
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
//! they went in, and the kernel keeps the last. An empty value unsets what came before it. `VIRTIO_MMIO` comes last,
//! with commas between its places.
//!
//! Values are not judged: of one that cannot be used the program says so, with its setting.
//!
//! It is written for size, since every image has it: bytes and no text, and no arithmetic that could fail.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod address;
mod number;
#[cfg(test)]
mod tests;
mod words;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::address::Address;
use crate::number::number;
use crate::words::{Line, Words, split_once};

/// Longest line that is translated. QEMU's firmware takes as many, Firecracker half of it.
pub const LINE_BYTES_MAX: usize = 4095;
/// Most devices that `VIRTIO_MMIO` tells of: a VMM without PCI has interrupts for fewer.
pub const DEVICES_MAX: usize = 32;

/// The option of the kernel with the rate of the processor's time stamps, in MHz and 16 bits.
const RATE: &[u8] = b"-freq";

/// Why a line is not translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It is longer than [`LINE_BYTES_MAX`].
    TooLong,
    /// A word in it that is not dropped is not UTF-8.
    NotText,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "is longer than 4095 bytes",
            Self::NotText => "is not UTF-8",
        })
    }
}

impl core::error::Error for Error {}

/// The line in the words of the kernel and the program, at most three times as long: a setting behind `--` grows most,
/// for it gets a prefix. Each word that means nothing to them is shown to `dropped`.
///
/// # Errors
/// When the line is too long, or not UTF-8.
pub fn translate(line: &[u8], dropped: impl FnMut(&[u8])) -> Result<String, Error> {
    if line.len() > LINE_BYTES_MAX {
        return Err(Error::TooLong);
    }
    let mut translation = Translation {
        settings: Line(Vec::with_capacity(line.len())),
        devices: Line(Vec::new()),
        devices_count: 0,
        arguments: Line(Vec::new()),
        is_behind: false,
        can_be_path: false,
        wants_rate: false,
        dropped,
    };
    let mut words = Words::new(line);
    let mut word = Vec::with_capacity(line.len());
    while words.next(&mut word) {
        translation.take(&word);
    }
    String::from_utf8(translation.finish()).map_err(|_| Error::NotText)
}

/// What has been understood of a line so far.
struct Translation<D> {
    settings: Line,
    devices: Line,
    devices_count: usize,
    arguments: Line,
    /// `--` has come.
    is_behind: bool,
    /// It was the word before.
    can_be_path: bool,
    /// [`RATE`] was the word before.
    wants_rate: bool,
    dropped: D,
}

impl<D: FnMut(&[u8])> Translation<D> {
    fn take(&mut self, word: &[u8]) {
        if core::mem::take(&mut self.wants_rate) {
            if number(word).is_some_and(|rate| (1..1 << 16).contains(&rate)) {
                self.settings.word(RATE);
                return self.settings.word(word);
            }
            (self.dropped)(RATE);
        }
        let (name, value) = split_once(word, b'=');
        let is_understood = match value {
            Some(device) if name == b"virtio_mmio.device" => self.device(device),
            _ if self.is_behind => self.argument(word, name, value),
            Some(value) => self.option(name, value),
            None => self.flag(word),
        };
        if !is_understood {
            (self.dropped)(word);
        }
    }

    /// A device's place; whether there is room for it.
    fn device(&mut self, place: &[u8]) -> bool {
        self.devices_count += 1;
        if self.devices_count > DEVICES_MAX {
            return false;
        }
        if self.devices_count > 1 {
            self.devices.append(b",");
        }
        self.devices.append(place);
        true
    }

    /// A word behind `--`; whether it is understood.
    fn argument(&mut self, word: &[u8], name: &[u8], value: Option<&[u8]>) -> bool {
        match value {
            _ if core::mem::take(&mut self.can_be_path) && word.starts_with(b"/") => return false,
            Some(value) if is_name(name) => self.set(name, value),
            _ => self.arguments.word(word),
        }
        true
    }

    /// A word before `--` with a value; whether it is understood.
    fn option(&mut self, name: &[u8], value: &[u8]) -> bool {
        match name {
            b"ip" => self.address(&Address::read(value)),
            b"gateway" => self.set(b"GATEWAY", value),
            b"dns" => self.set(b"DNS", value),
            b"mtu" => self.set(b"MTU", value),
            b"env" => match split_once(value, b'=') {
                (name, Some(value)) if is_name(name) => self.set(name, value),
                _ => return false,
            },
            _ => return false,
        }
        true
    }

    /// A word before `--` without a value; whether it is understood.
    fn flag(&mut self, word: &[u8]) -> bool {
        self.wants_rate = word == RATE;
        self.is_behind = word == b"--";
        self.can_be_path = self.is_behind;
        self.wants_rate || self.is_behind
    }

    fn address(&mut self, address: &Address<'_>) {
        let mut digits = [0; 2];
        self.set(b"IP", address.own);
        self.add(b"/", address.prefix(&mut digits));
        if !address.gateway.is_empty() {
            self.set(b"GATEWAY", address.gateway);
        }
        let [one, other] = address.servers;
        if !one.is_empty() {
            self.set(b"DNS", one);
            self.add(b",", other);
        }
    }

    fn set(&mut self, name: &[u8], value: &[u8]) {
        self.settings.word(b"env=");
        self.settings.append(name);
        self.settings.append(b"=");
        self.settings.append(value);
    }

    /// Adds what there is of this to the value of the setting that was set last.
    fn add(&mut self, separator: &[u8], text: &[u8]) {
        if !text.is_empty() {
            self.settings.append(separator);
            self.settings.append(text);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.devices_count > 0 {
            self.settings.word(b"env=VIRTIO_MMIO=");
            self.settings.0.append(&mut self.devices.0);
        }
        if !self.arguments.0.is_empty() {
            self.settings.word(b"--");
            self.settings.0.push(b' ');
            self.settings.0.append(&mut self.arguments.0);
        }
        self.settings.0
    }
}

/// Whether it can be the name of a setting.
fn is_name(name: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    name.first().is_some_and(|first| !first.is_ascii_digit()) && name.iter().all(is_part)
}
