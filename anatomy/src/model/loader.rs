//! The loader's part of the memory, by its symbols.

use anyhow::{Context, Result};
use object::{Object, ObjectSegment, ObjectSymbol};

use super::program::Span;

/// The loader as far as pictures need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loader {
    /// Where the machine begins to execute it.
    pub entry: u64,
    /// What its memory is for, by address.
    pub spans: Vec<Span>,
}

impl Loader {
    /// Reads a built loader.
    ///
    /// # Errors
    /// When it is not one, or has not the symbols that it is known by.
    pub fn read(elf: &[u8]) -> Result<Self> {
        let file = object::File::parse(elf).context("the loader is no ELF file")?;
        let segment = file.segments().next().context("the loader has no segment")?;
        let (start, end) = (segment.address(), segment.address() + segment.size());
        let find = |wanted: &str| {
            let is_it = |symbol: &object::Symbol<'_, '_>| {
                symbol.name().is_ok_and(|name| format!("{:#}", rustc_demangle::demangle(name)) == wanted)
            };
            let found = file.symbols().find(is_it).map(|symbol| symbol.address());
            found.with_context(|| format!("the loader has no symbol {wanted}"))
        };
        let (tables, stack) = (find("boot_root")?, find("boot_stack")?);
        let (heap, kernel_stack) = (find("boot_stack_end")?, find("loader::STACK")?);
        let spans = [
            ("loader: code, constants", start, tables),
            ("page tables of the loader", tables, stack),
            ("stack of the loader", stack, heap),
            ("boot information, device tree", heap, kernel_stack),
            ("first stack of the kernel", kernel_stack, end),
        ];
        let spans = spans.map(|(name, start, end)| Span { name: name.to_owned(), start, end });
        Ok(Self {
            entry: file.entry(),
            spans: spans.into_iter().filter(|span| span.end > span.start).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_loader_is_named() {
        let error = Loader::read(b"no ELF file").expect_err("refused").to_string();
        assert_eq!(error, "the loader is no ELF file");
    }
}
