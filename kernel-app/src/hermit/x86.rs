//! Machine instructions that Rust has no functions for: port I/O and model-specific registers.
//!
//! The callers know the meaning of each port and register.

use core::arch::asm;

/// Writes a byte to an I/O port.
///
/// # Safety
/// The device behind the port must accept the write without touching memory that Rust owns.
pub unsafe fn write_port_u8(port: u16, value: u8) {
    // SAFETY: `out` itself touches no memory; the caller vouches for the device.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags)) }
}

/// Writes 16 bits to an I/O port.
///
/// # Safety
/// As for [`write_port_u8`].
pub unsafe fn write_port_u16(port: u16, value: u16) {
    // SAFETY: as in `write_port_u8`.
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nomem, nostack, preserves_flags)) }
}

/// Writes 32 bits to an I/O port.
///
/// # Safety
/// As for [`write_port_u8`].
pub unsafe fn write_port_u32(port: u16, value: u32) {
    // SAFETY: as in `write_port_u8`.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nomem, nostack, preserves_flags)) }
}

/// Reads a byte from an I/O port.
///
/// # Safety
/// Reading the port must have no effect that the rest of the program does not expect.
pub unsafe fn read_port_u8(port: u16) -> u8 {
    let value;
    // SAFETY: `in` itself touches no memory; the caller vouches for the device.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags)) }
    value
}

/// Reads 16 bits from an I/O port.
///
/// # Safety
/// As for [`read_port_u8`].
pub unsafe fn read_port_u16(port: u16) -> u16 {
    let value;
    // SAFETY: as in `read_port_u8`.
    unsafe { asm!("in ax, dx", in("dx") port, out("ax") value, options(nomem, nostack, preserves_flags)) }
    value
}

/// Reads 32 bits from an I/O port.
///
/// # Safety
/// As for [`read_port_u8`].
pub unsafe fn read_port_u32(port: u16) -> u32 {
    let value;
    // SAFETY: as in `read_port_u8`.
    unsafe { asm!("in eax, dx", in("dx") port, out("eax") value, options(nomem, nostack, preserves_flags)) }
    value
}

/// Reads a model-specific register.
///
/// # Safety
/// The register must exist on this processor, or the read faults.
pub unsafe fn read_msr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: `rdmsr` touches no memory; the caller vouches that the register exists.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The register must exist, and the value must not change what the kernel relies on.
pub unsafe fn write_msr(register: u32, value: u64) {
    let (low, high) = (value as u32, (value >> 32) as u32);
    // SAFETY: the caller vouches for register and value.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") low, in("edx") high, options(nomem, nostack, preserves_flags));
    }
}
