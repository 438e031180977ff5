//! The end of the virtual machine, with a status that the host can see where the machine can carry one.
//!
//! The caller prints the last message before it calls this. Which way there is depends on the monitor: QEMU with its
//! debug exit, uhyve by a call, cloud-hypervisor by the register of ACPI that switches a machine off, Firecracker by
//! the keyboard's controller. References: ACPI 6.5 section 4.8.3.7 (sleep control register); Intel 8042, commands.

use core::arch::asm;
use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::console::Console;
use super::machine::Memory;
use super::page_tables::map_device;
use super::uhyve;
use super::x86::{write_port_u8, write_port_u32};
use crate::acpi::{Power, Register};
use crate::virtio::transport::Registers;

/// Where QEMU's `isa-debug-exit` listens: writing `v` ends it with status `2 * v + 1`.
const DEBUG_EXIT: u16 = 0xf4;
/// Ends QEMU with status 1.
const FAILURE: u32 = 0;
/// Ends QEMU with status 3.
const SUCCESS: u32 = 1;
/// Sleep control: enter the state of type 5, which is off on all machines that have this register.
const OFF: u8 = 1 << 5 | 5 << 2;
/// The controller's command port, and the command that pulses the processor's reset line.
const KEYBOARD_COMMAND: u16 = 0x64;
const PULSE_RESET: u8 = 0xfe;

/// The register that ends the machine: a port, or a mapped address of memory above them; 0 without one. And what is
/// written to it.
static END_REGISTER: AtomicU64 = AtomicU64::new(0);
static END_VALUE: AtomicU8 = AtomicU8::new(0);

/// Says how this machine is ended, where the kernel does not know it.
pub fn use_power(power: Power) {
    let (place, value) = match power.sleep_control {
        Some(Register::Port(port)) => (u64::from(port), OFF),
        Some(Register::Memory(address)) => (map_device(address, 1).unwrap_or_default() as u64, OFF),
        None if power.is_reduced => (KEYBOARD_COMMAND.into(), PULSE_RESET),
        None => (0, 0),
    };
    END_REGISTER.store(place, Ordering::Relaxed);
    END_VALUE.store(value, Ordering::Relaxed);
}

/// Stops the machine as one that has done what it was to do.
pub fn succeed() -> ! {
    if !uhyve::is_monitor() {
        // The kernel's own exit would print its statistics first.
        debug_exit(SUCCESS);
        switch_off();
    }
    // SAFETY: the kernel's exit call takes any status and does not return.
    unsafe { hermit_abi::exit(0) }
}

/// Stops the machine as failed. Without the debug exit it is reset and not switched off, so that its starter
/// sees no order that was carried out: monitors tell the two apart, and start a machine again that was reset. One that
/// can be switched off by the sleep control register is switched off: cloud-hypervisor would start it again at once,
/// for ever, and nobody would be told.
pub fn fail() -> ! {
    if uhyve::is_monitor() {
        // SAFETY: the kernel's exit call takes any status and does not return. uhyve passes it on.
        unsafe { hermit_abi::exit(1) }
    }
    debug_exit(FAILURE);
    switch_off();
    reset()
}

fn debug_exit(value: u32) {
    // SAFETY: the port is unused but for the debug exit, which ends the machine.
    unsafe { write_port_u32(DEBUG_EXIT, value) }
}

fn switch_off() {
    let value = END_VALUE.load(Ordering::Relaxed);
    match END_REGISTER.load(Ordering::Relaxed) {
        0 => {}
        // SAFETY: the firmware's table says that this port switches the machine off, or it is the keyboard's.
        port @ ..=0xffff => unsafe { write_port_u8(port as u16, value) },
        address => Memory.write_u8(address as usize, value),
    }
}

/// A table without entries: the exception cannot be delivered, nor the two that follow from that, and a processor
/// in this state resets the machine (Intel SDM volume 3, section 6.15, double fault).
fn reset() -> ! {
    let table = [0u16; 5];
    // SAFETY: nothing runs after it.
    unsafe { asm!("lidt [{}]", "int3", in(reg) &raw const table, options(noreturn)) }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // The console never fails.
    let _ = writeln!(Console, "PANIC: {info}");
    fail()
}
