//! The whole segment without its sockets: frames of stations and streams of the host come in, and outgoing data waits
//! in the fabric's queues and the relays' streams.

use wire::Instant;

use crate::capture::Capture;
use crate::fabric::Fabric;
use crate::gateway::{Gateway, Stream, TcpSegment};
use crate::layout::Layout;
use crate::respond;
use crate::switch::{Refusal, Verdict, classify};

/// Frames that were refused, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// With another sender than the station's own addresses.
    pub forged: u64,
    /// For lack of a rule.
    pub denied: u64,
    /// Of no protocol of this network.
    pub unknown: u64,
}

/// A segment, generic over the streams of the host.
pub struct Segment<S> {
    /// Who is there.
    pub layout: Layout,
    /// What waits for stations.
    pub fabric: Fabric,
    /// Relays between stations and the host.
    pub gateway: Gateway<S>,
    /// What was refused.
    pub refused: Refused,
}

/// Makes the stream to the server outside that a port of the gateway stands for, as the relay of this
/// index; none when there is no such server.
pub type Connect<'a, S> = &'a mut dyn FnMut(u16, usize) -> Option<S>;

impl<S: Stream> Segment<S> {
    /// A segment on which nobody is plugged in; `seed` must be unpredictable.
    pub fn new(layout: Layout, seed: u64, capture: Option<Capture>) -> Self {
        let mut fabric = Fabric::new(layout.stations().len(), seed, capture);
        let gateway = Gateway::new(&mut fabric, seed);
        Self { layout, fabric, gateway, refused: Refused::default() }
    }

    /// A turn begins.
    pub fn begin(&mut self, now: Instant) {
        self.fabric.now = now;
        self.fabric.faults.expire(now);
    }

    /// A station has sent a frame.
    pub fn receive(&mut self, from: usize, frame: &[u8], connect: Connect<'_, S>) {
        self.fabric.note_sent(frame);
        match classify(&self.layout, from, frame) {
            Verdict::Station(to) => self.fabric.carry(from, to, frame),
            Verdict::Relay { .. } if self.fabric.faults.is_bad(from, self.fabric.host()) => {
                let (host, now) = (self.fabric.host(), self.fabric.now);
                self.fabric.faults.pass(from, host, frame, now);
            }
            Verdict::Relay { station_port, own_port, opens } => {
                self.relay(TcpSegment { from, station_port, own_port, opens, frame }, connect);
            }
            Verdict::Answer(question) => {
                for answer in respond::answer(&self.layout, from, question) {
                    self.fabric.note_sent(&answer);
                    self.fabric.deliver(from, &answer);
                }
            }
            Verdict::Refused(refusal) => self.note_refused(refusal),
        }
    }

    /// Takes frames that were held back to where they go, and moves what relays have. Then queues want to
    /// be flushed. What relays send on a bad way that takes no time arrives in the next turn, at once.
    pub fn turn(&mut self, connect: Connect<'_, S>) {
        while let Some(arrival) = self.fabric.take_arrived() {
            if let Verdict::Relay { station_port, own_port, opens } =
                classify(&self.layout, arrival.from, &arrival.frame)
            {
                let from = arrival.from;
                self.relay(
                    TcpSegment { from, station_port, own_port, opens, frame: &arrival.frame },
                    connect,
                );
            }
        }
        self.gateway.pump(&mut self.fabric);
    }

    /// A station's machine is plugged in or gone.
    pub fn plug(&mut self, station: usize, plugged: bool) {
        self.fabric.plug(station, plugged);
        if !plugged {
            self.gateway.lose(station);
        }
    }

    /// When a turn must begin even if nothing comes.
    pub fn next_deadline(&self) -> Option<Instant> {
        Instant::earliest([self.gateway.next_deadline(), self.fabric.faults.next_deadline()])
    }

    fn relay(&mut self, segment: TcpSegment<'_>, connect: Connect<'_, S>) {
        self.gateway.receive(segment, &mut self.fabric, connect);
    }

    fn note_refused(&mut self, refusal: Refusal) {
        let count = match refusal {
            Refusal::Forged => &mut self.refused.forged,
            Refusal::Denied => &mut self.refused.denied,
            Refusal::Unknown => &mut self.refused.unknown,
        };
        *count += 1;
    }
}
