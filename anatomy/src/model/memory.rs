//! The memory of a running guest: what lies where, by its page tables, the loader's and the program's sections, and the
//! machine's own list of devices.
//!
//! Asks no machine; see `machine`.

use super::figures::Figures;
use super::page_tables::{Mapping, PageTables, TABLE_BYTES};
use super::program::{Program, Span};

/// What a guest's memory begins with where it has only virtual addresses: the kernel's own, from 64 TiB on.
const KERNEL_START: u64 = 64 << 40;
/// First word of what QEMU tells at the PVH entry (Xen, public/arch-x86/hvm/start_info.h).
const START_INFO_MAGIC: u32 = 0x336e_c578;
/// Where the loader begins, and up to where its part of the memory goes.
const LOADER_START: u64 = 1 << 20;

/// What a region is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// The firmware's, and what it leaves for the loader.
    Firmware,
    /// The loader's.
    Loader,
    /// What the processor translates addresses with.
    PageTables,
    /// Code of the program and its kernel.
    Code,
    /// Data of the program that cannot be written.
    ReadOnly,
    /// Data of the program that can be written.
    Data,
    /// Where allocations come from.
    Heap,
    /// A stack.
    Stack,
    /// Registers of a device.
    Device,
    /// Nothing.
    Free,
}

/// What the linker leaves between two regions, to keep their pages apart, is no gap worth telling.
const GAP_MIN: u64 = 2 * TABLE_BYTES;

/// A range of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Where it is, with its name.
    pub span: Span,
    /// What it is for.
    pub used_for: Use,
    /// What may be done there, by the page tables; nothing where it is not mapped, or nothing is known.
    pub rights: &'static str,
}

/// A guest that rests, as its monitor tells it.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// A copy of its memory.
    pub memory: Vec<u8>,
    /// Physical address of the root of the page tables.
    pub cr3: u64,
    /// The stack pointer.
    pub rsp: u64,
    /// What answers at physical addresses.
    pub windows: Vec<Span>,
}

/// The memory map.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Addresses that are physical as well as virtual ones.
    pub low: Vec<Region>,
    /// Addresses that are only virtual.
    pub high: Vec<Region>,
    /// What maps them; nothing of a machine that was not asked.
    pub tables: PageTables,
    /// How much memory the machine has; 0 where it was not asked.
    pub bytes: u64,
}

impl Region {
    /// Whether something else lies between another region, which comes before it, and this one.
    pub fn is_apart_from(&self, before: &Self) -> bool {
        let gap = self.span.start.abs_diff(before.span.end);
        // Between stacks even one page is told: nothing is mapped there, so that a stack that overflows is noticed.
        gap >= GAP_MIN || gap > 0 && self.span.start >= KERNEL_START
    }
}

impl Memory {
    /// The map of a program behind its loader, in a machine if there is one.
    pub fn of(program: &Program, loader: &[Span], machine: Option<&Machine>) -> Self {
        let tables =
            machine.map(|machine| PageTables::read(&machine.memory, machine.cr3)).unwrap_or_default();
        let mut low = Vec::new();
        if let Some(machine) = machine {
            low.extend(firmware(&machine.memory));
        }
        low.extend(loader.iter().map(|span| region(span.clone(), use_in_loader(&span.name))));
        low.extend(program_regions(program));
        let mut high = Vec::new();
        let bytes = machine.map_or(0, |machine| machine.memory.len() as u64);
        if let Some(machine) = machine {
            let end =
                low.iter().map(|region| region.span.end).max().unwrap_or(0).next_multiple_of(TABLE_BYTES);
            high = high_regions(&tables, machine, heap_pointers(program, &machine.memory).as_slice());
            low.extend(behind_the_program(end, bytes, &tables, &high));
            low.extend(devices(&machine.windows));
        }
        for region in &mut low {
            region.rights = tables.mapping(region.span.start).map_or("", |mapping| mapping.rights.label());
        }
        Self { low, high, tables, bytes }
    }

    /// The figures of a service's memory.
    pub fn figures(&self, service: &str) -> Figures {
        let mut figures = Figures::default();
        if self.bytes == 0 {
            return figures;
        }
        let prefix = format!("memory.{service}");
        figures.add(format!("{prefix}.bytes"), self.bytes);
        figures.add(format!("{prefix}.page-tables"), self.tables.count());
        for (level, tables) in self.tables.tables.iter().enumerate() {
            figures.add(format!("{prefix}.page-tables.level-{}", 4 - level), tables.len() as u64);
        }
        let of = |used_for: Use| -> u64 {
            // Pages of heap and stacks are told once, where they are used.
            let regions = if used_for == Use::Code { &self.low } else { &self.high };
            regions
                .iter()
                .filter(|region| region.used_for == used_for)
                .map(|region| region.span.bytes())
                .sum()
        };
        for (name, used_for) in [("heap", Use::Heap), ("stacks", Use::Stack), ("code", Use::Code)] {
            figures.add(format!("{prefix}.{name}.bytes"), of(used_for));
        }
        let bss = self.low.iter().find(|region| region.span.name.starts_with("bss"));
        figures.add(format!("{prefix}.bss.bytes"), bss.map_or(0, |region| region.span.bytes()));
        figures
    }
}

