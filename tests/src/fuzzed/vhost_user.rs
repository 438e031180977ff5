//! What a VMM and a guest's driver can tell a network card of the segment. Whatever it is, the card comes to an end
//! with it: it takes frames of Ethernet's length, gives back what it used, or says that a queue is out of order.
//!
//! The first 4 KiB of the input are the guest's memory, in which the queues are; the rest is messages of the VMM, after
//! those that set the queues up.

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::SealFlags;
use segment::frame::FRAME_BYTES_MAX;
use segment::queue::FrameQueue;
use segment::vhost_user::driver::{self, Driver, MEMORY_BYTES};
use segment::vhost_user::message::{HEADER_BYTES, Header};
use segment::vhost_user::{Card, CardError, RECEIVE};

/// What the driver agrees to: virtio 1, with event indices.
const FEATURES: u64 = 1 << 32 | 1 << 29;
/// More turns than entries can be available come to an end.
const TURNS_MAX: usize = 1 << 10;

/// The first message of these bytes, and what follows it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let header = Header::parse(bytes.first_chunk::<HEADER_BYTES>()?).ok()?;
    bytes.split_at_checked(HEADER_BYTES + header.payload_bytes)
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
    let (in_memory, mut messages) = input.split_at(input.len().min(MEMORY_BYTES as usize));
    let memory = driver::memory(SealFlags::SHRINK);
    Driver::new(&memory, RECEIVE).write(0, in_memory);
    let call = eventfd(0, EventfdFlags::NONBLOCK).expect("an eventfd");
    let mut card = Card::default();
    for (message, files) in driver::set_up(&memory, FEATURES, &call) {
        driver::order(&mut card, &message, files).expect("a card can be set up");
    }
    // What it says of a queue out of order is text.
    let is_in_order = work(&mut card).map_err(|error| assert!(!error.to_string().is_empty())).is_ok();
    while let Some((message, rest)) = split(messages) {
        let file = memory.try_clone().expect("a file descriptor").into();
        let is_over = driver::order(&mut card, message, vec![file]).is_err();
        if is_over || (is_in_order && work(&mut card).is_err()) {
            return;
        }
        messages = rest;
    }
}
