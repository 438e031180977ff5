//! The network card (virtio 1.2, section 5.1) that a guest sees, from the inside.

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;

use rustix::fs::{SealFlags, fcntl_get_seals};
use vm_memory::{Bytes, FileOffset, GuestAddress, GuestMemoryMmap, GuestRegionMmap, MmapRegion};

use super::message::{Header, Message, MessageError, Region, Wakes};
use super::virtqueue::{QueueError, Virtqueue};
use super::{QUEUES, RECEIVE, TRANSMIT};
use crate::frame::FRAME_BYTES_MAX;
use crate::queue::FrameQueue;

/// Before each frame, with `VIRTIO_F_VERSION_1` (section 5.1.6).
const HEADER_BYTES: usize = 12;
/// The header of a frame for the guest: nothing is left out, and it is in one buffer.
const HEADER: [u8; HEADER_BYTES] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];
/// Notifications depend on indices (section 6).
const EVENT_INDEX: u64 = 1 << 29;
/// Messages 15 to 18 of the protocol. QEMU starts no card without the last one.
const PROTOCOL_FEATURES: u64 = 1 << 30;
/// The device is one of virtio 1.
const VERSION_1: u64 = 1 << 32;
/// What is offered.
const FEATURES: u64 = EVENT_INDEX | PROTOCOL_FEATURES | VERSION_1;
/// Frames of one machine before others have their turn.
const FRAMES_PER_TURN_MAX: usize = 256;

/// A network card.
#[derive(Debug)]
pub struct Card {
    memory: GuestMemoryMmap,
    regions: Vec<Region>,
    queues: [Queue; QUEUES],
    /// The guest's frame that is being read. It has a byte more than any frame that is passed on.
    frame: Box<[u8]>,
}

#[derive(Debug, Default)]
struct Queue {
    ring: Virtqueue,
    is_enabled: bool,
    is_started: bool,
    /// Signals the guest.
    call: Option<File>,
}

/// What is to be done after a message.
#[derive(Debug)]
pub enum Reaction {
    /// Nothing.
    None,
    /// This is to be sent.
    Reply(Vec<u8>),
    /// This file descriptor is to be listened at for kicks of a queue; without one, no longer.
    Listen(usize, Option<OwnedFd>),
}

/// Why a card can no longer be used.
#[derive(Debug)]
pub enum CardError {
    /// The VMM says something that is none.
    Message(MessageError),
    /// A queue is out of order.
    Queue(QueueError),
    /// This many file descriptors came with a message that has another number of them.
    Files(usize),
    /// The guest's memory cannot be used, for this reason.
    Memory(String),
    /// An address that is in no region of the guest's memory.
    Address(u64),
    /// A buffer for frames lacks this many bytes.
    Buffer(usize),
}

impl From<MessageError> for CardError {
    fn from(error: MessageError) -> Self {
        Self::Message(error)
    }
}

impl From<QueueError> for CardError {
    fn from(error: QueueError) -> Self {
        Self::Queue(error)
    }
}

impl From<vm_memory::GuestMemoryError> for CardError {
    fn from(error: vm_memory::GuestMemoryError) -> Self {
        Self::Queue(error.into())
    }
}

impl fmt::Display for CardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(error) => error.fmt(f),
            Self::Queue(error) => error.fmt(f),
            Self::Files(count) => write!(f, "a message with {count} file descriptors"),
            Self::Memory(why) => write!(f, "the guest's memory cannot be used: {why}"),
            Self::Address(address) => write!(f, "the address {address:#x} is in no memory of the guest"),
            Self::Buffer(bytes) => write!(f, "a buffer for a frame lacks {bytes} bytes"),
        }
    }
}

impl Default for Card {
    fn default() -> Self {
        let frame = vec![0; HEADER_BYTES + FRAME_BYTES_MAX + 1].into();
        Self { memory: GuestMemoryMmap::new(), regions: Vec::new(), queues: Default::default(), frame }
    }
}

