//! The data that QEMU's PVH entry passes on, read once and checked.
//!
//! Layout: Xen, public/arch-x86/hvm/start_info.h.

use core::ffi::CStr;
use core::ops::Range;
use core::slice;

use crate::error::Error;

/// The start info's first word.
const MAGIC: u32 = 0x336e_c578;
/// The version that brings the memory map.
const VERSION_MIN: u32 = 1;
/// Type of usable memory in the memory map.
const TYPE_RAM: u32 = 1;
/// Most entries of a memory map that are believed.
const MEMORY_MAP_ENTRIES_MAX: u32 = 128;
/// Most bytes of a command line that are looked at: the longest one, and its final zero.
const COMMAND_LINE_BYTES: usize = command_line::LINE_BYTES_MAX + 1;
/// End of the memory that is mapped.
const MAPPED_END: u64 = 1 << 32;

#[repr(C)]
struct Raw {
    magic: u32,
    version: u32,
    flags: u32,
    modules: u32,
    module_list: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

#[repr(C)]
struct RawMemory {
    address: u64,
    size: u64,
    kind: u32,
    reserved: u32,
}

/// The checked start info.
pub struct StartInfo {
    /// The command line as it was given.
    pub command_line: &'static [u8],
    /// Address of the ACPI root pointer, when there is one.
    pub rsdp: Option<u64>,
    memory_map: &'static [RawMemory],
}

impl StartInfo {
    /// Reads the start info.
    ///
    /// # Safety
    /// `address` is what the PVH entry got in `ebx`, and the first 4 GiB are mapped to themselves.
    pub unsafe fn read(address: u64) -> Result<Self, Error> {
        let raw = address as *const Raw;
        if address == 0 || !raw.is_aligned() {
            return Err(Error::StartInfo(address));
        }
        // SAFETY: aligned, mapped, and the boot protocol keeps it until the kernel reuses the memory.
        let raw = unsafe { &*raw };
        if raw.magic != MAGIC || raw.version < VERSION_MIN {
            return Err(Error::StartInfo(address));
        }
        let entries = raw.memory_map_entries;
        if raw.memory_map == 0 || entries == 0 || entries > MEMORY_MAP_ENTRIES_MAX {
            return Err(Error::MemoryMap { entries });
        }
        // SAFETY: the boot protocol places that many entries there, 8-byte aligned, below 4 GiB.
        let memory_map =
            unsafe { slice::from_raw_parts(raw.memory_map as *const RawMemory, entries as usize) };
        // SAFETY: the boot protocol places a text with a final zero there, below 4 GiB.
        let command_line = unsafe { command_line(raw.command_line)? };
        // SAFETY: the caller's promise: a BIOS's memory is mapped, as all below 4 GiB.
        let rsdp = Some(raw.rsdp).filter(|rsdp| *rsdp != 0).or_else(|| unsafe { find_rsdp() });
        Ok(Self { command_line, rsdp, memory_map })
    }

    /// The pieces of usable memory that are mapped, in the firmware's order.
    pub fn memory(&self) -> impl Iterator<Item = Range<u64>> {
        let usable = self.memory_map.iter().filter(|entry| entry.kind == TYPE_RAM);
        usable
            .map(|entry| entry.address..entry.address.saturating_add(entry.size).min(MAPPED_END))
            .filter(|piece| !piece.is_empty())
    }
}

/// Where a BIOS puts the ACPI root pointer, for monitors that put it there as well and do not say so: Firecracker. It
/// begins at a multiple of 16, and its first 20 bytes add up to 0 (ACPI 6.5, section 5.2.5).
///
/// # Safety
/// The addresses below 1 MiB are mapped to themselves.
unsafe fn find_rsdp() -> Option<u64> {
    const BIOS: Range<u64> = 0xe_0000..0x10_0000;
    BIOS.step_by(16).find(|address| {
        // SAFETY: the caller's promise; what is no memory there reads as ones.
        let bytes = unsafe { slice::from_raw_parts(*address as *const u8, 20) };
        bytes.starts_with(b"RSD PTR ") && bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
    })
}

/// # Safety
/// `address` is 0, or that of readable bytes up to a zero or to [`COMMAND_LINE_BYTES`].
unsafe fn command_line(address: u64) -> Result<&'static [u8], Error> {
    if address == 0 {
        return Ok(b"");
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { slice::from_raw_parts(address as *const u8, COMMAND_LINE_BYTES) };
    let line = CStr::from_bytes_until_nul(bytes);
    line.map(CStr::to_bytes).map_err(|_| Error::CommandLine(command_line::Error::TooLong))
}
