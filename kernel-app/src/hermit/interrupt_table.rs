//! Entries of the interrupt descriptor table, and what an interrupt does here: it wakes the processor, and is ended.
//!
//! The kernel's own handlers look for work of its scheduler, which has one task, and always end an interrupt with an
//! access to the local APIC. Under KVM that access leaves the guest; KVM lets it be left out ([`end_without_exit`]).
//!
//! Interrupts are let in at two places only, [`take_waiting`] and [`sleep_until_one`]; under uhyve always, but for the
//! steps that lead to sleep. What the processor saves lies on the program's own stack, where one interrupt may come on
//! top of another. On a stack for handlers, as the kernel's table has it, each begins at the same place, and an
//! interrupt that comes twice overwrites where the first is to return to: its handler returns into itself, for ever.
//! QEMU 7.2, when it emulates AMD's virtualization, now and then delivers one again whose handler has not begun yet. So
//! programs must keep nothing below their stack pointer, in a red zone (System V ABI for x86-64, section 3.2.2).
//! References: Intel SDM volume 3, chapters 6 and 12; Linux, Documentation/virt/kvm/x86/msr.rst, MSR_KVM_EOI_EN.

use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::uhyve;
use super::x86::write_msr;

/// What the processor jumps to.
pub type Entry = extern "C" fn();

/// A gate of the interrupt descriptor table (64-bit mode).
#[repr(C)]
#[derive(Clone, Copy)]
struct Gate {
    address_low: u16,
    selector: u16,
    options: u16,
    address_middle: u16,
    address_high: u32,
    reserved: u32,
}

/// Options of a gate: there is a handler; and the number of its stack, 0 for the one in use.
const PRESENT: u16 = 1 << 15;
const STACK: u16 = 0b111;
/// A vector whose gate the kernel has filled, which is the model for those that it leaves out: reserved ones.
const GENERAL_PROTECTION: usize = 13;

/// RFLAGS: interrupts are let in.
const INTERRUPTS_ON: u64 = 1 << 9;

/// What `sidt` stores.
#[repr(C, packed)]
#[derive(Default)]
struct TablePointer {
    limit: u16,
    base: u64,
}

/// Vector of the first I/O APIC's first pin; the kernel has routed the others to those that follow.
const PINS: usize = 0x20;
const PIN_COUNT: usize = 24;
/// The pins of the first serial line, the keyboard and ACPI on every PC.
const SERIAL_PIN: usize = 4;
const KEYBOARD_PIN: usize = 1;
const ACPI_PIN: usize = 9;
/// Vector of devices that send messages or are routed to it.
pub const DEVICE_VECTOR: usize = 0x90;
/// Vector of the local APIC's timer.
pub const TIMER_VECTOR: usize = 0x91;

/// MSR_KVM_EOI_EN, and its bit that turns it on.
const KVM_END: u32 = 0x4b56_4d04;
const ENABLE: u64 = 1;

/// Bit 0: the interrupt that came last needs no end. KVM sets it with the interrupt; whoever ends that clears it.
static NEEDS_NO_END: AtomicU32 = AtomicU32::new(0);
/// Whether the local APIC is reached by registers and not by memory.
static IS_X2APIC: AtomicBool = AtomicBool::new(false);
/// Whether each source has interrupted since somebody asked.
static SERIAL_HAS_SPOKEN: AtomicBool = AtomicBool::new(false);
static ORDER_HAS_COME: AtomicBool = AtomicBool::new(false);

/// Defines an entry that ends its interrupt, after it has set this flag.
macro_rules! entry {
    ($name:ident $(, $flag:ident)?) => {
        #[unsafe(naked)]
        extern "C" fn $name() {
            naked_asm!(
                "push rax",
                "push rcx",
                "push rdx",
                $(concat!("mov byte ptr [rip + {", stringify!($flag), "}], 1"),)?
                "btr dword ptr [rip + {needs_no_end}], 0",
                "jc 3f",
                "xor eax, eax",
                "cmp byte ptr [rip + {is_x2apic}], al",
                "je 2f",
                "xor edx, edx",
                "mov ecx, 0x80b",
                "wrmsr",
                "jmp 3f",
                "2: mov ecx, 0xfee000b0",
                "mov dword ptr [rcx], eax",
                "3: pop rdx",
                "pop rcx",
                "pop rax",
                "iretq",
                needs_no_end = sym NEEDS_NO_END,
                is_x2apic = sym IS_X2APIC,
                $($flag = sym $flag,)?
            )
        }
    };
}

entry!(wake);
entry!(serial, SERIAL_HAS_SPOKEN);
entry!(order, ORDER_HAS_COME);

/// What interrupts with something to look at.
#[derive(Clone, Copy)]
pub enum Source {
    /// The serial line.
    Serial,
    /// The power button or the keyboard.
    Order,
}