impl Card {
    /// Carries out what the VMM orders, with the file descriptors that came with it.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn handle(
        &mut self,
        header: Header,
        payload: &[u8],
        files: Vec<OwnedFd>,
    ) -> Result<Reaction, CardError> {
        match header.message(payload)? {
            Message::GetFeatures => return Ok(Reaction::Reply(header.reply(&FEATURES.to_ne_bytes()))),
            Message::GetProtocolFeatures => return Ok(Reaction::Reply(header.reply(&[0; 8]))),
            Message::GetBase { queue } => return Ok(self.stop(header, queue)),
            Message::SetFile { wakes, queue, is_there } => {
                return self.set_file(wakes, queue, is_there, files);
            }
            Message::Noted => {}
            Message::SetFeatures(features) => self.set_features(features),
            Message::SetMemory(regions) => self.set_memory(regions, files)?,
            Message::SetSize { queue, size } => self.queues[queue].ring.set_size(size)?,
            Message::SetAreas { queue, areas } => self.set_areas(queue, areas)?,
            Message::SetBase { queue, base } => self.queues[queue].ring.set_base(base),
            Message::Enable { queue, enable } => self.queues[queue].is_enabled = enable,
        }
        Ok(Reaction::None)
    }

    /// Takes what the guest has sent; whether there is more.
    ///
    /// # Errors
    /// When its queue is out of order.
    pub fn receive(&mut self, mut take: impl FnMut(&[u8])) -> Result<bool, CardError> {
        let Self { memory, queues, frame, .. } = self;
        let queue = &mut queues[TRANSMIT];
        if !queue.is_running() {
            return Ok(false);
        }
        for _ in 0..FRAMES_PER_TURN_MAX {
            let Some(head) = queue.next(memory)? else {
                queue.publish(memory)?;
                return Ok(false);
            };
            let length = read(memory, &queue.ring, head, frame)?;
            // One that is longer than Ethernet has them is skipped.
            if (HEADER_BYTES..frame.len()).contains(&length) {
                take(&frame[HEADER_BYTES..length]);
            }
            queue.ring.push(memory, head, 0)?;
        }
        queue.publish(memory)?;
        Ok(true)
    }

    /// Gives the guest what waits for it, as far as it has buffers. What comes before its driver does is lost.
    ///
    /// # Errors
    /// When its queue is out of order.
    pub fn send(&mut self, waiting: &mut FrameQueue) -> Result<(), CardError> {
        let Self { memory, queues, .. } = self;
        let queue = &mut queues[RECEIVE];
        if !queue.is_running() {
            waiting.clear();
            return Ok(());
        }
        waiting.take(|frame| -> Result<bool, CardError> {
            let Some(head) = queue.next(memory)? else { return Ok(false) };
            write(memory, &queue.ring, head, frame)?;
            queue.ring.push(memory, head, (HEADER_BYTES + frame.len()) as u32)?;
            Ok(true)
        })?;
        queue.publish(memory)
    }

    fn set_features(&mut self, features: u64) {
        for queue in &mut self.queues {
            queue.ring.set_event_index(features & EVENT_INDEX != 0);
            // Without the messages for it, a queue need not be enabled.
            queue.is_enabled |= features & PROTOCOL_FEATURES == 0;
        }
    }

    fn set_memory(&mut self, regions: Vec<Region>, files: Vec<OwnedFd>) -> Result<(), CardError> {
        if regions.len() != files.len() {
            return Err(CardError::Files(files.len()));
        }
        let mut mapped = regions
            .iter()
            .zip(files)
            .map(|(region, file)| map(region, file.into()))
            .collect::<Result<Vec<_>, _>>()?;
        mapped.sort_by_key(vm_memory::GuestMemoryRegion::start_addr);
        self.memory = GuestMemoryMmap::from_regions(mapped).map_err(unusable)?;
        self.regions = regions;
        Ok(())
    }

    fn set_areas(&mut self, queue: usize, areas: [u64; 3]) -> Result<(), CardError> {
        let guest_address = |vmm| {
            self.regions.iter().find_map(|region| region.guest_address(vmm)).ok_or(CardError::Address(vmm))
        };
        let [descriptors, used, available] = areas;
        let areas = [guest_address(descriptors)?, guest_address(used)?, guest_address(available)?];
        self.queues[queue].ring.set_areas(areas);
        Ok(())
    }

    fn set_file(
        &mut self,
        wakes: Wakes,
        queue: usize,
        is_there: bool,
        mut files: Vec<OwnedFd>,
    ) -> Result<Reaction, CardError> {
        let file = files.pop();
        if file.is_some() != is_there || !files.is_empty() {
            return Err(CardError::Files(files.len() + usize::from(file.is_some())));
        }
        match wakes {
            Wakes::Device => {
                self.queues[queue].is_started = true;
                return Ok(Reaction::Listen(queue, file));
            }
            Wakes::Guest => self.queues[queue].call = file.map(File::from),
            Wakes::Vmm => {}
        }
        Ok(Reaction::None)
    }

    /// Stops a queue, and says where.
    fn stop(&mut self, header: Header, queue: usize) -> Reaction {
        let stopped = &mut self.queues[queue];
        stopped.is_started = false;
        stopped.call = None;
        let state = [queue as u32, u32::from(stopped.ring.base())].map(u32::to_ne_bytes);
        Reaction::Reply(header.reply(state.as_flattened()))
    }
}

