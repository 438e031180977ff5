//! What a card does with the queues of a driver, and with drivers and VMMs that are out of order.

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::SealFlags;

use super::driver::{
    BUFFERS, Driver, MEMORY_BYTES, NEXT, SIZE, WRITE, memory, message, order, payload, set_up,
};
use super::{Card, RECEIVE, Reaction, TRANSMIT};
use crate::queue::FrameQueue;

/// What a driver agrees to, without and with event indices.
const PLAIN: u64 = 1 << 32 | 1 << 30;
const EVENT_INDEX: u64 = PLAIN | 1 << 29;
/// A header of virtio-net, and a buffer with room for each frame.
const HEADER_BYTES: usize = 12;
const BUFFER_BYTES: u32 = 2048;

struct Machine {
    card: Card,
    memory: File,
    call: OwnedFd,
}

impl Machine {
    fn new(features: u64) -> Self {
        let memory = memory(SealFlags::SHRINK);
        let call = eventfd(0, EventfdFlags::NONBLOCK).expect("an eventfd");
        let mut card = Card::default();
        for (message, files) in set_up(&memory, features, &call) {
            order(&mut card, &message, files).expect("a good message");
        }
        Self { card, memory, call }
    }

    fn received(&mut self) -> Result<Vec<Vec<u8>>, String> {
        let mut frames = Vec::new();
        while self.card.receive(|frame| frames.push(frame.to_vec())).map_err(|error| error.to_string())? {}
        Ok(frames)
    }

    fn send(&mut self, waiting: &mut FrameQueue) -> Result<(), String> {
        self.card.send(waiting).map_err(|error| error.to_string())
    }

    /// Whether the guest was signalled since the last question.
    fn is_signalled(&self) -> bool {
        let mut count = [0; 8];
        rustix::io::read(&self.call, &mut count).is_ok()
    }
}

/// A header of nothing and a frame, as a driver sends them.
fn sent(frame: &[u8]) -> Vec<u8> {
    [&[0; HEADER_BYTES], frame].concat()
}

fn waiting(frames: &[&[u8]]) -> FrameQueue {
    let mut queue = FrameQueue::default();
    assert!(frames.iter().all(|frame| queue.push(frame)));
    queue
}

#[test]
fn a_card_offers_virtio_1_and_event_indices() {
    let Ok(Reaction::Reply(reply)) = order(&mut Card::default(), &message(1, &[]), vec![]) else {
        panic!("an answer")
    };
    assert_eq!(reply[12..], EVENT_INDEX.to_ne_bytes());
    let Ok(Reaction::Reply(reply)) = order(&mut Card::default(), &message(15, &[]), vec![]) else {
        panic!("an answer")
    };
    assert_eq!(reply[12..], [0; 8], "no feature of the protocol itself");
}

#[test]
fn a_guest_s_frames_come_without_their_headers() {
    let mut machine = Machine::new(PLAIN);
    let memory = machine.memory.try_clone().expect("memory");
    let mut driver = Driver::new(&memory, TRANSMIT);
    // In one part; with the header apart, and with both in pieces.
    driver.write(BUFFERS, &sent(b"one"));
    driver.describe(2, BUFFERS, 15, 0, 0);
    driver.write(BUFFERS + 0x100, &sent(b"two"));
    driver.describe(0, BUFFERS + 0x100, 12, NEXT, 3);
    driver.describe(3, BUFFERS + 0x10c, 3, 0, 0);
    driver.offer(2);
    driver.offer(0);
    assert_eq!(machine.received(), Ok(vec![b"one".to_vec(), b"two".to_vec()]));
    assert_eq!((driver.collect(), driver.collect(), driver.collect()), (Some((2, 0)), Some((0, 0)), None));
    assert!(machine.is_signalled());
    // A frame that is longer than Ethernet has them is lost, and so is half a header; the next one comes.
    driver.describe(0, BUFFERS, 12 + 1515, 0, 0);
    driver.describe(1, BUFFERS, 11, 0, 0);
    driver.describe(2, BUFFERS, 15, 0, 0);
    (0..3).for_each(|head| driver.offer(head));
    assert_eq!(machine.received(), Ok(vec![b"one".to_vec()]));
}

