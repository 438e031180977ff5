//! The source lines that an instruction of a placed program comes from, by its debug information.
//!
//! Knows no layers beyond asking for them.

use std::path::Path;

use addr2line::Loader;
use anyhow::{Result, anyhow};
use image_build::image::PROGRAM_START;

use super::layer::{self, Layer};

/// A program with its debug information.
pub struct Symbols(Loader);

/// What an instruction is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The layer that it works for.
    pub layer: Layer,
    /// The function whose code it is, after inlining, and the one that this was inlined into.
    pub function: String,
}

impl Symbols {
    /// Those of this ELF file.
    pub fn open(program: &Path) -> Result<Self> {
        let loader = Loader::new(program);
        loader.map(Self).map_err(|error| anyhow!("{} has no symbols: {error}", program.display()))
    }

    /// Where the instruction at an address of the running guest comes from.
    pub fn origin(&self, address: u64) -> Origin {
        let found = address.checked_sub(PROGRAM_START).and_then(|address| self.frames(address));
        // Firmware and loader have run long before: what has no lines is the kernel's assembly.
        found.unwrap_or_else(|| Origin { layer: layer::KERNEL, function: format!("{address:#x}") })
    }

    fn frames(&self, address: u64) -> Option<Origin> {
        let mut frames = self.0.find_frames(address).ok()?;
        let (mut layer, mut functions) = (None, Vec::new());
        while let Some(frame) = frames.next().ok()? {
            let name =
                frame.function.as_ref().and_then(|name| name.demangle().ok().map(|name| name.into_owned()));
            functions.extend(name);
            let file = frame.location.and_then(|location| location.file);
            layer = layer.or_else(|| file.and_then(layer::of_file));
        }
        if functions.is_empty() {
            let name = self.0.find_symbol(address)?;
            let layer = if is_of_bytes(name) { layer::COPYING } else { layer::KERNEL };
            return Some(Origin { layer, function: name.to_owned() });
        }
        let (inner, outer) = (functions.first()?, functions.last()?);
        let layer = layer.unwrap_or(layer::LIBRARY);
        let function = if inner == outer { inner.clone() } else { format!("{inner} in {outer}") };
        Some(Origin { layer, function })
    }
}

/// Whether it is one of the C library's functions that compilers call of their own accord.
fn is_of_bytes(name: &str) -> bool {
    ["memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen"].contains(&name)
}
