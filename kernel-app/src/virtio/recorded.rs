//! Machines as monitors make them, for tests: configuration spaces that were read from inside of each.
//!
//! Recorded with QEMU 7.2, Firecracker 1.17, cloud-hypervisor 54 and uhyve 0.10, from a virtio-net device on each.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ops::Range;

use super::machine::{Access, Machine};
use super::pci_scan::Place;
use super::search::Hints;

/// Where the ACPI tables below begin.
pub const ACPI: u64 = 0x1000;

/// ACPI tables in a memory that begins at 0x1000, with these pieces of configuration space.
pub fn memory(revision: u8, mcfg: &[u8]) -> Vec<u8> {
    let mut memory = vec![0; 0x400];
    let mut write = |at: usize, bytes: &[u8]| memory[at - 0x1000..][..bytes.len()].copy_from_slice(bytes);
    write(0x1000, b"RSD PTR ");
    write(0x100f, &[revision]);
    write(0x1010, &0x1100u32.to_le_bytes());
    write(0x1018, &0x1200u64.to_le_bytes());
    for (at, name, width) in [(0x1100, b"RSDT", 4), (0x1200, b"XSDT", 8)] {
        write(at, name);
        write(at + 4, &(36 + 2 * width as u32).to_le_bytes());
        write(at + 36, &0x1280u32.to_le_bytes());
        write(at + 36 + width, &0x12c0u32.to_le_bytes());
    }
    write(0x1280, b"FACP");
    write(0x1284, &36u32.to_le_bytes());
    write(0x12c0, b"MCFG");
    write(0x12c4, &(44 + mcfg.len() as u32).to_le_bytes());
    write(0x12c0 + 44, mcfg);
    memory
}

/// A piece of configuration space in memory, as a table tells of it.
pub fn piece(address: u64, segment: u8, first_bus: u8) -> [u8; 16] {
    let mut piece = [0; 16];
    piece[..8].copy_from_slice(&address.to_le_bytes());
    piece[8] = segment;
    piece[10] = first_bus;
    piece[11] = 255;
    piece
}

/// A function's registers that are not 0.
type Words = &'static [(u8, u32)];

/// QEMU 7.2, q35 and pc: the structures in 64-bit BAR 4, the message table in BAR 1.
pub const QEMU: Words = &[
    (0x00, 0x1041_1af4),
    (0x04, 0x0010_0103),
    (0x08, 0x0200_0001),
    (0x14, 0xfebf_e000),
    (0x20, 0xfebf_800c),
    (0x34, 0x98),
    (0x3c, 0x10a),
    (0x40, 0x0110_0009),
    (0x44, 4),
    (0x4c, 0x1000),
    (0x50, 0x0310_4009),
    (0x54, 4),
    (0x58, 0x1000),
    (0x5c, 0x1000),
    (0x60, 0x0410_5009),
    (0x64, 4),
    (0x68, 0x2000),
    (0x6c, 0x1000),
    (0x70, 0x0214_6009),
    (0x74, 4),
    (0x78, 0x3000),
    (0x7c, 0x1000),
    (0x80, 4),
    (0x84, 0x0514_7009),
    (0x98, 0x0003_8411),
    (0x9c, 1),
    (0xa0, 0x801),
];

/// Firecracker 1.17 with `--enable-pci`: all in BAR 0, at 256 GiB.
pub const FIRECRACKER: [(u8, u32); 22] = [
    (0x00, 0x1041_1af4),
    (0x04, 0x0010_0000),
    (0x08, 0x0200_0001),
    (0x10, 4),
    (0x14, 0x40),
    (0x34, 0x40),
    (0x40, 0x0110_5009),
    (0x4c, 0x38),
    (0x50, 0x0310_6009),
    (0x58, 0x2000),
    (0x5c, 1),
    (0x60, 0x0410_7009),
    (0x68, 0x4000),
    (0x6c, 0x1000),
    (0x70, 0x0214_8409),
    (0x78, 0x6000),
    (0x7c, 0x1000),
    (0x80, 4),
    (0x84, 0x0514_9809),
    (0x98, 0x8002_0011),
    (0x9c, 0x8000),
    (0xa0, 0x0004_8000),
];

/// cloud-hypervisor 54: the same but for where BAR 0 is, just below 1 TiB, and one more message.
pub const CLOUD_HYPERVISOR: Words = &{
    let mut words = FIRECRACKER;
    words[3].1 = 0xff80_0004;
    words[4].1 = 0xff;
    words[19].1 = 0x8003_0011;
    words
};

/// uhyve 0.10: device 0, no messages, line 11.
pub const UHYVE: Words = &[
    (0x00, 0x1041_1af4),
    (0x04, 0x0050_0000),
    (0x10, 0xfe00_000c),
    (0x18, 0xc),
    (0x20, 0xc),
    (0x34, 0x40),
    (0x3c, 0x10b),
    (0x40, 0x0110_5009),
    (0x48, 0x88),
    (0x4c, 0x40),
    (0x50, 0x0310_6009),
    (0x58, 0xc8),
    (0x5c, 1),
    (0x60, 0x0214_7809),
    (0x68, 0xd0),
    (0x6c, 8),
    (0x70, 4),
    (0x78, 0x0410_0009),
    (0x80, 0xd8),
    (0x84, 0x18),
];

