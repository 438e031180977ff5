//! The messages of the vhost-user protocol (QEMU, `docs/interop/vhost-user.rst`) that a network card needs: in which
//! memory its queues are, and by which file descriptors a VMM and this process wake each other.
//!
//! Bytes come in and go out; the file descriptors beside them are the caller's. Numbers are in the order of the host.

use std::fmt;

/// Bytes before each message's payload: request, flags, length.
pub const HEADER_BYTES: usize = 12;
/// Regions of memory that a machine may have, and file descriptors of a message.
pub const REGIONS_MAX: usize = 8;
/// Bytes of a region in a table of memory.
const REGION_BYTES: usize = 32;
/// The longest payload is a table of memory.
pub const PAYLOAD_BYTES_MAX: usize = 8 + REGIONS_MAX * REGION_BYTES;
/// Version of the protocol, in the flags' lowest two bits.
const VERSION: u32 = 1;
const VERSION_MASK: u32 = 0b11;
/// A message answers another one.
const FLAG_REPLY: u32 = 1 << 2;
/// In a message with a file descriptor: its queue's number; and that there is no descriptor.
const QUEUE_MASK: u64 = 0xff;
const WITHOUT_FILE: u64 = 1 << 8;

/// What a VMM orders or asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Which features the card offers.
    GetFeatures,
    /// Those that the guest's driver uses.
    SetFeatures(u64),
    /// Which features of the protocol there are.
    GetProtocolFeatures,
    /// Those that are used. Also the claim of ownership and its end, which mean nothing to a process with one VMM for
    /// each socket.
    Noted,
    /// The guest's memory; a file descriptor for each region.
    SetMemory(Vec<Region>),
    /// How many descriptors a queue has.
    SetSize {
        /// Number of the queue.
        queue: usize,
        /// Descriptors.
        size: u32,
    },
    /// Where a queue's three areas are, as addresses of the VMM.
    SetAreas {
        /// Number of the queue.
        queue: usize,
        /// Descriptors, used ring, available ring.
        areas: [u64; 3],
    },
    /// Up to which available entry a queue was used before.
    SetBase {
        /// Number of the queue.
        queue: usize,
        /// The next entry's number.
        base: u16,
    },
    /// Stops a queue, and asks up to which entry it was used.
    GetBase {
        /// Number of the queue.
        queue: usize,
    },
    /// A file descriptor of a queue, if there is one.
    SetFile {
        /// What it is for.
        wakes: Wakes,
        /// Number of the queue.
        queue: usize,
        /// Whether a file descriptor comes with the message.
        is_there: bool,
    },
    /// Whether a queue may be used.
    Enable {
        /// Number of the queue.
        queue: usize,
        /// It may.
        enable: bool,
    },
}

/// Whom a write to a file descriptor wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakes {
    /// This process: the guest has filled a queue ("kick").
    Device,
    /// The guest: this process has used buffers of a queue ("call").
    Guest,
    /// The VMM: a queue is broken. Nobody is told: the connection ends then.
    Vmm,
}

/// A part of a guest's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Where the guest has it.
    pub guest: u64,
    /// Bytes.
    pub size: u64,
    /// Where the VMM has it.
    pub vmm: u64,
    /// Where it begins in its file.
    pub offset: u64,
}

impl Region {
    /// The guest's address for one of the VMM's, if it is in this region.
    pub fn guest_address(&self, vmm: u64) -> Option<u64> {
        let offset = vmm.checked_sub(self.vmm).filter(|offset| *offset < self.size)?;
        self.guest.checked_add(offset)
    }
}

/// The start of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which message it is.
    pub request: u32,
    /// Bytes that follow.
    pub payload_bytes: usize,
}

/// A message that cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageError {
    /// Of another version, or an answer where nothing was asked.
    Flags(u32),
    /// More bytes than any message has.
    Long(u32),
    /// One that no network card of ours has offered to take.
    Unknown(u32),
    /// With another number of bytes than this request has.
    Payload(u32, usize),
    /// With a number that cannot be: of a queue, an entry or a region.
    Value(u32, u64),
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flags(flags) => write!(f, "a message with the flags {flags:#x}"),
            Self::Long(bytes) => write!(f, "a message of {bytes} bytes, more than {PAYLOAD_BYTES_MAX}"),
            Self::Unknown(request) => write!(f, "request {request}, which was not offered"),
            Self::Payload(request, bytes) => write!(f, "request {request} with {bytes} bytes"),
            Self::Value(request, value) => write!(f, "request {request} with the value {value:#x}"),
        }
    }
}