#[test]
fn frames_for_the_guest_wait_until_it_has_buffers() {
    let mut machine = Machine::new(EVENT_INDEX);
    let memory = machine.memory.try_clone().expect("memory");
    let mut driver = Driver::new(&memory, RECEIVE);
    let mut waiting = waiting(&[b"one", b"two"]);
    driver.describe(1, BUFFERS, BUFFER_BYTES, WRITE, 0);
    driver.offer(1);
    machine.send(&mut waiting).expect("a good queue");
    assert_eq!(driver.collect(), Some((1, 15)));
    // One buffer (num_buffers), and no checksum or offload.
    assert_eq!(driver.read(BUFFERS, 15), b"\0\0\0\0\0\0\0\0\0\0\x01\0one");
    assert!(machine.is_signalled());
    assert_eq!((driver.collect(), driver.kicks_from()), (None, 1), "the second one waits for a kick");
    // The header apart, the frame in two parts.
    driver.describe(0, BUFFERS, 12, NEXT | WRITE, 2);
    driver.describe(2, BUFFERS + 0x100, 1, NEXT | WRITE, 3);
    driver.describe(3, BUFFERS + 0x200, BUFFER_BYTES, WRITE, 0);
    driver.offer(0);
    machine.send(&mut waiting).expect("a good queue");
    assert_eq!(driver.collect(), Some((0, 15)));
    assert_eq!(
        (driver.read(BUFFERS + 0x100, 1), driver.read(BUFFERS + 0x200, 2)),
        (b"t".to_vec(), b"wo".to_vec())
    );
    assert!(waiting.is_empty());
}

#[test]
fn a_guest_is_signalled_when_it_wants_to_be() {
    let mut machine = Machine::new(EVENT_INDEX);
    let memory = machine.memory.try_clone().expect("memory");
    let mut driver = Driver::new(&memory, RECEIVE);
    driver.describe(0, BUFFERS, BUFFER_BYTES, WRITE, 0);
    driver.signal_from(2);
    let mut signals = Vec::new();
    for _ in 0..4 {
        driver.offer(0);
        machine.send(&mut waiting(&[b"frame"])).expect("a good queue");
        signals.push(machine.is_signalled());
    }
    assert_eq!(signals, [false, false, true, false]);
    // Without event indices a flag says it.
    let mut machine = Machine::new(PLAIN);
    let memory = machine.memory.try_clone().expect("memory");
    let mut driver = Driver::new(&memory, RECEIVE);
    driver.describe(0, BUFFERS, BUFFER_BYTES, WRITE, 0);
    driver.be_quiet(true);
    driver.offer(0);
    machine.send(&mut waiting(&[b"frame"])).expect("a good queue");
    assert!(driver.collect().is_some() && !machine.is_signalled());
}

#[test]
fn indices_wrap() {
    let mut machine = Machine::new(EVENT_INDEX);
    let memory = machine.memory.try_clone().expect("memory");
    let mut driver = Driver::new(&memory, TRANSMIT);
    driver.write(BUFFERS, &sent(b"frame"));
    driver.describe(0, BUFFERS, 17, 0, 0);
    for round in 0..(1 << 16) / u32::from(SIZE) + 2 {
        (0..SIZE).for_each(|_| driver.offer(0));
        assert_eq!(machine.received().map(|frames| frames.len()), Ok(usize::from(SIZE)), "{round}");
        assert!((0..SIZE).all(|_| driver.collect() == Some((0, 0))), "{round}");
    }
    assert_eq!(driver.kicks_from(), SIZE * 2);
}

#[test]
fn what_comes_before_the_driver_does_is_lost() {
    let mut queue = waiting(&[b"early"]);
    Card::default().send(&mut queue).expect("nothing to do");
    assert!(queue.is_empty());
    assert!(!Card::default().receive(|_| panic!("a frame of nobody")).expect("nothing to do"));
}

