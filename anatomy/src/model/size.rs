//! What the bytes of a bootable file are: the loader, the kernel, crates, our own modules, data. Each byte is counted
//! once, so the parts add up to the file.
//!
//! Code belongs to the source file of its function, after inlining: what was inlined into another function counts as
//! that one's.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::figures::{Figures, slug};
use super::program::{Program, Span, Symbol};

/// What kind of thing a part of the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// The loader, and the file's own headers.
    Loader,
    /// The code of this repository.
    Modules,
    /// The code of libraries, Rust's own among them.
    Crates,
    /// Constants, texts and tables.
    ReadOnly,
    /// The kernel's code, with the libraries that it has for itself.
    Kernel,
    /// What can be written.
    Data,
}

/// All groups, in the order in which they are told.
pub const GROUPS: [Group; 6] =
    [Group::Modules, Group::Crates, Group::Kernel, Group::ReadOnly, Group::Data, Group::Loader];

/// A part of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is called.
    pub name: String,
    /// What it belongs to.
    pub group: Group,
    /// How much of the file it is.
    pub bytes: u64,
    /// What it consists of, the largest first; nothing where it has no names.
    pub symbols: Vec<(String, u64)>,
}

/// A file and its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    /// Size of the file.
    pub bytes: u64,
    /// How many symbols the program has.
    pub symbol_count: u64,
    /// The parts, the largest first.
    pub parts: Vec<Part>,
}

impl Group {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loader => "loader",
            Self::Modules => "our modules",
            Self::Crates => "crates",
            Self::ReadOnly => "read-only data",
            Self::Kernel => "Hermit kernel",
            Self::Data => "data",
        }
    }

    /// What it is called in figures.
    fn key(self) -> &'static str {
        match self {
            Self::Loader => "loader",
            Self::Modules => "modules",
            Self::Crates => "crates",
            Self::ReadOnly => "rodata",
            Self::Kernel => "kernel",
            Self::Data => "data",
        }
    }
}

impl Size {
    /// Counts a program's file.
    pub fn of(program: &Program) -> Self {
        let mut parts: BTreeMap<(Group, String), Part> = BTreeMap::new();
        let mut add = |(group, name): (Group, String), symbol: Option<&str>, bytes: u64| {
            if bytes == 0 {
                return;
            }
            let new = || Part { name: name.clone(), group, bytes: 0, symbols: Vec::new() };
            let part = parts.entry((group, name.clone())).or_insert_with(new);
            part.bytes += bytes;
            part.symbols.extend(symbol.map(|symbol| (symbol.to_owned(), bytes)));
        };
        let (loader, pieces): (Vec<&Span>, Vec<&Span>) =
            program.stored.iter().partition(|span| span.name == "loader");
        let all: u64 = program.stored.iter().map(Span::bytes).sum();
        add((Group::Loader, "loader".to_owned()), None, loader.iter().map(|span| span.bytes()).sum());
        add((Group::Loader, "file headers".to_owned()), None, program.file_bytes - all);
        let mut rest: u64 = pieces.iter().map(|piece| piece.bytes()).sum();
        for section in &program.sections {
            let stored = pieces.iter().map(|piece| common(piece, section)).sum::<u64>();
            rest -= stored;
            let mut unnamed = stored;
            for symbol in within(&program.symbols, section) {
                let bytes = pieces.iter().map(|piece| common(piece, &symbol.span)).sum::<u64>();
                unnamed -= bytes;
                let place =
                    if section.name == ".text" { place_of_code(symbol) } else { place_of_data(section) };
                add(place, Some(&symbol.span.name), bytes);
            }
            add(if section.name == ".text" { unnamed_code() } else { place_of_data(section) }, None, unnamed);
        }
        add((Group::ReadOnly, "program headers".to_owned()), None, rest);
        let mut parts: Vec<Part> = parts.into_values().collect();
        parts.iter_mut().for_each(|part| part.symbols.sort_by_key(|symbol| Reverse(symbol.1)));
        parts.sort_by_key(|part| Reverse(part.bytes));
        Self { bytes: program.file_bytes, symbol_count: program.symbol_count, parts }
    }

