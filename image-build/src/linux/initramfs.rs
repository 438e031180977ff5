//! An initial file system for Linux: a cpio archive of the format "newc" (Linux,
//! `Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! Not compressed: unpacking costs an emulated processor more than reading. Carries no owner and no time, so the same
//! files make the same archive.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::debian::Packages;

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_777;
const CHARACTER_DEVICE: u32 = 0o020_600;
/// Numbers of the console device.
const CONSOLE: (u32, u32) = (5, 1);

/// An archive that is being written.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// An archive with a console, busybox as the shell, and these modules, each by its path without an ending.
    ///
    /// # Errors
    /// When one of them is not among the packages.
    pub fn with_modules(debian: &Packages, modules: &[&str]) -> Result<Self> {
        let mut archive = Self::default();
        for folder in ["bin", "dev", "modules"] {
            archive.folder(folder);
        }
        archive.console();
        archive.copy_program("bin/busybox", &debian.busybox()?)?;
        archive.link("bin/sh", "busybox");
        for module in modules {
            archive.copy(&place(module), &debian.module(module)?)?;
        }
        Ok(archive)
    }

    /// Adds a folder; before what is in it.
    pub fn folder(&mut self, name: &str) {
        self.entry(name, DIRECTORY, (0, 0), &[]);
    }

    /// Adds a copy of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    fn copy(&mut self, name: &str, from: &Path) -> Result<()> {
        self.entry(name, FILE, (0, 0), &read(from)?);
        Ok(())
    }

    /// Adds a copy of a program.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn copy_program(&mut self, name: &str, from: &Path) -> Result<()> {
        self.program(name, &read(from)?);
        Ok(())
    }

    /// Adds a program or a script.
    pub fn program(&mut self, name: &str, content: &[u8]) {
        self.entry(name, PROGRAM, (0, 0), content);
    }

    /// Adds a symbolic link.
    fn link(&mut self, name: &str, to: &str) {
        self.entry(name, LINK, (0, 0), to.as_bytes());
    }

    /// Adds the device that the first program speaks to.
    fn console(&mut self) {
        self.entry("dev/console", CHARACTER_DEVICE, CONSOLE, &[]);
    }

    /// The whole archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        // inode, mode, uid, gid, links, time, size, device of the file (2), device number (2), name, check
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes().chain([0]));
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    /// Names and contents end on a boundary of four bytes.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// Lines of the first program that load the modules of [`Archive::with_modules`].
pub fn insert(modules: &[&str]) -> String {
    modules.iter().map(|module| format!("/bin/busybox insmod /{}\n", place(module))).collect()
}

fn place(module: &str) -> String {
    format!("modules/{}.ko", module.rsplit('/').next().unwrap_or(module))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpio_entry_is_a_110_byte_header_a_name_and_padded_content() {
        let mut archive = Archive::default();
        archive.program("init", b"hello");
        let text = String::from_utf8(archive.bytes.clone()).expect("ASCII");
        assert_eq!(&text[..14], "07070100000001");
        assert_eq!(&text[14..22], "000081ed", "a regular file that may be run");
        assert_eq!(&text[54..62], "00000005", "its size");
        assert_eq!(&text[110..], "init\0\0hello\0\0\0");
        let whole = archive.finish();
        assert!(whole.len().is_multiple_of(4) && whole.ends_with(b"TRAILER!!!\0\0\0\0"));
    }
}
