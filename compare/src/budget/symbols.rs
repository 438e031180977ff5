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

/// One of the functions that an instruction belongs to: the first has it, each further one has the previous inlined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The function's name, demangled.
    pub function: Option<String>,
    /// The source file of the place in that function.
    pub file: Option<String>,
}

impl Symbols {
    /// Those of this ELF file.
    ///
    /// # Errors
    /// When it cannot be read, or has none.
    pub fn open(program: &Path) -> Result<Self> {
        let loader = Loader::new(program);
        loader.map(Self).map_err(|error| anyhow!("{} has no symbols: {error}", program.display()))
    }

    /// Where the instruction at an address of the running guest comes from.
    pub fn origin(&self, address: u64) -> Origin {
        let found =
            address.checked_sub(PROGRAM_START).and_then(|offset| self.origin_in_file(offset, address));
        // Firmware and loader have run long before: what has no lines is the kernel's assembly.
        found.unwrap_or_else(|| Origin { layer: layer::KERNEL, function: format!("{address:#x}") })
    }

    /// The functions that the instruction at an address of the running guest belongs to, from the inside out; none
    /// where nothing is known of it.
    pub fn frames(&self, address: u64) -> Vec<Frame> {
        let mut found = Vec::new();
        let Some(offset) = address.checked_sub(PROGRAM_START) else { return found };
        let Ok(mut frames) = self.0.find_frames(offset) else { return found };
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.as_ref().and_then(|name| name.demangle().ok());
            let file = frame.location.and_then(|location| location.file);
            found.push(Frame { function: name.map(Into::into), file: file.map(Into::into) });
        }
        found
    }

    fn origin_in_file(&self, offset: u64, address: u64) -> Option<Origin> {
        let frames = self.frames(address);
        let layer = frames.iter().filter_map(|frame| frame.file.as_deref()).find_map(layer::of_file);
        let mut functions = frames.iter().filter_map(|frame| frame.function.as_ref());
        let Some(inner) = functions.next() else {
            let name = self.0.find_symbol(offset)?;
            let function = addr2line::demangle_auto(name.into(), None).into_owned();
            return Some(Origin { layer: of_symbol(name), function });
        };
        let outer = functions.next_back().unwrap_or(inner);
        let layer = layer.unwrap_or(layer::LIBRARY);
        let function = if inner == outer { inner.clone() } else { format!("{inner} in {outer}") };
        Some(Origin { layer, function })
    }
}

/// The layer of a function of which nothing but its symbol is known.
fn of_symbol(name: &str) -> Layer {
    // Rust's library is compiled without lines where no generics are in the way; its own mangling tells it from
    // assembly.
    let is_of_rust = name.starts_with("_R");
    match name {
        _ if is_of_bytes(name) || is_of_rust && name.contains("compiler_builtins") => layer::COPYING,
        _ if is_of_rust => layer::LIBRARY,
        _ => layer::KERNEL,
    }
}

/// Whether it is one of the C library's functions that compilers call of their own accord.
fn is_of_bytes(name: &str) -> bool {
    ["memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_without_lines_belongs_to_the_layer_of_its_symbol() {
        assert_eq!(of_symbol("memcpy"), layer::COPYING);
        assert_eq!(
            of_symbol("_RNCNvNtNtCsJ_17compiler_builtins3mem5impls13compare_bytess1_0B7_"),
            layer::COPYING
        );
        assert_eq!(of_symbol("_RNvNtNtCs34_4core3str8converts9from_utf8"), layer::LIBRARY);
        assert_eq!(of_symbol("_start"), layer::KERNEL);
    }
}