    /// The parts of a group, the largest first.
    pub fn of_group(&self, group: Group) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.group == group)
    }

    /// How much of the file a group is.
    pub fn group_bytes(&self, group: Group) -> u64 {
        self.of_group(group).map(|part| part.bytes).sum()
    }

    /// The largest functions and variables with the part that they belong to.
    pub fn largest(&self, count: usize) -> Vec<(&Part, &str, u64)> {
        let symbols = self
            .parts
            .iter()
            .flat_map(|part| part.symbols.iter().map(move |(name, bytes)| (part, name.as_str(), *bytes)));
        let mut symbols: Vec<_> = symbols.collect();
        symbols.sort_by_key(|symbol| Reverse(symbol.2));
        symbols.truncate(count);
        symbols
    }

    /// The figures of a service's image.
    pub fn figures(&self, service: &str) -> Figures {
        let mut figures = Figures::default();
        let prefix = format!("image.{service}");
        figures.add(format!("{prefix}.bytes"), self.bytes);
        figures.add(format!("{prefix}.symbols"), self.symbol_count);
        for group in GROUPS {
            figures.add(format!("{prefix}.{}.bytes", group.key()), self.group_bytes(group));
        }
        for part in &self.parts {
            figures.add(format!("{prefix}.{}.{}.bytes", part.group.key(), slug(&part.name)), part.bytes);
        }
        figures
    }
}

/// How many bytes two spans have in common.
fn common(one: &Span, other: &Span) -> u64 {
    one.end.min(other.end).saturating_sub(one.start.max(other.start))
}

fn within<'a>(symbols: &'a [Symbol], section: &Span) -> impl Iterator<Item = &'a Symbol> {
    let (start, end) = (section.start, section.end);
    symbols.iter().filter(move |symbol| symbol.span.start >= start && symbol.span.end <= end)
}

fn unnamed_code() -> (Group, String) {
    (Group::Crates, "between functions".to_owned())
}

fn place_of_data(section: &Span) -> (Group, String) {
    let (group, name) = match section.name.as_str() {
        ".rodata" => (Group::ReadOnly, "constants and texts"),
        ".data.rel.ro" => (Group::ReadOnly, "tables with addresses"),
        ".got" => (Group::ReadOnly, "offset table"),
        ".data" => (Group::Data, "variables"),
        _ => (Group::ReadOnly, "other"),
    };
    (group, name.to_owned())
}

/// Where a function's code is from. The kernel brings no debug information, so its functions have no file.
fn place_of_code(symbol: &Symbol) -> (Group, String) {
    if let Some(place) = symbol.file.as_deref().and_then(place_of_file) {
        return place;
    }
    match crate_and_module(&symbol.span.name) {
        Some(("hermit", module)) => (Group::Kernel, format!("hermit/{module}")),
        // The kernel's mangling is the newer one; what it was compiled with is its own copy.
        Some((name, _)) if symbol.mangled.starts_with("_R") => (Group::Kernel, format!("kernel's {name}")),
        Some((name, _)) => (Group::Crates, name.to_owned()),
        None if is_of_bytes(&symbol.span.name) => (Group::Crates, "compiler-builtins".to_owned()),
        None => (Group::Kernel, "assembly".to_owned()),
    }
}

fn is_of_bytes(name: &str) -> bool {
    ["memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen"].contains(&name)
}

fn place_of_file(path: &str) -> Option<(Group, String)> {
    if let Some((_, inside)) = path.split_once("/registry/src/") {
        let package = inside.split('/').nth(1)?;
        let name = package.rsplit_once('-').map_or(package, |(name, _)| name);
        return Some((Group::Crates, name.to_owned()));
    }
    // smoltcp is compiled from an edited copy in the build's folder.
    if path.contains("/out/smoltcp/") {
        return Some((Group::Crates, "smoltcp".to_owned()));
    }
    if let Some((_, inside)) = path.split_once("/library/") {
        return Some((Group::Crates, inside.split('/').next()?.to_owned()));
    }
    // Ours: `kernel-app/src/stack/mod.rs`, after whatever leads to the repository.
    let (before, inside) = path.rsplit_once("/src/").filter(|(before, _)| !before.is_empty())?;
    let package = before.rsplit('/').next()?;
    let folder = inside.split_once('/').map(|(folder, _)| folder);
    let is_divided = ["kernel-app", "wire"].contains(&package);
    let name = match folder.filter(|_| is_divided) {
        Some(folder) => format!("{package}/{folder}"),
        None => package.to_owned(),
    };
    Some((Group::Modules, name))
}