fn region(span: Span, used_for: Use) -> Region {
    Region { span, used_for, rights: "" }
}

fn named(name: impl Into<String>, start: u64, end: u64, used_for: Use) -> Region {
    region(Span { name: name.into(), start, end }, used_for)
}

/// Below the loader: page 0, which is not mapped, and what the firmware leaves behind.
fn firmware(memory: &[u8]) -> Vec<Region> {
    let magic = START_INFO_MAGIC.to_le_bytes();
    let below = memory.get(..LOADER_START as usize).unwrap_or(memory);
    let found = below.chunks_exact(8).position(|word| word.starts_with(&magic));
    let name = match found {
        Some(at) => format!("firmware; start info at {:#x}", at * 8),
        None => "firmware".to_owned(),
    };
    vec![named("page 0", 0, TABLE_BYTES, Use::Free), named(name, TABLE_BYTES, LOADER_START, Use::Firmware)]
}

fn use_in_loader(name: &str) -> Use {
    match name {
        _ if name.contains("page tables") => Use::PageTables,
        _ if name.contains("stack") => Use::Stack,
        _ => Use::Loader,
    }
}

/// The program's sections, neighbours of one kind together.
fn program_regions(program: &Program) -> Vec<Region> {
    let place = |section: &str| match section {
        ".text" => ("code (text)", Use::Code),
        ".data.rel.ro" | ".dynamic" | ".got" | ".relro_padding" => {
            ("tables (data.rel.ro, got)", Use::ReadOnly)
        }
        ".data" => ("variables (data)", Use::Data),
        ".bss" => ("zeroed variables (bss)", Use::Data),
        _ => ("constants (rodata)", Use::ReadOnly),
    };
    let mut regions: Vec<Region> = Vec::new();
    for section in &program.sections {
        let (name, used_for) = place(&section.name);
        match regions.last_mut() {
            Some(last) if last.span.name == name => last.span.end = section.end,
            _ => regions.push(named(name, section.start, section.end, used_for)),
        }
    }
    // What the headers take before the first section is read-only, too.
    if let Some(first) = regions.first_mut() {
        first.span.start = first.span.start.min(image_build::image::PROGRAM_START);
    }
    for region in regions.iter_mut().filter(|region| region.span.name.ends_with("(bss)")) {
        region.span.name = "bss".to_owned();
    }
    regions
}

/// Addresses in the kernel's part that the allocator's own variable holds.
fn heap_pointers(program: &Program, memory: &[u8]) -> Vec<u64> {
    let Some(heap) = program.symbol("kernel_app::hermit::allocator::HEAP") else { return Vec::new() };
    let bytes = memory.get(heap.start as usize..heap.end as usize).unwrap_or_default();
    let words = bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
    words.filter(|word| (KERNEL_START..2 * KERNEL_START).contains(word)).collect()
}

/// What is mapped at the kernel's own addresses.
fn high_regions(tables: &PageTables, machine: &Machine, heap: &[u64]) -> Vec<Region> {
    let ranges = joined(tables.mappings.iter().filter(|mapping| mapping.start >= 1 << 32));
    let of = |mapping: &Mapping| {
        let has = |address: u64| (mapping.start..mapping.end).contains(&address);
        let (name, used_for) = match mapping.rights.label() {
            _ if heap.iter().any(|pointer| has(*pointer)) => ("heap", Use::Heap),
            _ if has(machine.rsp) => ("stack of the program", Use::Stack),
            "r" => ("read-only pages of the kernel", Use::ReadOnly),
            _ if mapping.start < KERNEL_START => ("device", Use::Device),
            _ => ("stack of the kernel", Use::Stack),
        };
        Region { rights: mapping.rights.label(), ..named(name, mapping.start, mapping.end, used_for) }
    };
    ranges.iter().map(of).collect()
}

/// Neighbours with the same rights as one, wherever they lead.
fn joined<'a>(mappings: impl Iterator<Item = &'a Mapping>) -> Vec<Mapping> {
    let mut joined: Vec<Mapping> = Vec::new();
    for mapping in mappings {
        match joined.last_mut() {
            Some(last) if last.end == mapping.start && last.rights == mapping.rights => {
                last.end = mapping.end
            }
            _ => joined.push(*mapping),
        }
    }
    joined
}

