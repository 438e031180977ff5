//! One client's connection and that of an instance behind it: the bytes and ends of both directions, and what happens
//! when the instance is lost.
//!
//! Bytes that one side does not accept wait here, at most one buffer for each direction, and then the other side is not
//! read. It opens no stream itself, and does not choose the instance.

use std::io::{self, ErrorKind};
use std::mem;

use super::exchange::{Exchange, Rescue};
use crate::gateway::{News, Stream};

/// Bytes that are read at a time, and that wait in each direction at most.
pub const BUFFER_BYTES_MAX: usize = 16 * 1024;
/// How often what is sent on a connection is given to another instance in a row: a request that ends each instance
/// that gets it is not to end them all.
pub const REPEATS_MAX: u32 = 2;
/// Buffers that are moved each way before others get their turn.
const STEPS_MAX: usize = 8;

/// A client and its instance.
#[derive(Debug)]
pub struct Connection<S> {
    client: End<S>,
    instance: Option<(usize, End<S>)>,
    exchange: Exchange,
    to_instance: Vec<u8>,
    to_client: Vec<u8>,
    /// Whether it waits for an instance.
    wants_instance: bool,
    repeats: u32,
}

/// What follows after a connection was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It goes on when there is news.
    Open,
    /// It goes on at once.
    Busy,
    /// It wants an instance for a request that has just come.
    Requested,
    /// It still wants an instance.
    Wants,
    /// The instance has not taken the connection; another one is wanted at once.
    Refused(Gone),
    /// The instance is gone; the next request will want another one.
    Detached(Gone),
    /// The instance is gone, and another one is wanted at once.
    Repeated(Gone),
    /// The instance has ended what it sends, and the client is to end as well.
    Closing,
    /// It has ended.
    Over {
        /// Whether the client was told that something went wrong.
        is_lost: bool,
    },
}

/// An instance that has let its connection go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Its number.
    pub instance: usize,
    /// Whether it has not done what a healthy one would have done.
    pub has_failed: bool,
}

#[derive(Debug)]
struct End<S> {
    stream: S,
    is_connected: bool,
    readable: bool,
    writable: bool,
    /// The end of what comes is in sight: it takes another read, however short the last one was.
    closing: bool,
    /// It has ended what it sends.
    has_ended: bool,
    /// It has been told that the other side has.
    is_told: bool,
    /// It takes nothing more; what it has sent can still be read.
    is_deaf: bool,
}

/// What interrupts the moving of bytes.
enum Interruption {
    ClientLost,
    InstanceEnded,
    InstanceLost,
}

impl<S: Stream> End<S> {
    fn new(stream: S, is_connected: bool) -> Self {
        Self {
            stream,
            is_connected,
            readable: true,
            writable: true,
            closing: false,
            has_ended: false,
            is_told: false,
            is_deaf: false,
        }
    }

    fn note(&mut self, news: News) {
        self.readable |= news.readable;
        self.writable |= news.writable;
        self.closing |= news.closing;
    }