impl Header {
    /// Reads it.
    ///
    /// # Errors
    /// When it is no start of a message to a device.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, MessageError> {
        let [request, flags, payload] = numbers(bytes).ok_or(MessageError::Flags(0))?;
        if flags & VERSION_MASK != VERSION || flags & FLAG_REPLY != 0 {
            return Err(MessageError::Flags(flags));
        }
        let payload_bytes = payload as usize;
        if payload_bytes > PAYLOAD_BYTES_MAX {
            return Err(MessageError::Long(payload));
        }
        Ok(Self { request, payload_bytes })
    }

    /// Reads what follows it.
    ///
    /// # Errors
    /// When this request has no such payload, or there is no such request.
    pub fn message(self, payload: &[u8]) -> Result<Message, MessageError> {
        let number = || one(payload).ok_or(self.payload(payload));
        Ok(match self.request {
            1 => Message::GetFeatures,
            2 => Message::SetFeatures(number()?),
            // The claim of ownership and its end, and features of the protocol, of which none was offered.
            3 | 4 | 16 => Message::Noted,
            5 => Message::SetMemory(self.regions(payload)?),
            8 => self.state(payload).map(|(queue, size)| Message::SetSize { queue, size })?,
            9 => self.areas(payload)?,
            10 => {
                let (queue, base) = self.state(payload)?;
                let base = u16::try_from(base).map_err(|_| self.value(base))?;
                Message::SetBase { queue, base }
            }
            11 => self.state(payload).map(|(queue, _)| Message::GetBase { queue })?,
            12 => self.file(Wakes::Device, number()?)?,
            13 => self.file(Wakes::Guest, number()?)?,
            14 => self.file(Wakes::Vmm, number()?)?,
            15 => Message::GetProtocolFeatures,
            18 => self.state(payload).map(|(queue, on)| Message::Enable { queue, enable: on != 0 })?,
            request => return Err(MessageError::Unknown(request)),
        })
    }

    /// The bytes that answer this request.
    pub fn reply(self, payload: &[u8]) -> Vec<u8> {
        let header = [self.request, VERSION | FLAG_REPLY, payload.len() as u32];
        header.into_iter().flat_map(u32::to_ne_bytes).chain(payload.iter().copied()).collect()
    }

    fn payload(self, payload: &[u8]) -> MessageError {
        MessageError::Payload(self.request, payload.len())
    }

    fn value(self, value: impl Into<u64>) -> MessageError {
        MessageError::Value(self.request, value.into())
    }

    fn queue(self, number: impl Into<u64>) -> Result<usize, MessageError> {
        let number = number.into();
        usize::try_from(number).ok().filter(|queue| *queue < super::QUEUES).ok_or(self.value(number))
    }

    /// A queue, and a number about it.
    fn state(self, payload: &[u8]) -> Result<(usize, u32), MessageError> {
        let [queue, number] = numbers(payload).ok_or(self.payload(payload))?;
        Ok((self.queue(queue)?, number))
    }

    fn file(self, wakes: Wakes, number: u64) -> Result<Message, MessageError> {
        let queue = self.queue(number & QUEUE_MASK)?;
        Ok(Message::SetFile { wakes, queue, is_there: number & WITHOUT_FILE == 0 })
    }

    /// Queue, flags (of a log that was not offered), then the areas; last the log's address.
    fn areas(self, payload: &[u8]) -> Result<Message, MessageError> {
        let (state, areas) = payload.split_at_checked(8).ok_or(self.payload(payload))?;
        let (queue, _) = self.state(state)?;
        let [descriptors, used, available, _] = longs(areas).ok_or(self.payload(payload))?;
        Ok(Message::SetAreas { queue, areas: [descriptors, used, available] })
    }

    /// Their number, four bytes of nothing, then the regions.
    fn regions(self, payload: &[u8]) -> Result<Vec<Region>, MessageError> {
        let (count, regions) = payload.split_at_checked(8).ok_or(self.payload(payload))?;
        let [count, _] = numbers(count).ok_or(self.payload(payload))?;
        // An array of chunks: whole ones only.
        let (regions, rest) = regions.as_chunks::<REGION_BYTES>();
        if regions.len() != count as usize || !rest.is_empty() {
            return Err(self.value(count));
        }
        let region = |bytes: &[u8; REGION_BYTES]| {
            longs(bytes).map(|[guest, size, vmm, offset]| Region { guest, size, vmm, offset })
        };
        regions.iter().map(region).collect::<Option<Vec<Region>>>().ok_or(self.payload(payload))
    }
}

/// A payload that is one number.
fn one(payload: &[u8]) -> Option<u64> {
    longs(payload).map(|[number]| number)
}

/// So many numbers of four bytes, and nothing else.
fn numbers<const COUNT: usize>(bytes: &[u8]) -> Option<[u32; COUNT]> {
    let (chunks, rest) = bytes.as_chunks();
    let chunks: &[[u8; 4]; COUNT] = chunks.try_into().ok().filter(|_| rest.is_empty())?;
    Some(chunks.map(u32::from_ne_bytes))
}

