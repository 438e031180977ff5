//! The first two segments of a connection that the other side begins: its SYN, and our answer.

use super::super::{MIN_REMOTE_MSS, Socket, State, Tuple};
use super::frame::{ACK, DATA_OFFSET, ETHERNET_BYTES, HEADERS_BYTES, ROUTE_BYTES, SYN, ends, u16_at, u32_at};
use super::{Egress, Outgoing, Route};
use crate::time::Instant;
use crate::wire::{IPV4_HEADER_LEN, IpEndpoint, TCP_HEADER_LEN, TcpSeqNumber};

/// The largest window scale (RFC 7323 section 2.3).
const WINDOW_SCALE_MAX: u8 = 14;
/// Bytes of the options that an answer has at most: segment size, window scale, leave for SACK, and zeros behind them.
const OPTIONS_BYTES: usize = 12;

/// A SYN that is only that, with options that everybody knows. Its checksums are not looked at.
#[derive(Clone, Copy, Debug)]
pub struct Syn {
    source: IpEndpoint,
    destination: IpEndpoint,
    number: TcpSeqNumber,
    window: u16,
    options: Options,
}

/// What its options say (RFC 9293 section 3.2, RFC 7323, RFC 2018).
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    segment_bytes: Option<u16>,
    window_scale: Option<u8>,
    permits_sack: bool,
    /// The other side's clock.
    timestamp: Option<u32>,
}

impl Syn {
    /// That of a frame for the hardware that sends along this route, from the other end of it; none unless all of it is
    /// ordinary.
    pub fn of_frame(frame: &[u8], route: &Route) -> Option<Self> {
        let headers = frame.first_chunk::<HEADERS_BYTES>()?;
        let segment_bytes = usize::from(u16_at(headers, 16)).checked_sub(ROUTE_BYTES - ETHERNET_BYTES)?;
        let is_alone = usize::from(headers[46] >> 4) * 4 == segment_bytes && headers[46] & 0x0f == 0;
        if !route.leads_back(headers) || headers[47] != SYN || !is_alone {
            return None;
        }
        let options = frame.get(HEADERS_BYTES..ROUTE_BYTES + segment_bytes)?;
        let (source, destination) = ends(headers);
        Some(Self {
            source,
            destination,
            number: TcpSeqNumber(u32_at(headers, 38).cast_signed()),
            window: u16_at(headers, 48),
            options: Options::read(options)?,
        })
        .filter(|syn| syn.source.port != 0)
    }
}

impl Options {
    fn read(mut bytes: &[u8]) -> Option<Self> {
        let mut options = Self::default();
        loop {
            bytes = match *bytes {
                [] | [0, ..] => return Some(options),
                [1, ref rest @ ..] => rest,
                [2, 4, high, low, ref rest @ ..] => {
                    options.segment_bytes = Some(u16::from_be_bytes([high, low]));
                    rest
                }
                [3, 3, scale, ref rest @ ..] => {
                    options.window_scale = Some(scale.min(WINDOW_SCALE_MAX));
                    rest
                }
                [4, 2, ref rest @ ..] => {
                    options.permits_sack = true;
                    rest
                }
                [8, 10, a, b, c, d, _, _, _, _, ref rest @ ..] => {
                    options.timestamp = Some(u32::from_be_bytes([a, b, c, d]));
                    rest
                }
                _ => return None,
            }
        }
    }
}

impl Socket<'_> {
    /// Takes the SYN of a connection, as smoltcp's `process` would, if this socket listens for it; our numbers begin
    /// with `number`. Or changes nothing, and is false.
    pub fn receive_syn_predicted(&mut self, syn: &Syn, number: u32, now: Instant) -> bool {
        let endpoint = self.listen_endpoint;
        let is_awaited = self.state == State::Listen
            && self.tuple.is_none()
            && endpoint.port == syn.destination.port
            && endpoint.addr.is_none_or(|address| address == syn.destination.addr);
        if is_awaited {
            self.apply_syn(syn, TcpSeqNumber(number.cast_signed()), now);
        }
        is_awaited
    }

    /// In `process`'s order.
    fn apply_syn(&mut self, syn: &Syn, number: TcpSeqNumber, now: Instant) {
        if let Some(bytes) = syn.options.segment_bytes.filter(|bytes| *bytes != 0) {
            self.remote_mss = usize::from(bytes).max(MIN_REMOTE_MSS);
        }
        self.tuple = Some(Tuple { local: syn.destination, remote: syn.source });
        self.local_seq_no = number;
        self.remote_seq_no = syn.number + 1;
        self.remote_last_seq = number;
        self.remote_has_sack = syn.options.permits_sack;
        self.remote_win_scale = syn.options.window_scale;
        if self.remote_win_scale.is_none() {
            self.remote_win_shift = 0;
        }
        match syn.options.timestamp {
            None => self.tsval_generator = None,
            Some(timestamp) => self.last_remote_tsval = timestamp,
        }
        self.set_state(State::SynReceived);
        self.remote_last_ts = Some(now);
        self.remote_win_len = usize::from(syn.window);
        self.timer.set_for_idle(now, self.keep_alive);
    }

    /// Answers a SYN along this route, as smoltcp's `dispatch` would.
    pub(super) fn answer_syn(
        &mut self,
        (route, source_port, destination_port): (&Route, u16, u16),
        mtu: usize,
        now: Instant,
        transmit: impl FnOnce(&Outgoing<'_>),
    ) -> Egress {
        let is_first = self.remote_last_seq == self.local_seq_no;
        if !is_first || !self.is_on_time(now) {
            return Egress::Unusual;
        }
        let mut space = [0; OPTIONS_BYTES];
        let options = self.own_options(mtu - IPV4_HEADER_LEN - TCP_HEADER_LEN, &mut space);
        // That of a SYN is not scaled.
        let window = u16::try_from(self.rx_buffer.window()).unwrap_or(u16::MAX);
        let acknowledged = self.remote_seq_no + self.rx_buffer.len();
        transmit(&Outgoing {
            route,
            source_port,
            destination_port,
            number: self.local_seq_no,
            acknowledged,
            window,
            data_offset: DATA_OFFSET + ((options.len() as u8 / 4) << 4),
            flags: SYN | ACK,
            content: options,
        });
        self.note_sent(1, now);
        self.remote_last_win = window;
        Egress::Sent
    }

    /// The options of our answer, in words of four bytes.
    fn own_options<'a>(&self, segment_bytes: usize, space: &'a mut [u8; OPTIONS_BYTES]) -> &'a [u8] {
        let [high, low] = (segment_bytes as u16).to_be_bytes();
        space[..4].copy_from_slice(&[2, 4, high, low]);
        let mut end = 4;
        if self.remote_win_scale.is_some() {
            space[end..end + 3].copy_from_slice(&[3, 3, self.remote_win_shift]);
            end += 3;
        }
        if self.remote_has_sack {
            space[end..end + 2].copy_from_slice(&[4, 2]);
            end += 2;
        }
        &space[..end.next_multiple_of(4)]
    }
}
