//! The loader: it takes a machine from QEMU's PVH entry to the Hermit kernel in the same file.
//!
//! It prints nothing unless it fails, since each serial byte costs boot time. The host tool has already placed and
//! relocated the program.
#![no_std]
#![no_main]

extern crate alloc;

mod device_tree;
mod error;
mod handoff;
mod heap;
mod port;
mod start_info;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::convert::Infallible;
use core::fmt::{Display, Write};
use core::panic::PanicInfo;

use hermit_entry::boot_info::{
    BootInfo, DeviceTreeAddress, HardwareInfo, PlatformInfo, RawBootInfo, SerialPortBase,
};

use crate::error::Error;
use crate::handoff::Handoff;
use crate::port::Serial;
use crate::start_info::StartInfo;

global_asm!(include_str!("boot.s"), main = sym loader_main);

/// Pages that the kernel's memory consists of; what is free begins at the first one behind the program.
const PAGE_BYTES: u64 = 4 << 10;
/// Pages that the kernel maps its own memory with; it takes the program to end with one.
const LARGE_PAGE_BYTES: u64 = 2 << 20;
/// What the kernel takes before it has a heap: the stacks of its one task, and pages for tables.
const KERNEL_BYTES: u64 = (1 << 20) + (192 << 10);
/// The least heap: with less, a service that is asked by many at once has no memory for their sockets, and panics.
const HEAP_BYTES_MIN: u64 = 1 << 20;
/// Stack of the kernel's first steps, the size of its own stacks.
const STACK_BYTES: usize = 32 * 1024;

#[repr(align(4096))]
struct Stack(UnsafeCell<[u8; STACK_BYTES]>);

// SAFETY: only the kernel uses it, on the one processor, after the loader has left.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; STACK_BYTES]));

/// Where `boot.s` arrives, on a small stack, in 64-bit mode, with the start info's address.
unsafe extern "C" fn loader_main(start_info: u64) -> ! {
    // SAFETY: `boot.s` passes on what it got in `ebx` and has mapped the first 4 GiB.
    match unsafe { start(start_info) } {
        Ok(never) => match never {},
        Err(error) => fail(&error),
    }
}

/// # Safety
/// As for [`StartInfo::read`].
unsafe fn start(start_info: u64) -> Result<Infallible, Error> {
    // SAFETY: the caller's promise.
    let info = unsafe { StartInfo::read(start_info)? };
    let handoff = Handoff::read()?;
    let free_start = handoff.end.next_multiple_of(PAGE_BYTES);
    let free_end = memory_end(&info, &handoff, free_start)?;
    let tree = device_tree::write(&info, &command_line(&info)?, free_start)?;
    let boot_info = BootInfo {
        hardware_info: HardwareInfo {
            // From the end of the program's pages: what lies before it does not count as the kernel's
            // to keep free.
            phys_addr_range: handoff.end.next_multiple_of(LARGE_PAGE_BYTES)..free_end,
            serial_port_base: SerialPortBase::new(port::SERIAL),
            device_tree: DeviceTreeAddress::new(tree.as_ptr() as u64),
        },
        load_info: handoff.load_info(),
        platform_info: PlatformInfo::Fdt,
    };
    let boot_info = Box::leak(Box::new(RawBootInfo::from(boot_info)));
    // SAFETY: the host tool placed the kernel's entry there, and QEMU loaded it with the rest.
    unsafe { enter(handoff.entry, boot_info) }
}

/// The command line in the kernel's and the program's words, and before it what only the loader is told and a program
/// wants to know: where the ACPI tables begin. The kernel has no call for that. A setting of that name on the command
/// line itself comes later, and wins.
fn command_line(info: &StartInfo) -> Result<String, Error> {
    let translated = command_line::translate(info.command_line, |_| {}).map_err(Error::CommandLine)?;
    Ok(match info.rsdp {
        Some(rsdp) => format!("env=ACPI_ROOT={rsdp} {translated}"),
        None => translated,
    })
}

/// The end of the usable memory that the program lies in, if that leaves the kernel enough.
fn memory_end(info: &StartInfo, handoff: &Handoff, free_start: u64) -> Result<u64, Error> {
    let end = info.memory().find(|piece| piece.contains(&handoff.start)).map_or(0, |piece| piece.end);
    let needed = free_start + KERNEL_BYTES + HEAP_BYTES_MIN;
    if end < needed { Err(Error::Memory { end, needed }) } else { Ok(end) }
}

/// Jumps to the kernel as its entry protocol wants it: the boot information in `rdi`, the processor's
/// number in `esi`, and the lowest address of a stack in `rsp`.
///
/// # Safety
/// `entry` is that of a Hermit kernel in mapped memory.
unsafe fn enter(entry: u64, boot_info: &'static RawBootInfo) -> ! {
    // SAFETY: the caller's promise; the loader's stack is not used again.
    unsafe {
        asm!(
            "mov rsp, {stack}",
            "xor esi, esi",
            "jmp {entry}",
            stack = in(reg) STACK.0.get(),
            entry = in(reg) entry,
            in("rdi") boot_info,
            options(noreturn)
        )
    }
}

fn fail(reason: &dyn Display) -> ! {
    let _ = writeln!(Serial, "[LOADER] error: {reason}");
    port::exit_failure()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    fail(info)
}
