//! Checksum offload: which part of the checksums behind IPv4's header a network card makes or vouches for, and how the
//! header before each packet says so.
//!
//! Between the machines of one host no wire can change a bit. So a checksum need not be made before a frame leaves the
//! host, and then whoever sends it out makes it. Until then its place holds a *partial checksum*: the sum of the
//! pseudo-header (RFC 9293 section 3.1), which whoever only adds up bytes could not know. The header is that of virtio
//! 1.2, sections 5.1.6.2 (sent) and 5.1.6.4 (received), which Linux's tap interfaces have, too.

/// Bytes of `virtio_net_hdr`, of a device with VIRTIO_F_VERSION_1 (section 5.1.6).
pub const NET_HEADER_BYTES: usize = 12;
/// The first byte's flags: VIRTIO_NET_HDR_F_NEEDS_CSUM and VIRTIO_NET_HDR_F_DATA_VALID.
const NEEDS_CHECKSUM: u8 = 1;
const DATA_VALID: u8 = 2;
/// Where `csum_start` and `csum_offset` are, the lower byte first.
const START: usize = 6;
const OFFSET: usize = 8;

/// A checksum that is still to be made: of all bytes from `start` to the end of the frame, to be put `offset` bytes
/// behind `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialChecksum {
    /// Where in the frame the summed bytes begin.
    pub start: u16,
    /// Where the sum's place is, counted from there.
    pub offset: u16,
}

/// What a device says about the checksum of a frame that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceivedChecksum {
    /// Nothing: it is to be verified.
    Unknown,
    /// The device has verified it.
    Verified,
    /// The frame has met no wire, and this was not made.
    Partial(PartialChecksum),
}

impl ReceivedChecksum {
    /// What the header of a packet says; no more than the device claims.
    pub fn of_header(header: &[u8; NET_HEADER_BYTES]) -> Self {
        let word = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        match header[0] {
            flags if flags & NEEDS_CHECKSUM != 0 => {
                Self::Partial(PartialChecksum { start: word(START), offset: word(OFFSET) })
            }
            flags if flags & DATA_VALID != 0 => Self::Verified,
            _ => Self::Unknown,
        }
    }

    /// Whether nobody has to verify the checksum that should be in this place. A header that tells of another place is
    /// not believed: a machine on the same bridge may have written it.
    pub(super) fn vouches_for(self, place: PartialChecksum) -> bool {
        match self {
            Self::Unknown => false,
            Self::Verified => true,
            Self::Partial(told) => told == place,
        }
    }
}

/// Writes the header of a packet that is to be sent: it asks for this, or for nothing.
pub fn write_header(header: &mut [u8; NET_HEADER_BYTES], partial: Option<PartialChecksum>) {
    header.fill(0);
    if let Some(PartialChecksum { start, offset }) = partial {
        header[0] = NEEDS_CHECKSUM;
        header[START..START + 2].copy_from_slice(&start.to_le_bytes());
        header[OFFSET..OFFSET + 2].copy_from_slice(&offset.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_TCP: PartialChecksum = PartialChecksum { start: 34, offset: 16 };

    #[test]
    fn a_header_is_as_the_standard_lays_it_out() {
        let mut header = [0xee; NET_HEADER_BYTES];
        write_header(&mut header, Some(OF_TCP));
        // flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, num_buffers
        assert_eq!(header, [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0]);
        assert_eq!(ReceivedChecksum::of_header(&header), ReceivedChecksum::Partial(OF_TCP));
        write_header(&mut header, None);
        assert_eq!(header, [0; NET_HEADER_BYTES], "what the last packet asked for is forgotten");
    }

    /// Unknown bits are ignored (section 5.1.6.4.2).
    #[test]
    fn only_two_flags_mean_anything_and_an_unmade_sum_comes_first() {
        for flags in 0..=u8::MAX {
            let header = [flags, 7, 7, 7, 7, 7, 0x34, 0x12, 0xff, 0xff, 7, 7];
            let partial = PartialChecksum { start: 0x1234, offset: 0xffff };
            let expected = match flags & 3 {
                0 => ReceivedChecksum::Unknown,
                2 => ReceivedChecksum::Verified,
                _ => ReceivedChecksum::Partial(partial),
            };
            assert_eq!(ReceivedChecksum::of_header(&header), expected, "{flags:#x}");
        }
    }

    #[test]
    fn a_header_vouches_for_no_other_place() {
        let partial = |start, offset| ReceivedChecksum::Partial(PartialChecksum { start, offset });
        assert!(partial(34, 16).vouches_for(OF_TCP) && ReceivedChecksum::Verified.vouches_for(OF_TCP));
        for other in [partial(34, 6), partial(38, 16), partial(0, 0), partial(u16::MAX, u16::MAX)] {
            assert!(!other.vouches_for(OF_TCP), "{other:?}");
        }
        assert!(!ReceivedChecksum::Unknown.vouches_for(OF_TCP));
    }
}