/// The crate and the module in it that a demangled name begins with, behind whatever brackets.
fn crate_and_module(name: &str) -> Option<(&str, &str)> {
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let at = name.find("::")?;
    let start = name[..at].rfind(|letter| !is_of_name(letter)).map_or(0, |before| before + 1);
    let rest = &name[at + 2..];
    let module = &rest[..rest.find(|letter| !is_of_name(letter)).unwrap_or(rest.len())];
    Some((&name[start..at], module)).filter(|(name, _)| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(name: &str, start: u64, end: u64) -> Span {
        Span { name: name.to_owned(), start, end }
    }

    fn symbol(mangled: &str, name: &str, file: Option<&str>, start: u64, end: u64) -> Symbol {
        let (mangled, file) = (mangled.to_owned(), file.map(str::to_owned));
        Symbol { span: span(name, start, end), mangled, file }
    }

    fn program() -> Program {
        let registry = "/home/a/.cargo/registry/src/registry-1/smoltcp-0.14.0/src/lib.rs";
        Program {
            file_bytes: 1000,
            stored: vec![span("loader", 0, 100), span("program", 1000, 1500), span("program", 1600, 1900)],
            sections: vec![span(".rodata", 1010, 1200), span(".text", 1200, 1700), span(".data", 1800, 2000)],
            symbols: vec![
                symbol("_ZN1", "kernel_app::stack::turn", Some("kernel-app/src/stack/mod.rs"), 1200, 1300),
                symbol("_ZN2", "smoltcp::a", Some(registry), 1300, 1550),
                symbol("_RNv", "<hermit::mm::Heap>::new", None, 1650, 1690),
                symbol("_RNw", "<alloc::vec::Vec<hermit::Task>>::push", None, 1690, 1695),
                symbol("_ZN3", "worker::STATE", None, 1850, 1860),
            ],
            symbol_count: 9,
            entry: 0,
        }
    }

    #[test]
    fn parts_add_up_to_the_file_and_zeros_that_it_leaves_out_count_nowhere() {
        let size = Size::of(&program());
        assert_eq!(size.parts.iter().map(|part| part.bytes).sum::<u64>(), 1000);
        let bytes = |name: &str| size.parts.iter().find(|part| part.name == name).map(|part| part.bytes);
        assert_eq!(bytes("loader"), Some(100));
        assert_eq!(bytes("file headers"), Some(100));
        assert_eq!(bytes("kernel-app/stack"), Some(100));
        assert_eq!(bytes("smoltcp"), Some(200), "50 of its bytes are in no piece");
        assert_eq!(bytes("hermit/mm"), Some(40));
        assert_eq!(bytes("kernel's alloc"), Some(5));
        assert_eq!(bytes("between functions"), Some(55));
        assert_eq!(bytes("constants and texts"), Some(190));
        assert_eq!(bytes("variables"), Some(100));
        assert_eq!(bytes("program headers"), Some(110));
        assert_eq!(size.largest(1)[0].1, "smoltcp::a");
        assert_eq!(size.figures("x").get("image.x.crates.smoltcp.bytes"), Some(200));
        assert_eq!(size.figures("x").get("image.x.kernel.bytes"), Some(45));
    }

    #[test]
    fn a_file_tells_the_crate_or_the_folder() {
        let modules = |name: &str| Some((Group::Modules, name.to_owned()));
        assert_eq!(place_of_file("/src/kernel-app/src/hermit/boot.rs"), modules("kernel-app/hermit"));
        assert_eq!(place_of_file("kernel-app/src/metrics.rs"), modules("kernel-app"));
        assert_eq!(place_of_file("vote-service/src/vote_handler/mod.rs"), modules("vote-service"));
        let edited = "/src/target/hermit/build/edited-smoltcp-1/out/smoltcp/wire/tcp.rs";
        assert_eq!(place_of_file(edited), Some((Group::Crates, "smoltcp".to_owned())));
        let library = "/rustc/59807616e1/library/core/src/fmt/mod.rs";
        assert_eq!(place_of_file(library), Some((Group::Crates, "core".to_owned())));
        assert_eq!(crate_and_module("<&hermit::fd::Fd as core::fmt::Debug>::fmt"), Some(("hermit", "fd")));
        assert_eq!(crate_and_module("memcpy"), None);
    }
}