impl Queue {
    fn is_running(&self) -> bool {
        self.is_enabled && self.is_started
    }

    /// The next chain. When there is none, the guest kicks once there is.
    fn next(&mut self, memory: &GuestMemoryMmap) -> Result<Option<u16>, QueueError> {
        match self.ring.pop(memory)? {
            None if self.ring.await_kick(memory)? => self.ring.pop(memory),
            head => Ok(head),
        }
    }

    fn publish(&mut self, memory: &GuestMemoryMmap) -> Result<(), CardError> {
        if self.ring.publish(memory)?
            && let Some(call) = &mut self.call
        {
            // Fails only where so many signals wait that one more says nothing (eventfd(2)).
            let _ = call.write(&1_u64.to_ne_bytes());
        }
        Ok(())
    }
}

fn unusable(error: impl fmt::Display) -> CardError {
    CardError::Memory(error.to_string())
}

/// Makes a region of the guest's memory this process's, too. An access beyond the end of its file would end this
/// process: the file must have the region, and keep it. QEMU seals its own against shrinking (memfd_create(2)).
fn map(region: &Region, file: File) -> Result<GuestRegionMmap, CardError> {
    let seals = fcntl_get_seals(&file).map_err(unusable)?;
    if !seals.contains(SealFlags::SHRINK) {
        return Err(unusable("it is not sealed against shrinking"));
    }
    let bytes = file.metadata().map_err(unusable)?.len();
    if region.offset.checked_add(region.size).is_none_or(|end| end > bytes) {
        return Err(unusable(format!("its file has {bytes} bytes, fewer than the region")));
    }
    let size = usize::try_from(region.size).map_err(unusable)?;
    let mapped = MmapRegion::from_file(FileOffset::new(file, region.offset), size).map_err(unusable)?;
    GuestRegionMmap::new(mapped, GuestAddress(region.guest)).ok_or(CardError::Address(region.guest))
}

/// Reads a chain of the guest's; its bytes, at most those of `buffer`.
fn read(
    memory: &GuestMemoryMmap,
    ring: &Virtqueue,
    head: u16,
    buffer: &mut [u8],
) -> Result<usize, CardError> {
    let mut length = 0;
    ring.chain(memory, head, |part| -> Result<(), CardError> {
        let end = buffer.len().min(length + part.length);
        if !part.is_writable {
            memory.read_slice(&mut buffer[length..end], part.address)?;
            length = end;
        }
        Ok(())
    })?;
    Ok(length)
}

/// Writes a header and a frame into a chain. The driver may have a part for each.
fn write(memory: &GuestMemoryMmap, ring: &Virtqueue, head: u16, frame: &[u8]) -> Result<(), CardError> {
    let mut left = [HEADER.as_slice(), frame];
    ring.chain(memory, head, |part| -> Result<(), CardError> {
        let (mut address, mut room) = (part.address, part.length);
        for piece in left.iter_mut().filter(|_| part.is_writable) {
            let (now, later) = piece.split_at(piece.len().min(room));
            memory.write_slice(now, address)?;
            (room, address.0, *piece) = (room - now.len(), address.0 + now.len() as u64, later);
        }
        Ok(())
    })?;
    let lacking: usize = left.iter().map(|piece| piece.len()).sum();
    if lacking == 0 { Ok(()) } else { Err(CardError::Buffer(lacking)) }
}