/// So many numbers of eight bytes, and nothing else.
fn longs<const COUNT: usize>(bytes: &[u8]) -> Option<[u64; COUNT]> {
    let (chunks, rest) = bytes.as_chunks();
    let chunks: &[[u8; 8]; COUNT] = chunks.try_into().ok().filter(|_| rest.is_empty())?;
    Some(chunks.map(u64::from_ne_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(request: u32, payload: &[u8]) -> Result<Message, MessageError> {
        Header { request, payload_bytes: payload.len() }.message(payload)
    }

    fn bytes(numbers: &[u64]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
    }

    /// Two numbers of four bytes.
    fn state(queue: u32, number: u32) -> Vec<u8> {
        [queue, number].into_iter().flat_map(u32::to_ne_bytes).collect()
    }

    fn header(request: u32, flags: u32, payload: u32) -> Result<Header, MessageError> {
        let bytes: Vec<u8> = [request, flags, payload].into_iter().flat_map(u32::to_ne_bytes).collect();
        Header::parse(bytes.as_slice().try_into().expect("a header"))
    }

    #[test]
    fn a_header_tells_request_and_length() {
        assert_eq!(header(5, 1, 40), Ok(Header { request: 5, payload_bytes: 40 }));
        // A VMM may ask for an acknowledgement, which was not offered.
        assert_eq!(header(5, 9, 0), Ok(Header { request: 5, payload_bytes: 0 }));
        assert_eq!(header(5, 2, 0), Err(MessageError::Flags(2)));
        assert_eq!(header(5, 5, 0), Err(MessageError::Flags(5)), "an answer");
        assert_eq!(header(5, 1, 265), Err(MessageError::Long(265)));
    }

    #[test]
    fn memory_is_a_table_of_regions() {
        let mut table = state(2, 0);
        table.extend(bytes(&[0, 0xa_0000, 0x7f00_0000, 0, 0x10_0000, 0x100, 0x7f10_0000, 0x10_0000]));
        let Ok(Message::SetMemory(regions)) = parse(5, &table) else { panic!("a table") };
        assert_eq!(regions[1], Region { guest: 0x10_0000, size: 0x100, vmm: 0x7f10_0000, offset: 0x10_0000 });
        assert_eq!(regions[1].guest_address(0x7f10_00ff), Some(0x10_00ff));
        assert_eq!(
            (regions[1].guest_address(0x7f10_0100), regions[1].guest_address(0x7f0f_ffff)),
            (None, None)
        );
        assert_eq!(parse(5, &table[..table.len() - 1]), Err(MessageError::Value(5, 2)));
        assert_eq!(parse(5, &table[..7]), Err(MessageError::Payload(5, 7)));
        let last = Region { guest: u64::MAX, size: 2, vmm: 0, offset: 0 };
        assert_eq!(last.guest_address(1), None, "beyond all addresses");
    }

    #[test]
    fn queues_are_described_by_their_number() {
        assert_eq!(parse(8, &state(1, 256)), Ok(Message::SetSize { queue: 1, size: 256 }));
        assert_eq!(parse(10, &state(0, 7)), Ok(Message::SetBase { queue: 0, base: 7 }));
        assert_eq!(parse(11, &state(1, 0)), Ok(Message::GetBase { queue: 1 }));
        assert_eq!(parse(18, &state(1, 1)), Ok(Message::Enable { queue: 1, enable: true }));
        let mut areas = state(1, 0);
        areas.extend(bytes(&[1, 2, 3, 4]));
        assert_eq!(parse(9, &areas), Ok(Message::SetAreas { queue: 1, areas: [1, 2, 3] }));
        assert_eq!(parse(8, &state(2, 256)), Err(MessageError::Value(8, 2)), "a card has two queues");
        assert_eq!(parse(10, &state(0, 1 << 16)), Err(MessageError::Value(10, 1 << 16)));
    }

    #[test]
    fn files_come_beside_the_message_or_not() {
        let file = |wakes, queue, is_there| Ok(Message::SetFile { wakes, queue, is_there });
        assert_eq!(parse(12, &bytes(&[1])), file(Wakes::Device, 1, true));
        assert_eq!(parse(13, &bytes(&[0x100])), file(Wakes::Guest, 0, false));
        assert_eq!(parse(14, &bytes(&[2])), Err(MessageError::Value(14, 2)));
        assert_eq!(parse(6, &[]), Err(MessageError::Unknown(6)));
    }

    #[test]
    fn an_answer_has_the_request_s_number() {
        let reply = Header { request: 1, payload_bytes: 0 }.reply(&7_u64.to_ne_bytes());
        assert_eq!(numbers::<5>(&reply), Some([1, 5, 8, 7, 0]));
    }
}
