//! The device tree that tells the kernel about memory, ACPI and its command line.
//!
//! Devices are not in it: the kernel and the program find them through ACPI, PCI and MMIO.

use alloc::format;
use alloc::vec::Vec;

use vm_fdt::{Error, FdtWriter};

use crate::start_info::StartInfo;

/// Writes the tree. Memory below `free_start` is left out: the loader and the program lie there. The
/// kernel would leave out the rest of the program's last 2 MiB as well, if it were not told of a piece
/// that begins behind the program.
pub fn write(info: &StartInfo, command_line: &str, free_start: u64) -> Result<&'static [u8], Error> {
    let mut writer = FdtWriter::new()?;
    let root = writer.begin_node("")?;
    writer.property_string("compatible", "hermit,pvh")?;
    writer.property_u32("#address-cells", 2)?;
    writer.property_u32("#size-cells", 2)?;
    for piece in info.memory().filter(|piece| piece.end > free_start) {
        let start = piece.start.max(free_start);
        let node = writer.begin_node(&format!("memory@{start:x}"))?;
        writer.property_string("device_type", "memory")?;
        writer.property_array_u64("reg", &[start, piece.end - start])?;
        writer.end_node(node)?;
    }
    if let Some(rsdp) = info.rsdp {
        let node = writer.begin_node(&format!("hermit,rsdp@{rsdp:x}"))?;
        writer.property_array_u64("reg", &[rsdp, 1])?;
        writer.end_node(node)?;
    }
    let chosen = writer.begin_node("chosen")?;
    writer.property_string("bootargs", command_line)?;
    writer.end_node(chosen)?;
    writer.end_node(root)?;
    Ok(Vec::leak(writer.finish()?))
}
