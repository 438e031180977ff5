//! Memory that a driver's stores reach late, and the device that looks at it.
//!
//! The driver's processor keeps its stores in a buffer. A relaxed store may arrive before an older one of another word;
//! one with `Release` arrives after all older ones; a fence with `SeqCst` waits until the buffer is empty. The device's
//! own steps are right: it has its fences.

use exercise_06_3::{BUFFER, Memory, NO_NOTIFY, Ordering, Word};

use super::schedule::Schedule;

const EMPTY: u16 = 0xffff;

/// What the device is at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// It looks again and again, and wants no doorbell.
    Polling,
    /// It has found nothing, and will say that it wants the doorbell.
    AboutToRest,
    /// It has said so, and will look once more.
    LastLook,
    /// It waits for the doorbell.
    Resting,
    /// It has seen the index and will read the slot.
    Reading,
    /// It has the buffer.
    Done,
}

struct Store {
    word: Word,
    value: u16,
    /// It arrives after all that are older.
    is_last: bool,
    is_sequential: bool,
}

pub struct Shared<'a> {
    schedule: &'a mut Schedule,
    slot: u16,
    index: u16,
    flags: u16,
    buffer: Vec<Store>,
    device: Device,
    polls: bool,
    trace: Vec<String>,
}

impl<'a> Shared<'a> {
    pub fn new(schedule: &'a mut Schedule, device: Device) -> Self {
        let (buffer, trace) = (Vec::new(), Vec::new());
        let polls = device == Device::Polling;
        Self { schedule, slot: EMPTY, index: 0, flags: NO_NOTIFY, buffer, device, polls, trace }
    }

    /// Lets stores arrive and the device make steps, as many as the schedule says, before the driver goes on.
    fn others(&mut self) {
        loop {
            let ready = self.ready();
            let device = usize::from(self.device_can_step());
            match self.schedule.choose(1 + ready.len() + device) {
                0 => return,
                choice if choice <= ready.len() => self.arrive(ready[choice - 1]),
                _ => self.step(),
            }
        }
    }

    /// The driver is done: what is left happens, in any order.
    pub fn settle(mut self) {
        loop {
            let ready = self.ready();
            let device = usize::from(self.device_can_step());
            if ready.is_empty() && device == 0 {
                break;
            }
            match self.schedule.choose(ready.len() + device) {
                choice if choice < ready.len() => self.arrive(ready[choice]),
                _ => self.step(),
            }
        }
        if self.device != Device::Done {
            self.fail("the device to learn of the buffer", "both sides wait, and nobody rang");
        }
    }

    /// Stores that may arrive next: the oldest one, and relaxed ones that overtake stores of other words.
    fn ready(&self) -> Vec<usize> {
        let may = |at: &usize| {
            let Store { word, is_last, .. } = self.buffer[*at];
            let older = &self.buffer[..*at];
            *at == 0
                || !is_last
                    && !older.iter().any(|store| store.word == word || store.is_last && is_fence(store))
        };
        (0..self.buffer.len()).filter(may).collect()
    }

    fn arrive(&mut self, at: usize) {
        let Store { word, value, .. } = self.buffer.remove(at);
        match word {
            Word::Slot => self.slot = value,
            Word::Index => self.index = value,
            // The flags are the device's: this word stands for a fence in the buffer.
            Word::Flags => return,
        }
        self.note(format!("{word:?} = {value} arrives"));
    }

    fn drain(&mut self, count: usize) {
        (0..count).for_each(|_| self.arrive(0));
    }

    fn device_can_step(&self) -> bool {
        match self.device {
            Device::Resting | Device::Done => false,
            Device::Polling => self.index != 0,
            _ => true,
        }
    }

    fn step(&mut self) {
        self.device = match self.device {
            Device::AboutToRest => {
                self.flags = 0;
                self.note("the device stores Flags = 0".into());
                Device::LastLook
            }
            Device::Polling | Device::LastLook if self.index != 0 => {
                self.note(format!("the device reads Index = {}", self.index));
                Device::Reading
            }
            Device::LastLook => {
                self.note("the device reads Index = 0 and rests".into());
                Device::Resting
            }
            Device::Reading => {
                self.note(format!("the device reads Slot = {}", self.slot));
                if self.slot != BUFFER {
                    let came = format!("{}: the index arrived before the slot that it counts", self.slot);
                    self.fail("the device to read buffer 7 from the slot", &came);
                }
                Device::Done
            }
            other => other,
        };
    }

    fn note(&mut self, what: String) {
        self.trace.push(what);
    }

    fn fail(&self, expected: &str, came: &str) -> ! {
        panic!("expected {expected}; came {came}; the order: {}", self.trace.join(", "));
    }
}

/// A fence that keeps stores in order stands in the buffer as a store of a word that the driver never writes.
fn is_fence(store: &Store) -> bool {
    store.word == Word::Flags
}

impl Memory for Shared<'_> {
    fn store(&mut self, word: Word, value: u16, ordering: Ordering) {
        assert!(
            word != Word::Flags,
            "expected stores to Slot and Index only; came one to Flags, which are the device's"
        );
        let is_last = match ordering {
            Ordering::Relaxed => false,
            Ordering::Release | Ordering::SeqCst => true,
            _ => panic!(
                "expected Relaxed, Release or SeqCst for a store; came {ordering:?}, which Rust refuses"
            ),
        };
        self.others();
        self.note(format!("the driver stores {word:?} = {value}"));
        self.buffer.push(Store { word, value, is_last, is_sequential: ordering == Ordering::SeqCst });
    }

    fn load(&mut self, word: Word, ordering: Ordering) -> u16 {
        let is_sequential = match ordering {
            Ordering::Relaxed | Ordering::Acquire => false,
            Ordering::SeqCst => true,
            _ => panic!(
                "expected Relaxed, Acquire or SeqCst for a load; came {ordering:?}, which Rust refuses"
            ),
        };
        self.others();
        // Loads and stores with SeqCst keep their order among themselves.
        if is_sequential && let Some(last) = self.buffer.iter().rposition(|store| store.is_sequential) {
            self.drain(last + 1);
        }
        let own = self.buffer.iter().rev().find(|store| store.word == word && !is_fence(store));
        let value = own.map(|store| store.value).unwrap_or(match word {
            Word::Slot => self.slot,
            Word::Index => self.index,
            Word::Flags => self.flags,
        });
        self.note(format!("the driver reads {word:?} = {value}"));
        value
    }

    fn fence(&mut self, ordering: Ordering) {
        self.others();
        match ordering {
            Ordering::SeqCst => {
                self.drain(self.buffer.len());
                self.note("the driver's fence ends".into());
            }
            Ordering::Release | Ordering::AcqRel => {
                self.buffer.push(Store { word: Word::Flags, value: 0, is_last: true, is_sequential: false });
            }
            Ordering::Acquire => {}
            _ => panic!("expected an ordering for the fence; came {ordering:?}, which Rust refuses"),
        }
    }

    fn ring(&mut self) {
        self.others();
        if self.polls {
            self.fail(
                "no doorbell while the device polls, as its flag says",
                "one, which leaves the guest for nothing",
            );
        }
        self.note("the driver rings".into());
        // The write to a register arrives after the stores before it, and the device looks again.
        self.drain(self.buffer.len());
        if self.device == Device::Resting {
            self.device = Device::LastLook;
        }
    }
}
