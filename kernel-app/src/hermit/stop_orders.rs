//! Orders to stop that come neither by the serial line nor by a request: the power button of ACPI, which QEMU, libvirt
//! and KubeVirt press, and Ctrl-Alt-Delete, which Firecracker sends.
//!
//! Both interrupt, which only sets a flag (`interrupt_table`). Where a machine does not, they are looked at when the
//! loop is awake anyhow. References: ACPI 6.5 section 4.8.3.1 (power management event registers); Intel 8042, status
//! register.

use core::time::Duration;

use super::interrupt_table::Source;
use super::x86::{read_port_u8, read_port_u16, write_port_u16};
use crate::acpi::Power;
use crate::ctrl_alt_delete::CtrlAltDelete;
use wire::Instant;

/// Time between two looks without an interrupt: each leaves the guest.
const INTERVAL: Duration = Duration::from_secs(1);
/// The bit of the power button, both in status and in enable registers.
const POWER_BUTTON: u16 = 1 << 8;
/// The keyboard's controller: data, and status with a bit for a byte that has come.
const KEYBOARD_DATA: u16 = 0x60;
const KEYBOARD_STATUS: u16 = 0x64;
const OUTPUT_FULL: u8 = 1;
/// Reads of a port that nobody has give one of these.
const NOBODY: [u8; 2] = [0, 0xff];
/// Bytes that are read in one look.
const BYTES_MAX: usize = 16;

/// What is looked at.
pub struct StopOrders {
    /// The power button's status register.
    button: Option<u16>,
    keyboard: Option<CtrlAltDelete>,
    look_at: Instant,
}

impl StopOrders {
    /// Lets the button raise its status, if there is one.
    pub fn new(power: Power) -> Self {
        let button = power.button.map(|[status, enable]| {
            // SAFETY: the firmware's table says that these are the registers of fixed events, which touch no memory.
            unsafe {
                write_port_u16(status, POWER_BUTTON);
                write_port_u16(enable, POWER_BUTTON);
            }
            status
        });
        // SAFETY: reading the controller's status changes nothing.
        let has_keyboard = button.is_none() && !NOBODY.contains(&unsafe { read_port_u8(KEYBOARD_STATUS) });
        let keyboard = has_keyboard.then(CtrlAltDelete::default);
        Self { button, keyboard, look_at: Instant::ZERO }
    }

    /// Whether [`has_come`](Self::has_come) has something to look at.
    pub fn has_work(&self) -> bool {
        Source::Order.has_interrupted()
    }

    /// Whether one has come since the last look, when there is a reason to look.
    pub fn has_come(&mut self, now: Instant) -> bool {
        // Asked for first: what comes after the look interrupts again.
        if !Source::Order.take() && now < self.look_at {
            return false;
        }
        self.look_at = now + INTERVAL;
        self.button.is_some_and(is_pressed) || self.keyboard.as_mut().is_some_and(has_typed)
    }
}

fn is_pressed(status: u16) -> bool {
    // SAFETY: reading the events changes nothing, and writing this bit clears it.
    unsafe {
        let pressed = read_port_u16(status) & POWER_BUTTON != 0;
        if pressed {
            write_port_u16(status, POWER_BUTTON);
        }
        pressed
    }
}

fn has_typed(keys: &mut CtrlAltDelete) -> bool {
    let byte = || {
        // SAFETY: the keyboard's bytes are nobody else's to read.
        unsafe { (read_port_u8(KEYBOARD_STATUS) & OUTPUT_FULL != 0).then(|| read_port_u8(KEYBOARD_DATA)) }
    };
    (0..BYTES_MAX).map_while(|_| byte()).any(|byte| keys.take(byte))
}
