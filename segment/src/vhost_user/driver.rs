//! A guest's driver and its VMM, for tests of this crate and of its users. All of it panics when the host has no memory
//! or file descriptors for it.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use super::message::{HEADER_BYTES, Header};
use super::{Card, CardError, RECEIVE, Reaction, TRANSMIT};

/// Bytes of the guest's memory.
pub const MEMORY_BYTES: u64 = 0x1000;
/// Where the VMM has it.
const VMM: u64 = 0x7000_0000;
/// Descriptors of a queue.
pub const SIZE: u16 = 4;
/// In a descriptor's flags: another one belongs to it.
pub const NEXT: u16 = 1;
/// In a descriptor's flags: the device writes.
pub const WRITE: u16 = 2;
/// Distance of the queues' areas.
const QUEUE_STEP: u64 = 0x400;
const AREA_STEP: u64 = 0x100;
/// Where buffers are.
pub const BUFFERS: u64 = 0x800;

/// Memory as QEMU makes it.
pub fn memory(seals: SealFlags) -> File {
    let file = memfd_create("guest", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC).expect("memory");
    ftruncate(&file, MEMORY_BYTES).expect("memory");
    fcntl_add_seals(&file, seals).expect("seals");
    file.into()
}

/// What a message has after its header: numbers of four bytes, then of eight.
pub fn payload(short: &[u32], long: &[u64]) -> Vec<u8> {
    let short = short.iter().flat_map(|number| number.to_ne_bytes());
    short.chain(long.iter().flat_map(|number| number.to_ne_bytes())).collect()
}

/// A message as it is sent.
pub fn message(request: u32, payload: &[u8]) -> Vec<u8> {
    let header = [request, 1, payload.len() as u32];
    header.into_iter().flat_map(u32::to_ne_bytes).chain(payload.iter().copied()).collect()
}

/// The messages that set a card up, in QEMU's order, each with its file descriptors; calls go to `call`.
pub fn set_up(memory: &File, features: u64, call: &OwnedFd) -> Vec<(Vec<u8>, Vec<OwnedFd>)> {
    let copy = |file: &OwnedFd| file.try_clone().expect("a file descriptor");
    let file = memory.try_clone().expect("a file descriptor").into();
    let mut messages = vec![
        (message(2, &payload(&[], &[features])), vec![]),
        (message(5, &payload(&[1, 0], &[0, MEMORY_BYTES, VMM, 0])), vec![file]),
    ];
    for queue in [RECEIVE, TRANSMIT] {
        let number = queue as u32;
        let [descriptors, available, used] = areas(queue).map(|area| area + VMM);
        let kick = eventfd(0, EventfdFlags::NONBLOCK).expect("an eventfd");
        messages.extend([
            (message(8, &payload(&[number, u32::from(SIZE)], &[])), vec![]),
            (message(10, &payload(&[number, 0], &[])), vec![]),
            (message(9, &payload(&[number, 0], &[descriptors, used, available, 0])), vec![]),
            (message(12, &payload(&[], &[queue as u64])), vec![kick]),
            (message(13, &payload(&[], &[queue as u64])), vec![copy(call)]),
            (message(18, &payload(&[number, 1], &[])), vec![]),
        ]);
    }
    messages
}

/// Where a queue has its descriptors, its available ring and its used ring.
fn areas(queue: usize) -> [u64; 3] {
    [0, 1, 2].map(|area| queue as u64 * QUEUE_STEP + area * AREA_STEP)
}

/// Has a card carry out a message.
pub fn order(card: &mut Card, message: &[u8], files: Vec<OwnedFd>) -> Result<Reaction, CardError> {
    let (header, payload) = message.split_at(HEADER_BYTES);
    let header = Header::parse(header.try_into().expect("a header"))?;
    card.handle(header, payload, files)
}

/// A driver of one queue.
pub struct Driver<'a> {
    memory: &'a File,
    queue: usize,
    available: u16,
    used: u16,
}

impl<'a> Driver<'a> {
    /// The driver of the queue of this number, which is set up and empty.
    pub fn new(memory: &'a File, queue: usize) -> Self {
        Self { memory, queue, available: 0, used: 0 }
    }

    /// Writes into the guest's memory.
    pub fn write(&self, address: u64, bytes: &[u8]) {
        self.memory.write_all_at(bytes, address).expect("memory");
    }

    /// Reads from there.
    pub fn read(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.memory.read_exact_at(&mut bytes, address).expect("memory");
        bytes
    }

    fn number(&self, address: u64) -> u16 {
        let bytes = self.read(address, 2);
        u16::from_le_bytes([bytes[0], bytes[1]])
    }

    /// Writes a descriptor.
    pub fn describe(&self, number: u16, address: u64, length: u32, flags: u16, next: u16) {
        let [descriptors, ..] = areas(self.queue);
        let mut bytes = address.to_le_bytes().to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend(next.to_le_bytes());
        self.write(descriptors + u64::from(number) * 16, &bytes);
    }

    /// Makes the chain available that begins with this descriptor.
    pub fn offer(&mut self, head: u16) {
        let [_, available, _] = areas(self.queue);
        self.write(available + 4 + u64::from(self.available % SIZE) * 2, &head.to_le_bytes());
        self.available = self.available.wrapping_add(1);
        self.claim(self.available);
    }

    /// Wants no signals, or wants them; without event indices.
    pub fn be_quiet(&self, quiet: bool) {
        let [_, available, _] = areas(self.queue);
        self.write(available, &u16::from(quiet).to_le_bytes());
    }

    /// Says that so many chains were made available.
    pub fn claim(&self, index: u16) {
        let [_, available, _] = areas(self.queue);
        self.write(available + 2, &index.to_le_bytes());
    }

    /// Wants no signal before this entry was used.
    pub fn signal_from(&self, entry: u16) {
        let [_, available, _] = areas(self.queue);
        self.write(available + 4 + u64::from(SIZE) * 2, &entry.to_le_bytes());
    }

    /// From which entry on it is to kick.
    pub fn kicks_from(&self) -> u16 {
        let [.., used] = areas(self.queue);
        self.number(used + 4 + u64::from(SIZE) * 8)
    }

    /// The next chain that was given back, and how many bytes were written.
    pub fn collect(&mut self) -> Option<(u32, u32)> {
        let [.., used] = areas(self.queue);
        if self.number(used + 2) == self.used {
            return None;
        }
        let entry = self.read(used + 4 + u64::from(self.used % SIZE) * 8, 8);
        self.used = self.used.wrapping_add(1);
        let numbers = entry.as_chunks::<4>().0;
        Some((u32::from_le_bytes(numbers[0]), u32::from_le_bytes(numbers[1])))
    }
}