/// The memory behind the program: pages that the kernel took for its tables, for heap and stacks, and the rest.
fn behind_the_program(start: u64, end: u64, tables: &PageTables, high: &[Region]) -> Vec<Region> {
    let mut regions: Vec<Region> = Vec::new();
    let mut pages: Vec<(u64, u64, Use, String)> = Vec::new();
    for table in tables.tables.iter().flatten().filter(|table| **table >= start) {
        pages.push((*table, *table + TABLE_BYTES, Use::PageTables, "page tables".to_owned()));
    }
    for mapping in tables.mappings.iter().filter(|mapping| mapping.start >= KERNEL_START) {
        let of =
            high.iter().find(|region| region.span.start <= mapping.start && mapping.end <= region.span.end);
        let Some(of) = of.filter(|_| mapping.physical >= start && mapping.physical < end) else { continue };
        let of_whom = of.span.name.replace("stack of the kernel", "kernel's stacks");
        let name = format!("pages of the {}", of_whom.replace("stack of the program", "program's stack"));
        pages.push((mapping.physical, mapping.physical + mapping.end - mapping.start, of.used_for, name));
    }
    pages.sort();
    let mut at = start;
    for (from, to, used_for, name) in pages {
        if from > at {
            regions.push(named("not used for pages", at, from, Use::Free));
        }
        match regions.last_mut() {
            Some(last) if last.span.name == name && last.span.end == from => last.span.end = to,
            _ => regions.push(named(name, from.max(at), to.max(at), used_for)),
        }
        at = at.max(to);
    }
    if at < end {
        regions.push(named("not used for pages", at, end, Use::Free));
    }
    regions.retain(|region| region.span.bytes() > 0);
    regions
}

/// Devices by their physical addresses, those of one device together.
fn devices(windows: &[Span]) -> Vec<Region> {
    let mut devices: Vec<Region> = Vec::new();
    for window in windows {
        let Some(name) = device_name(&window.name) else { continue };
        match devices.last_mut() {
            Some(last) if last.span.name == name => last.span.end = window.end,
            _ => devices.push(named(name, window.start, window.end, Use::Device)),
        }
    }
    devices
}

/// A device in the field's words, by QEMU's name of a window; none for memory.
fn device_name(window: &str) -> Option<&'static str> {
    Some(match window {
        "pcie-mmcfg-mmio" => "PCI configuration space",
        "msix-table" | "msix-pba" => "virtio-net registers",
        _ if window.starts_with("virtio-pci-") => "virtio-net registers",
        "virtio-mmio" => "virtio registers (MMIO)",
        "ioapic" => "I/O APIC",
        "hpet" => "HPET",
        "apic-msi" | "kvm-apic-msi" => "local APIC",
        "pc.bios" | "bios" => "firmware (ROM)",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::page_tables::Rights;

    fn span(name: &str, start: u64, end: u64) -> Span {
        Span { name: name.to_owned(), start, end }
    }

    fn program() -> Program {
        let sections = [
            (".rodata", 0x20_02a8, 0x20_1000),
            (".text", 0x20_1000, 0x20_3000),
            (".bss", 0x20_3000, 0x20_4000),
        ];
        Program {
            file_bytes: 0,
            stored: Vec::new(),
            sections: sections.map(|(name, start, end)| span(name, start, end)).to_vec(),
            symbols: Vec::new(),
            symbol_count: 0,
            entry: 0,
        }
    }

    #[test]
    fn without_a_machine_the_loader_and_the_program_are_known() {
        let loader = [span("page tables of the loader", 0x10_7000, 0x10_e000)];
        let memory = Memory::of(&program(), &loader, None);
        let names: Vec<&str> = memory.low.iter().map(|region| region.span.name.as_str()).collect();
        assert_eq!(names, ["page tables of the loader", "constants (rodata)", "code (text)", "bss"]);
        assert_eq!(memory.low[1].span.start, 0x20_0000);
        assert_eq!(memory.figures("x"), Figures::default());
    }

    #[test]
    fn the_memory_behind_the_program_is_told_without_gaps_or_overlaps() {
        let rights = Rights { is_writable: true, is_executable: false };
        let heap = Mapping { start: KERNEL_START, end: KERNEL_START + 0x3000, physical: 0x20_6000, rights };
        let tables = PageTables { tables: [vec![0x20_5000], vec![], vec![], vec![]], mappings: vec![heap] };
        let high = [named("heap", heap.start, heap.end, Use::Heap)];
        let regions = behind_the_program(0x20_4000, 0x20_b000, &tables, &high);
        let told: Vec<(u64, u64, &str)> = regions
            .iter()
            .map(|region| (region.span.start, region.span.end, region.span.name.as_str()))
            .collect();
        let expected = [
            (0x20_4000, 0x20_5000, "not used for pages"),
            (0x20_5000, 0x20_6000, "page tables"),
            (0x20_6000, 0x20_9000, "pages of the heap"),
            (0x20_9000, 0x20_b000, "not used for pages"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn windows_of_one_device_are_one_region() {
        let windows = [
            span("pc.ram", 0, 100),
            span("msix-table", 200, 240),
            span("virtio-pci-common-virtio-net", 300, 400),
            span("hpet", 500, 600),
        ];
        let told: Vec<_> = devices(&windows).into_iter().map(|device| device.span).collect();
        assert_eq!(told, [span("virtio-net registers", 200, 400), span("HPET", 500, 600)]);
    }
}