/// A bridge to bus 0 from a processor to PCI, and one from there to bus 1.
pub const HOST: Words = &[(0x00, 0x29c0_8086), (0x08, 0x0600_0000)];
pub const ROOT_PORT: Words =
    &[(0x00, 0x000c_1b36), (0x08, 0x0604_0000), (0x0c, 1 << 16), (0x18, 0x0001_0100)];

/// Functions with their registers, by bus, device and function.
type Functions = BTreeMap<(u8, u8, u8), BTreeMap<u8, u32>>;

/// A machine. Whatever it has not is an error to ask for, but what its monitor answers.
pub struct Recorded {
    /// What is read in configuration space where nothing is; `None` where asking would end the machine.
    pub absent: u32,
    /// Where configuration space is reached by ports.
    pub has_ports: bool,
    /// Where it is reached in memory, and whether a table says so.
    pub config_at: Option<u64>,
    pub tables: Option<Vec<u8>>,
    pub functions: RefCell<Functions>,
    /// Devices on MMIO with their kind, and the mapped memory without devices.
    pub mmio: Vec<(usize, u32)>,
    pub mapped: Range<usize>,
    pub assigned: Cell<u64>,
    /// How often it was asked.
    pub asked: Cell<usize>,
}

impl Recorded {
    /// A machine with these functions.
    pub fn new(functions: &[((u8, u8, u8), Words)]) -> Self {
        let functions =
            functions.iter().map(|(place, words)| (*place, words.iter().copied().collect())).collect();
        Self {
            absent: u32::MAX,
            has_ports: true,
            config_at: None,
            tables: None,
            functions: RefCell::new(functions),
            mmio: vec![],
            mapped: 0..1 << 32,
            assigned: Cell::new(0),
            asked: Cell::new(0),
        }
    }

    /// The same with configuration space in memory, which a table tells of.
    pub fn with_table(self, base: u64) -> Self {
        Self { config_at: Some(base), tables: Some(memory(2, &piece(base, 0, 0))), ..self }
    }

    /// The same with ACPI tables that do not tell of it.
    pub fn with_acpi(self) -> Self {
        Self { tables: Some(memory(2, &[])), ..self }
    }

    /// What its loader would be told.
    pub fn hints(&self) -> Hints<'static> {
        Hints { acpi: self.tables.as_ref().map(|_| ACPI), mmio: None }
    }

    /// A word of a function.
    pub fn word(&self, place: (u8, u8, u8), register: u8) -> u32 {
        self.functions.borrow()[&place].get(&register).copied().unwrap_or_default()
    }

    fn is_reached(&self, access: Access) -> bool {
        self.asked.set(self.asked.get() + 1);
        match access {
            Access::Ports => self.has_ports,
            Access::Memory(base) => self.config_at == Some(base as u64),
        }
    }
}

impl Machine for Recorded {
    fn config(&self, access: Access, place: Place, register: u8) -> u32 {
        assert!(register.is_multiple_of(4), "{register:#x}");
        let functions = self.functions.borrow();
        let function = functions.get(&(place.bus, place.device, place.function));
        match function.filter(|_| self.is_reached(access)) {
            Some(words) => words.get(&register).copied().unwrap_or_default(),
            None => self.absent,
        }
    }

    fn set_config(&self, access: Access, place: Place, register: u8, value: u32) {
        assert!(self.is_reached(access));
        let mut functions = self.functions.borrow_mut();
        let words = functions.get_mut(&(place.bus, place.device, place.function)).expect("it is there");
        // A BAR of 16 KiB keeps its flags and what says how large it is.
        let kept = if (0x10..0x28).contains(&register) {
            value & !0x3fff | words.get(&register).copied().unwrap_or_default() & 0xf
        } else {
            value
        };
        words.insert(register, kept);
    }

    fn map_config(&self, base: u64) -> Option<usize> {
        Some(base as usize)
    }

    fn firmware(&self, address: u64, bytes: usize) -> Option<&[u8]> {
        let start = usize::try_from(address.checked_sub(ACPI)?).ok()?;
        self.tables.as_ref()?.get(start..start.checked_add(bytes)?)
    }

    fn mmio(&self, address: usize) -> Option<u32> {
        self.asked.set(self.asked.get() + 1);
        let device = self.mmio.iter().find(|(start, _)| (*start..start + 0x100).contains(&address));
        match device {
            Some((start, _)) if address == *start => Some(0x7472_6976),
            Some((start, kind)) if address == start + 8 => Some(*kind),
            Some(_) => panic!("register {address:#x} is nobody's business"),
            None => self.mapped.contains(&address).then_some(u32::MAX),
        }
    }

    fn assigned(&self) -> &Cell<u64> {
        &self.assigned
    }
}
