//! Entries of the interrupt descriptor table, and what an interrupt does here: it wakes the processor, and is ended.
//!
//! The kernel's own handlers look for work of its scheduler, which has one task, and always end an interrupt with an
//! access to the local APIC. Under KVM that access leaves the guest; KVM lets it be left out ([`end_without_exit`]).
//!
//! Interrupts are let in at one place only, [`take_waiting`] and [`sleep_until_one`], and their handler goes on
//! behind it without a look at what the processor has saved. The kernel's table gives all handlers one stack, so an
//! interrupt that comes twice overwrites that; QEMU 7.2, when it emulates AMD's virtualization, now and then delivers
//! one again whose handler has not begun yet. References: Intel SDM volume 3, chapters 6 and 12; Linux,
//! Documentation/virt/kvm/x86/msr.rst, MSR_KVM_EOI_EN.

use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

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

/// Option of a gate: there is a handler.
const PRESENT: u16 = 1 << 15;
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
/// The stack of whoever lets interrupts in, with the address to go on at on top; 0 while nobody does.
static RESUME: AtomicUsize = AtomicUsize::new(0);
/// Whether each source has interrupted since somebody asked.
static SERIAL_HAS_SPOKEN: AtomicBool = AtomicBool::new(false);
static ORDER_HAS_COME: AtomicBool = AtomicBool::new(false);

/// Defines an entry that ends its interrupt, after it has set this flag, and goes on where interrupts are let in. The
/// registers that it uses are free there. Elsewhere it returns as usual.
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
                "3: mov rcx, [rip + {resume}]",
                "test rcx, rcx",
                "jz 4f",
                "mov rsp, rcx",
                "ret",
                "4: pop rdx",
                "pop rcx",
                "pop rax",
                "iretq",
                needs_no_end = sym NEEDS_NO_END,
                is_x2apic = sym IS_X2APIC,
                resume = sym RESUME,
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

/// Defines a function that lets interrupts in for one instruction. Where nothing interrupts, or what returns by itself,
/// it ends behind that instruction; a handler goes on at `2`, with interrupts held back by its gate.
macro_rules! let_in {
    ($(#[$doc:meta])* $name:ident, $instruction:literal) => {
        $(#[$doc])*
        pub fn $name() {
            // SAFETY: the entries above use three registers, and leave the stack as it was before the address was
            // pushed. `sti` takes effect after the next instruction, so none comes before that.
            unsafe {
                asm!(
                    "lea rax, [rip + 2f]",
                    "push rax",
                    "mov [rip + {resume}], rsp",
                    "sti",
                    $instruction,
                    "cli",
                    "add rsp, 8",
                    "2: mov qword ptr [rip + {resume}], 0",
                    resume = sym RESUME,
                    out("rax") _,
                    out("rcx") _,
                    out("rdx") _,
                )
            }
            let_in_meanwhile();
        }
    };
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
        // SAFETY: the handler returns as usual while nobody waits.
        unsafe { asm!("sti", options(nostack)) }
    }
}

let_in!(
    /// Takes one of the interrupts that wait, if there is one.
    take_waiting,
    "nop"
);
let_in!(
    /// Sleeps until an interrupt. One that waits already ends the sleep at once.
    sleep_until_one,
    "hlt"
);

/// From now on devices, timer and lines wake the processor and do nothing else, and interrupts are held back.
pub fn install(is_x2apic: bool) {
    IS_X2APIC.store(is_x2apic, Ordering::Relaxed);
    let entry = |pin| match pin {
        SERIAL_PIN => serial as Entry,
        KEYBOARD_PIN | ACPI_PIN => order,
        _ => wake,
    };
    let pins = (0..PIN_COUNT).map(|pin| (PINS + pin, entry(pin)));
    set(&mut pins.chain([DEVICE_VECTOR, TIMER_VECTOR].map(|vector| (vector, wake as Entry))));
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

/// Points gates of the kernel's table at these entries.
pub fn set(entries: &mut dyn Iterator<Item = (usize, Entry)>) {
    let mut table = TablePointer::default();
    // SAFETY: `sidt` stores ten bytes into a structure of ten bytes.
    unsafe { asm!("sidt [{}]", in(reg) &raw mut table, options(nostack, preserves_flags)) }
    let gates = core::ptr::with_exposed_provenance_mut::<Gate>(table.base as usize);
    // SAFETY: the kernel has filled this gate of its table.
    let model = unsafe { gates.add(GENERAL_PROTECTION).read_volatile() };
    without_interrupts(|| {
        for (vector, entry) in entries {
            let address = entry as usize as u64;
            // SAFETY: the kernel has a table of 256 gates, which lies in writable memory; where it has filled one, only
            // the address changes, the selector and the stack that the kernel has chosen stay. Nothing comes through a
            // gate that is half written: interrupts are held back, and plain stores cause no exception.
            unsafe {
                let gate = gates.add(vector);
                if (*gate).options & PRESENT == 0 {
                    (&raw mut (*gate).selector).write_volatile(model.selector);
                    (&raw mut (*gate).options).write_volatile(model.options);
                }
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
