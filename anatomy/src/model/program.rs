//! A bootable file and the program in it, as far as pictures need them: which bytes of memory the file stores, and
//! which section and which symbol of the program they belong to.
//!
//! Attributes nothing to crates; see `size`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use compare::budget::symbols::Symbols;
use image_build::image::{Image, PROGRAM_START};
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SectionFlags, SymbolKind};

/// A piece of memory that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it is called.
    pub name: String,
    /// Address of its first byte, in the running guest.
    pub start: u64,
    /// Address behind its last byte.
    pub end: u64,
}

/// A symbol of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Where it is, with its name as people read it.
    pub span: Span,
    /// The name as the linker has it.
    pub mangled: String,
    /// The source file of the function, if the debug information tells it.
    pub file: Option<String>,
}

/// A bootable file and its program.
#[derive(Clone, Debug)]
pub struct Program {
    /// Size of the bootable file.
    pub file_bytes: u64,
    /// What the file stores, by address: the loader first, then pieces of the program.
    pub stored: Vec<Span>,
    /// The program's sections in memory, by address.
    pub sections: Vec<Span>,
    /// Its symbols that have a size, by address; none overlaps another.
    pub symbols: Vec<Symbol>,
    /// How many symbols there are in its table.
    pub symbol_count: u64,
    /// Where it begins to run.
    pub entry: u64,
}

impl Program {
    /// Reads what was built.
    ///
    /// # Errors
    /// When a file cannot be read, or the program has no symbols.
    pub fn read(image: &Image) -> Result<Self> {
        let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let (bootable, program) = (read(&image.path)?, read(&image.program)?);
        let file = object::File::parse(&*program).context("the program is no ELF file")?;
        let debug = Symbols::open(&image.program)?;
        let symbols = symbols(&file, &debug);
        ensure!(!symbols.is_empty(), "{} has no symbols", image.program.display());
        Ok(Self {
            file_bytes: bootable.len() as u64,
            stored: stored(&bootable)?,
            sections: sections(&file),
            symbols,
            symbol_count: file.symbols().count() as u64,
            entry: PROGRAM_START + file.entry(),
        })
    }

    /// The first symbol whose demangled name ends so.
    pub fn symbol(&self, name_end: &str) -> Option<&Span> {
        self.symbols.iter().map(|symbol| &symbol.span).find(|span| span.name.ends_with(name_end))
    }
}

impl Span {
    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.end - self.start
    }
}

/// The pieces that the bootable file puts into memory.
fn stored(bootable: &[u8]) -> Result<Vec<Span>> {
    let file = object::File::parse(bootable).context("the image is no ELF file")?;
    let piece = |segment: object::Segment<'_, '_>| {
        let (start, (_, bytes)) = (segment.address(), segment.file_range());
        let name = if start < PROGRAM_START { "loader" } else { "program" };
        Span { name: name.to_owned(), start, end: start + bytes }
    };
    Ok(file.segments().map(piece).collect())
}

/// The sections that are in memory, but for the note that others contain and for templates.
fn sections(file: &object::File<'_>) -> Vec<Span> {
    let is_in_memory = |section: &object::Section<'_, '_>| match section.flags() {
        SectionFlags::Elf { sh_flags, .. } => {
            sh_flags.0 & object::elf::SHF_ALLOC.0 != 0 && sh_flags.0 & object::elf::SHF_TLS.0 == 0
        }
        _ => false,
    };
    let span = |section: object::Section<'_, '_>| {
        let start = PROGRAM_START + section.address();
        let name = section.name().unwrap_or_default().to_owned();
        Span { name, start, end: start + section.size() }
    };
    let mut sections: Vec<Span> = file.sections().filter(is_in_memory).map(span).collect();
    sections.retain(|section| section.bytes() > 0);
    sections.sort_by_key(|section| section.start);
    sections
}

fn symbols(file: &object::File<'_>, debug: &Symbols) -> Vec<Symbol> {
    let is_placed = |symbol: &object::Symbol<'_, '_>| {
        symbol.size() > 0 && matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data)
    };
    let read = |symbol: object::Symbol<'_, '_>| {
        let mangled = symbol.name().unwrap_or_default().to_owned();
        let name = format!("{:#}", rustc_demangle::demangle(&mangled));
        let start = PROGRAM_START + symbol.address();
        let outermost = debug.frames(start).pop();
        let span = Span { name, start, end: start + symbol.size() };
        Symbol { span, mangled, file: outermost.and_then(|frame| frame.file) }
    };
    let mut symbols: Vec<Symbol> = file.symbols().filter(is_placed).map(read).collect();
    symbols.sort_by_key(|symbol| (symbol.span.start, u64::MAX - symbol.span.end));
    // One address may have several names, and a linker folds equal functions.
    let mut end = 0;
    symbols.retain(|symbol| {
        let is_behind = symbol.span.start >= end;
        end = end.max(symbol.span.end);
        is_behind
    });
    symbols
}
