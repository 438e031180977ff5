//! What a VMM and a guest's driver can tell a network card of the segment. Whatever it is, the card comes to an end
//! with it: it takes frames of Ethernet's length, gives back what it used, or says that a queue is out of order.
//!
//! The first 4 KiB of the input are the guest's memory, in which the queues are; the rest is messages of the VMM, after
//! those that set the queues up.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use segment::frame::FRAME_BYTES_MAX;
use segment::queue::FrameQueue;
use segment::vhost_user::message::{HEADER_BYTES, Header};
use segment::vhost_user::{Card, CardError, QUEUES};

/// Bytes of the guest's memory.
const MEMORY_BYTES: usize = 4096;
/// Descriptors of a queue.
const SIZE: u32 = 8;
/// Where a queue's areas are; those of the other one follow.
const AREAS: [u64; 3] = [0, 0x100, 0x200];
const AREAS_BYTES: u64 = 0x400;
/// More turns than entries can be available come to an end.
const TURNS_MAX: usize = 1 << 10;

fn message(request: u32, numbers: &[u32]) -> Vec<u8> {
    let header = [request, 1, 4 * numbers.len() as u32];
    header.iter().chain(numbers).flat_map(|number| number.to_ne_bytes()).collect()
}

fn longs(request: u32, short: &[u32], long: &[u64]) -> Vec<u8> {
    let long = long.iter().flat_map(|number| [*number as u32, (*number >> 32) as u32]);
    message(request, &short.iter().copied().chain(long).collect::<Vec<u32>>())
}

fn memory(bytes: &[u8]) -> File {
    let file = memfd_create("guest", MemfdFlags::ALLOW_SEALING).expect("memory");
    ftruncate(&file, MEMORY_BYTES as u64).expect("memory");
    fcntl_add_seals(&file, SealFlags::SHRINK).expect("seals");
    let file = File::from(file);
    file.write_all_at(bytes, 0).expect("memory");
    file
}

fn copy(file: &File) -> OwnedFd {
    file.try_clone().expect("a file descriptor").into()
}

/// The messages that set a card up. Kicks and signals go nowhere.
fn set_up(memory: &File) -> Vec<(Vec<u8>, Vec<OwnedFd>)> {
    let nowhere = || File::options().write(true).open("/dev/null").expect("a device").into();
    let mut messages = vec![
        (longs(2, &[], &[1 << 32 | 1 << 29]), vec![]),
        (longs(5, &[1, 0], &[0, MEMORY_BYTES as u64, 0, 0]), vec![copy(memory)]),
    ];
    for queue in 0..QUEUES as u32 {
        let [descriptors, used, available] = AREAS.map(|area| area + u64::from(queue) * AREAS_BYTES);
        messages.extend([
            (message(8, &[queue, SIZE]), vec![]),
            (longs(9, &[queue, 0], &[descriptors, used, available, 0]), vec![]),
            (longs(12, &[], &[queue.into()]), vec![nowhere()]),
            (longs(13, &[], &[queue.into()]), vec![nowhere()]),
        ]);
    }
    messages
}

/// Carries out the first message of these bytes; what follows it.
fn order<'a>(card: &mut Card, bytes: &'a [u8], files: Vec<OwnedFd>) -> Option<Result<&'a [u8], CardError>> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let header = match Header::parse(header) {
        Ok(header) => header,
        Err(error) => return Some(Err(error.into())),
    };
    let (payload, rest) = rest.split_at_checked(header.payload_bytes)?;
    Some(card.handle(header, payload, files).map(|_| rest))
}

/// Moves frames both ways, until there are none or a queue is out of order.
fn work(card: &mut Card) -> Result<(), CardError> {
    let mut waiting = FrameQueue::default();
    assert!(waiting.push(&[7; 60]) && waiting.push(&[8; FRAME_BYTES_MAX]));
    card.send(&mut waiting)?;
    for _ in 0..TURNS_MAX {
        if !card.receive(|frame| assert!(frame.len() <= FRAME_BYTES_MAX))? {
            return Ok(());
        }
    }
    panic!("there are always more frames");
}

/// One input.
///
/// # Panics
/// When a property does not hold.
pub fn check(input: &[u8]) {
    let (in_memory, mut messages) = input.split_at(input.len().min(MEMORY_BYTES));
    let memory = memory(in_memory);
    let mut card = Card::default();
    for (message, files) in set_up(&memory) {
        assert!(matches!(order(&mut card, &message, files), Some(Ok([]))), "a card can be set up");
    }
    // What it says of a queue out of order is text.
    let is_in_order = work(&mut card).map_err(|error| assert!(!error.to_string().is_empty())).is_ok();
    while let Some(Ok(rest)) = order(&mut card, messages, vec![copy(&memory)]) {
        messages = rest;
        if is_in_order && work(&mut card).is_err() {
            return;
        }
    }
}
