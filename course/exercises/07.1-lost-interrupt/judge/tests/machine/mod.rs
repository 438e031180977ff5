//! A processor with one source of interrupts, and a device that uses one buffer.
//!
//! The device makes two steps: it writes the used ring, then it reads whether the driver wants an interrupt, and sends
//! one if so. The schedule says between which steps of the processor that happens.

use exercise_07_1::Machine;

use super::schedule::Schedule;

/// More steps than a sleep needs.
const STEPS_MAX: u32 = 40;

/// When the packet comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Between any two steps.
    AnyTime,
    /// When the processor has halted.
    AfterHalt,
}

/// What the device will do next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Device {
    UseBuffer,
    ReadWish,
    Done { has_interrupted: bool },
}

pub struct Model<'a> {
    schedule: &'a mut Schedule,
    arrival: Arrival,
    device: Device,
    has_used: bool,
    is_wanted: bool,
    are_held: bool,
    is_pending: bool,
    halts: u32,
    steps: u32,
    trace: Vec<&'static str>,
}

impl<'a> Model<'a> {
    pub fn new(schedule: &'a mut Schedule, arrival: Arrival) -> Self {
        Self {
            schedule,
            arrival,
            device: Device::UseBuffer,
            has_used: false,
            is_wanted: false,
            are_held: false,
            is_pending: false,
            halts: 0,
            steps: 0,
            trace: Vec::new(),
        }
    }

    pub fn halts(&self) -> u32 {
        self.halts
    }

    /// What must hold when `sleep` has returned.
    pub fn check_return(&self, halts_before: u32) {
        if self.are_held {
            self.fail(
                "interrupts to be let in after the sleep",
                "a return while interrupts are still held back",
            );
        }
        if self.is_wanted {
            self.fail("no interrupts to be wanted after the sleep", "a return with want_interrupt(true)");
        }
        if self.halts == halts_before && !self.has_used {
            self.fail("a halt while the ring is empty", "a return without one: the loop would spin");
        }
    }

    /// The processor is about to make a step: before it, the device may make some of its own.
    fn before(&mut self, step: &'static str) {
        while self.arrival == Arrival::AnyTime && self.can_step() && self.schedule.choose(2) == 1 {
            self.device_step();
        }
        self.steps += 1;
        if self.steps > STEPS_MAX {
            self.trace.truncate(8);
            self.fail("a halt while the ring is empty", "more than 40 steps: it asks again and again");
        }
        self.trace.push(step);
    }

    fn can_step(&self) -> bool {
        !matches!(self.device, Device::Done { .. })
    }

    fn device_step(&mut self) {
        match self.device {
            Device::UseBuffer => {
                self.has_used = true;
                self.device = Device::ReadWish;
                self.trace.push("[the device uses the buffer]");
            }
            Device::ReadWish => {
                self.device = Device::Done { has_interrupted: self.is_wanted };
                self.is_pending = self.is_wanted;
                self.trace.push(if self.is_wanted { "[it interrupts]" } else { "[it does not interrupt]" });
                self.take_pending();
            }
            Device::Done { .. } => {}
        }
    }

    /// Takes an interrupt that waits, unless they are held back; whether there was one.
    fn take_pending(&mut self) -> bool {
        let is_taken = self.is_pending && !self.are_held;
        if is_taken {
            self.is_pending = false;
            self.trace.push("[the interrupt is taken]");
        }
        is_taken
    }

    /// The processor stands still: only the device goes on.
    fn stand(&mut self) {
        self.halts += 1;
        if self.are_held {
            self.fail("an interrupt to end the halt", "none, as interrupts are held back");
        }
        if self.take_pending() {
            return;
        }
        while self.can_step() {
            let could_wake = self.is_wanted;
            self.device_step();
            if could_wake && !self.can_step() {
                return;
            }
        }
        let why = match self.device {
            Device::Done { has_interrupted: true } => {
                "a processor that halts for ever beside its packet: the interrupt was taken before the halt"
            }
            _ => {
                "a processor that halts for ever beside its packet: the device was not asked to interrupt when it \
                 used the buffer"
            }
        };
        self.fail("to wake for the packet", why);
    }

    pub fn fail(&self, expected: &str, came: &str) -> ! {
        panic!("expected {expected}; came {came}; the order: {}", self.trace.join(", "));
    }
}

impl Machine for Model<'_> {
    fn hold_interrupts(&mut self) {
        self.before("hold_interrupts");
        self.are_held = true;
    }

    fn let_in_interrupts(&mut self) {
        self.before("let_in_interrupts");
        self.are_held = false;
        self.take_pending();
    }

    fn halt(&mut self) {
        self.before("halt");
        self.stand();
    }

    fn let_in_and_halt(&mut self) {
        self.before("let_in_and_halt");
        self.are_held = false;
        self.stand();
    }

    fn want_interrupt(&mut self, wanted: bool) {
        self.before(if wanted { "want_interrupt(true)" } else { "want_interrupt(false)" });
        self.is_wanted = wanted;
    }

    fn has_used(&mut self) -> bool {
        self.before("has_used");
        self.has_used
    }
}