impl Source {
    fn flag(self) -> &'static AtomicBool {
        match self {
            Self::Serial => &SERIAL_HAS_SPOKEN,
            Self::Order => &ORDER_HAS_COME,
        }
    }

    /// Whether it has interrupted since this was asked for the last time.
    pub fn take(self) -> bool {
        self.flag().swap(false, Ordering::Relaxed)
    }

    /// The same, and it stays so.
    pub fn has_interrupted(self) -> bool {
        self.flag().load(Ordering::Relaxed)
    }
}

/// Holds interrupts back.
pub fn hold_back() {
    // SAFETY: nothing but what waits for an interrupt needs one, and that lets it in.
    unsafe { asm!("cli", options(nostack)) }
}

/// Lets interrupts in between those places as well, where uhyve runs this machine. It interrupts for each packet,
/// wanted or not, and KVM leaves a guest once more for each that is held back.
fn let_in_meanwhile() {
    if uhyve::is_monitor() {
        // SAFETY: as for `take_waiting`.
        unsafe { asm!("sti", options(nostack)) }
    }
}

/// Takes the interrupts that wait.
pub fn take_waiting() {
    // SAFETY: the entries leave all registers as they were, and what they save lies below the stack pointer, where
    // programs keep nothing: `build.rs` demands that they are compiled without a red zone. `sti` takes effect after the
    // next instruction.
    unsafe { asm!("sti", "nop", "cli", options(nostack)) }
    let_in_meanwhile();
}

/// Sleeps until an interrupt. One that waits already ends the sleep at once: as `sti` takes effect after the next
/// instruction, none comes before that.
pub fn sleep_until_one() {
    // SAFETY: as above.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) }
    let_in_meanwhile();
}

/// From now on devices, timer and lines wake the processor and do nothing else, and interrupts are held back.
pub fn install(is_x2apic: bool) {
    IS_X2APIC.store(is_x2apic, Ordering::Relaxed);
    let entry = |pin| match pin {
        SERIAL_PIN => serial as Entry,
        KEYBOARD_PIN | ACPI_PIN => order,
        _ => wake,
    };
    let pins = (0..PIN_COUNT).map(|pin| (PINS + pin, entry(pin)));
    set(0, &mut pins.chain([DEVICE_VECTOR, TIMER_VECTOR].map(|vector| (vector, wake as Entry))));
    hold_back();
    let_in_meanwhile();
}

/// Agrees with KVM that most interrupts end without leaving the guest.
///
/// # Safety
/// It must be KVM that runs this machine, with this register.
pub unsafe fn end_without_exit() {
    let address = NEEDS_NO_END.as_ptr().expose_provenance() as u64;
    // SAFETY: the caller vouches for the register. KVM writes to the word, whose address is its physical one as for all
    // statics, only while the processor is outside of the guest.
    unsafe { write_msr(KVM_END, address | ENABLE) }
}

/// Points gates of the kernel's table at these entries, for an exception: it has the kernel's stack for that, as it may
/// be the program's stack that is broken.
pub fn set_exceptions(entries: &mut dyn Iterator<Item = (usize, Entry)>) {
    set(STACK, entries);
}

/// The same, with those bits of the kernel's number of a stack.
fn set(stack: u16, entries: &mut dyn Iterator<Item = (usize, Entry)>) {
    let mut table = TablePointer::default();
    // SAFETY: `sidt` stores ten bytes into a structure of ten bytes.
    unsafe { asm!("sidt [{}]", in(reg) &raw mut table, options(nostack, preserves_flags)) }
    let gates = core::ptr::with_exposed_provenance_mut::<Gate>(table.base as usize);
    // SAFETY: the kernel has filled this gate of its table.
    let model = unsafe { gates.add(GENERAL_PROTECTION).read_volatile() };
    without_interrupts(|| {
        for (vector, entry) in entries {
            let address = entry as usize as u64;
            // SAFETY: the kernel has a table of 256 gates, which lies in writable memory; where it has filled one, its
            // selector and its kind stay. Nothing comes through a gate that is half written: interrupts are held back,
            // and plain stores cause no exception.
            unsafe {
                let gate = gates.add(vector);
                let is_filled = (*gate).options & PRESENT != 0;
                let Gate { selector, options, .. } = if is_filled { gate.read_volatile() } else { model };
                (&raw mut (*gate).selector).write_volatile(selector);
                (&raw mut (*gate).options).write_volatile(options & (!STACK | stack));
                (&raw mut (*gate).address_low).write_volatile(address as u16);
                (&raw mut (*gate).address_middle).write_volatile((address >> 16) as u16);
                (&raw mut (*gate).address_high).write_volatile((address >> 32) as u32);
            }
        }
    });
}

fn without_interrupts(work: impl FnOnce()) {
    let flags: u64;
    // SAFETY: interrupts are let in again below, if they were before.
    unsafe { asm!("pushfq", "pop {}", "cli", out(reg) flags) }
    work();
    if flags & INTERRUPTS_ON != 0 {
        // SAFETY: they were on before.
        unsafe { asm!("sti", options(nostack)) }
    }
}