    /// Reads once; none when nothing has come.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.stream.read(buffer) {
            Ok(count) => {
                // epoll(7): a stream that gave less than it was asked for has no more, and tells when it has.
                self.readable = self.closing || count == buffer.len();
                Ok(Some(count))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(None)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes what it takes; gives how much that was.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while self.writable && written < bytes.len() {
            match self.stream.write(&bytes[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// Writes what waits; says whether something was written.
    fn flush(&mut self, waiting: &mut Vec<u8>) -> io::Result<bool> {
        let written = self.write(waiting)?;
        waiting.drain(..written);
        if waiting.is_empty() && written > 0 {
            // Few connections have something waiting, and not for long.
            *waiting = Vec::new();
        }
        Ok(written > 0)
    }

    /// Passes the other side's end on.
    fn tell_end(&mut self) -> io::Result<()> {
        self.is_told = true;
        self.stream.end_output()
    }
}

impl<S: Stream> Connection<S> {
    /// A client that has just come, and wants an instance.
    pub fn new(client: S) -> Self {
        Self {
            client: End::new(client, true),
            instance: None,
            exchange: Exchange::default(),
            to_instance: Vec::new(),
            to_client: Vec::new(),
            wants_instance: true,
            repeats: 0,
        }
    }

    /// Gives it an instance, whose stream may still be connecting.
    pub fn attach(&mut self, index: usize, stream: S) {
        self.instance = Some((index, End::new(stream, false)));
        self.wants_instance = false;
    }

    /// The instance that it has.
    pub fn instance(&self) -> Option<usize> {
        self.instance.as_ref().map(|(index, _)| *index)
    }

    /// Whether an instance takes what is sent, or the next request is still to come.
    pub fn is_settled(&self) -> bool {
        match &self.instance {
            None => !self.wants_instance,
            Some((_, end)) => end.is_connected,
        }
    }

    /// There is news of the client.
    pub fn note_client(&mut self, news: News) {
        self.client.note(news);
    }

    /// There is news of the instance.
    pub fn note_instance(&mut self, news: News) {
        if let Some((_, instance)) = &mut self.instance {
            instance.note(news);
        }
    }

    /// Nothing more will come from the instance than what has come.
    pub fn abandon_instance(&mut self) {
        match &mut self.instance {
            // It was sent nothing: another one gets all of it.
            Some((_, instance)) if !instance.is_connected => instance.is_deaf = true,
            Some(_) => drop(self.turn_deaf()),
            None => {}
        }
    }

    /// Has the client told that something went wrong; it is over.
    pub fn refuse(&mut self) {
        self.client.stream.reset_on_close();
    }

    /// Moves bytes both ways, and the ends; `buffer` is lent.
    pub fn pump(&mut self, buffer: &mut [u8]) -> Progress {
        match &mut self.instance {
            None if self.wants_instance => return Progress::Wants,
            None => return self.wait_for_request(buffer),
            Some((_, instance)) if !instance.is_connected && instance.is_deaf => return self.dial_failed(),
            Some((_, instance)) if !instance.is_connected => match instance.stream.is_connected() {
                Ok(true) => instance.is_connected = true,
                Ok(false) => return Progress::Open,
                Err(_) => return self.dial_failed(),
            },
            Some(_) => {}
        }
        for _ in 0..STEPS_MAX {
            match self.step(buffer) {
                Ok(true) => {}
                Ok(false) => return self.resting(),
                Err(Interruption::ClientLost) => return self.lose_client(),
                Err(interruption) => {
                    let is_reset = matches!(interruption, Interruption::InstanceLost);
                    if let Some(progress) = self.lose_instance(is_reset) {
                        return progress;
                    }
                }
            }
        }
        Progress::Busy
    }

    fn resting(&self) -> Progress {
        let Some((_, instance)) = &self.instance else { return Progress::Open };
        match (instance.has_ended && self.to_client.is_empty(), self.client.has_ended) {
            (true, true) => Progress::Over { is_lost: false },
            (true, false) => Progress::Closing,
            (false, _) => Progress::Open,
        }
    }

    /// Without an instance: what is left of the last answer goes out, and the next request is waited for.
    fn wait_for_request(&mut self, buffer: &mut [u8]) -> Progress {
        if self.client.flush(&mut self.to_client).is_err() {
            return Progress::Over { is_lost: false };
        }
        if !self.to_client.is_empty() || !self.client.readable {
            return Progress::Open;
        }
        match self.client.read(buffer) {
            Ok(None) => Progress::Open,
            Ok(Some(0)) | Err(_) => Progress::Over { is_lost: false },
            Ok(Some(count)) => {
                self.exchange.sent(&buffer[..count]);
                self.to_instance.extend_from_slice(&buffer[..count]);
                self.wants_instance = true;
                Progress::Requested
            }
        }
    }

    /// Moves a buffer each way; says whether something was moved.
    fn step(&mut self, buffer: &mut [u8]) -> Result<bool, Interruption> {
        // Answers first: an instance that has ended is noticed before anything is sent to it.
        let has_answered = self.move_to_client(buffer)?;
        Ok(self.move_to_instance(buffer)? || has_answered)
    }

    fn move_to_client(&mut self, buffer: &mut [u8]) -> Result<bool, Interruption> {
        let Some((_, instance)) = &mut self.instance else { return Ok(false) };
        let client_lost = |_| Interruption::ClientLost;
        let mut has_moved = self.client.flush(&mut self.to_client).map_err(client_lost)?;
        if !self.to_client.is_empty() {
            return Ok(has_moved);
        }
        if instance.readable && !instance.has_ended {
            match instance.read(buffer) {
                Ok(Some(0)) => return Err(Interruption::InstanceEnded),
                Ok(Some(count)) => {
                    self.exchange.answered(&buffer[..count]);
                    if !self.exchange.is_under_way() {
                        self.repeats = 0;
                    }
                    let written = self.client.write(&buffer[..count]).map_err(client_lost)?;
                    self.to_client.extend_from_slice(&buffer[written..count]);
                    has_moved = true;
                }
                // It takes nothing and says nothing.
                Ok(None) if instance.is_deaf => return Err(Interruption::InstanceLost),
                Ok(None) => {}
                Err(_) => return Err(Interruption::InstanceLost),
            }
        }
        if instance.has_ended && self.to_client.is_empty() && !self.client.is_told {
            self.client.tell_end().map_err(client_lost)?;
        }
        Ok(has_moved)
    }

    fn move_to_instance(&mut self, buffer: &mut [u8]) -> Result<bool, Interruption> {
        let Some((_, instance)) = &mut self.instance else { return Ok(false) };
        let mut has_moved = match instance.flush(&mut self.to_instance) {
            Ok(has_moved) => has_moved,
            Err(_) => return Ok(self.turn_deaf()),
        };
        if self.to_instance.is_empty() && self.client.readable && !self.client.has_ended && !instance.is_deaf
        {
            match self.client.read(buffer) {
                Ok(Some(0)) => self.client.has_ended = true,
                Ok(Some(count)) => {
                    self.exchange.sent(&buffer[..count]);
                    has_moved = true;
                    match instance.write(&buffer[..count]) {
                        Ok(written) => self.to_instance.extend_from_slice(&buffer[written..count]),
                        Err(_) => return Ok(self.turn_deaf()),
                    }
                }
                Ok(None) => {}
                Err(_) => return Err(Interruption::ClientLost),
            }
        }
        if self.client.has_ended && self.to_instance.is_empty() && !instance.is_told {
            // One that has gone is noticed when it is read.
            let _ = instance.tell_end();
        }
        Ok(has_moved)
    }

    /// The instance takes nothing more. What it has sent before is read first, and tells how it has ended.
    fn turn_deaf(&mut self) -> bool {
        self.to_instance.clear();
        let Some((_, instance)) = &mut self.instance else { return false };
        (instance.readable, instance.closing) = (true, true);
        !mem::replace(&mut instance.is_deaf, true)
    }

    fn lose_client(&mut self) -> Progress {
        if let Some((_, instance)) = &mut self.instance {
            instance.stream.reset_on_close();
        }
        Progress::Over { is_lost: false }
    }

    /// It was never connected, so nothing was sent: whatever waits can go to another one.
    fn dial_failed(&mut self) -> Progress {
        let Some((index, _)) = self.instance.take() else { return Progress::Wants };
        self.wants_instance = true;
        Progress::Refused(Gone { instance: index, has_failed: true })
    }

    /// The instance has ended the connection; none when that was passed on to the client.
    fn lose_instance(&mut self, is_reset: bool) -> Option<Progress> {
        let rescue = match self.exchange.rescue() {
            Rescue::Repeat if self.repeats >= REPEATS_MAX => Rescue::None,
            Rescue::Detach if self.client.has_ended => return Some(Progress::Over { is_lost: false }),
            rescue => rescue,
        };
        let (index, instance) = self.instance.as_mut()?;
        let index = *index;
        match rescue {
            Rescue::Detach => {
                self.instance = None;
                let has_failed = !self.exchange.has_answered();
                Some(Progress::Detached(Gone { instance: index, has_failed }))
            }
            Rescue::Repeat => {
                self.instance = None;
                self.to_instance = self.exchange.kept().to_vec();
                (self.repeats, self.wants_instance) = (self.repeats + 1, true);
                Some(Progress::Repeated(Gone { instance: index, has_failed: true }))
            }
            Rescue::None if is_reset || self.exchange.is_under_way() => {
                self.refuse();
                Some(Progress::Over { is_lost: true })
            }
            Rescue::None => {
                instance.has_ended = true;
                None
            }
        }
    }
}