#[test]
fn a_queue_that_stops_says_where() {
    let mut machine = Machine::new(PLAIN);
    let memory = machine.memory.try_clone().expect("memory");
    let mut driver = Driver::new(&memory, TRANSMIT);
    driver.write(BUFFERS, &sent(b"frame"));
    driver.describe(0, BUFFERS, 17, 0, 0);
    driver.offer(0);
    assert_eq!(machine.received().map(|frames| frames.len()), Ok(1));
    let Ok(Reaction::Reply(reply)) = order(&mut machine.card, &message(11, &payload(&[1, 0], &[])), vec![])
    else {
        panic!("an answer")
    };
    assert_eq!(reply[12..], payload(&[1, 1], &[]));
    driver.offer(0);
    assert_eq!(machine.received(), Ok(vec![]), "it has stopped");
}

/// What is said of a driver that does this.
fn refusal(queue: usize, act: impl FnOnce(&mut Driver<'_>)) -> String {
    let mut machine = Machine::new(EVENT_INDEX);
    let memory = machine.memory.try_clone().expect("memory");
    let mut driver = Driver::new(&memory, queue);
    act(&mut driver);
    let outcome = match queue {
        TRANSMIT => machine.received().map(drop),
        _ => machine.send(&mut waiting(&[b"frame"])),
    };
    outcome.expect_err("refused")
}

#[test]
fn a_driver_out_of_order_is_found_out() {
    let offer = |address, length, flags, next| {
        refusal(TRANSMIT, |driver| {
            driver.describe(0, address, length, flags, next);
            driver.offer(0);
        })
    };
    let too_far = refusal(TRANSMIT, |driver| driver.claim(SIZE + 1));
    assert_eq!(too_far, "available index 5 is further ahead than the queue is long");
    assert_eq!(refusal(TRANSMIT, |driver| driver.offer(SIZE)), "descriptor 4 is none of the queue's");
    assert_eq!(offer(BUFFERS, 20, NEXT, 9), "descriptor 9 is none of the queue's");
    assert_eq!(offer(BUFFERS, 20, NEXT, 0), "the chain from descriptor 0 does not end");
    assert_eq!(offer(BUFFERS, 20, 4, 0), "descriptor 0 is none of the queue's", "a table of descriptors");
    assert!(offer(MEMORY_BYTES - 4, 20, 0, 0).starts_with("a queue outside the guest's memory: "));
    assert!(offer(u64::MAX - 4, 20, 0, 0).starts_with("a queue outside the guest's memory: "));
    let give = |length, flags| {
        refusal(RECEIVE, |driver| {
            driver.describe(0, BUFFERS, length, flags, 0);
            driver.offer(0);
        })
    };
    assert_eq!(give(14, WRITE), "a buffer for a frame lacks 3 bytes");
    assert_eq!(give(BUFFER_BYTES, 0), "a buffer for a frame lacks 17 bytes", "it may not be written");
}

#[test]
fn a_vmm_out_of_order_is_found_out() {
    let refusal =
        |message: &[u8], files| order(&mut Card::default(), message, files).expect_err("refused").to_string();
    let table = message(5, &payload(&[1, 0], &[0, MEMORY_BYTES, 0, 0]));
    assert_eq!(refusal(&table, vec![]), "a message with 0 file descriptors");
    assert_eq!(
        refusal(&table, vec![memory(SealFlags::GROW).into()]),
        "the guest's memory cannot be used: it is not sealed against shrinking"
    );
    let large = message(5, &payload(&[1, 0], &[0, MEMORY_BYTES * 2, 0, 0]));
    assert_eq!(
        refusal(&large, vec![memory(SealFlags::SHRINK).into()]),
        "the guest's memory cannot be used: its file has 4096 bytes, fewer than the region"
    );
    let areas = message(9, &payload(&[0, 0], &[1, 2, 3, 0]));
    assert_eq!(refusal(&areas, vec![]), "the address 0x1 is in no memory of the guest");
    let size = message(8, &payload(&[0, 3], &[]));
    assert_eq!(refusal(&size, vec![]), "a queue of 3 descriptors, which is no power of two up to 32768");
    assert_eq!(refusal(&message(12, &payload(&[], &[0])), vec![]), "a message with 0 file descriptors");
    assert_eq!(refusal(&message(99, &[]), vec![]), "request 99, which was not offered");
}
