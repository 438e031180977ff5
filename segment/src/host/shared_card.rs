//! A connection on which a VMM orders what is done with the queues that it shares, and those queues' kicks.

use std::io::{self, ErrorKind, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::net::UnixStream;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::queue::FrameQueue;
use crate::vhost_user::message::{HEADER_BYTES, Header, PAYLOAD_BYTES_MAX, REGIONS_MAX};
use crate::vhost_user::{Card, CardError, QUEUES, Reaction};

/// Room for the file descriptors of one message.
const FILES_BYTES: usize = rustix::cmsg_space!(ScmRights(REGIONS_MAX));

/// A card, and the connection to its VMM.
#[derive(Debug)]
pub struct SharedCard {
    stream: UnixStream,
    card: Card,
    /// The message that is coming, so many bytes of it, and the file descriptors that came with it.
    message: [u8; HEADER_BYTES + PAYLOAD_BYTES_MAX],
    filled: usize,
    files: Vec<OwnedFd>,
    /// Eventfds that the guest writes to. They are never read: each write is an event (epoll(7), edge-triggered).
    kicks: [Option<OwnedFd>; QUEUES],
    token: Token,
    /// There may be orders to read.
    pub has_orders: bool,
}

impl SharedCard {
    /// A card whose kicks come under `token` and the following ones.
    pub fn new(stream: UnixStream, token: Token) -> Self {
        Self {
            stream,
            card: Card::default(),
            message: [0; HEADER_BYTES + PAYLOAD_BYTES_MAX],
            filled: 0,
            files: Vec::new(),
            kicks: [const { None }; QUEUES],
            token,
            has_orders: true,
        }
    }

    /// Carries out orders, then reads frames and hands them on; whether there may be more.
    pub fn read(&mut self, registry: &Registry, take: impl FnMut(&[u8])) -> io::Result<bool> {
        if self.has_orders {
            self.obey(registry)?;
        }
        self.card.receive(take).map_err(invalid)
    }

    /// Sends what waits, as far as the guest has buffers.
    pub fn flush(&mut self, queue: &mut FrameQueue) -> io::Result<()> {
        self.card.send(queue).map_err(invalid)
    }

    /// Listens at no queue any more. Closing alone would not do: the VMM has the same eventfds.
    pub fn stop(&mut self, registry: &Registry) {
        (0..QUEUES).for_each(|queue| self.listen(registry, queue, None).unwrap_or_default());
    }

    fn obey(&mut self, registry: &Registry) -> io::Result<()> {
        while self.fill()? {
            let (header, payload) = self.message[..self.filled].split_at(HEADER_BYTES);
            let header = Header::parse(header.as_array().unwrap_or(&[0; HEADER_BYTES])).map_err(invalid)?;
            let reaction =
                self.card.handle(header, payload, std::mem::take(&mut self.files)).map_err(invalid)?;
            self.filled = 0;
            match reaction {
                Reaction::None => {}
                // A VMM waits for its answer: there is room for it.
                Reaction::Reply(bytes) => self.stream.write_all(&bytes)?,
                Reaction::Listen(queue, kick) => self.listen(registry, queue, kick)?,
            }
        }
        self.has_orders = false;
        Ok(())
    }

    /// Reads until a message is whole; false when the rest of it has not come yet. It reads no further, or file
    /// descriptors of the next message would come with this one.
    fn fill(&mut self) -> io::Result<bool> {
        loop {
            let wanted = match self.message.first_chunk() {
                Some(header) if self.filled >= HEADER_BYTES => {
                    HEADER_BYTES + Header::parse(header).map_err(invalid)?.payload_bytes
                }
                _ => HEADER_BYTES,
            };
            if self.filled == wanted {
                return Ok(true);
            }
            match receive(&self.stream, &mut self.message[self.filled..wanted], &mut self.files) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn listen(&mut self, registry: &Registry, queue: usize, kick: Option<OwnedFd>) -> io::Result<()> {
        if let Some(old) = self.kicks[queue].take() {
            registry.deregister(&mut SourceFd(&old.as_raw_fd()))?;
        }
        if let Some(kick) = &kick {
            let token = Token(self.token.0 + queue);
            registry.register(&mut SourceFd(&kick.as_raw_fd()), token, Interest::READABLE)?;
        }
        self.kicks[queue] = kick;
        Ok(())
    }
}

fn invalid(error: impl Into<CardError>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error.into().to_string())
}

/// Reads bytes, and the file descriptors that come with them.
fn receive(stream: &UnixStream, bytes: &mut [u8], files: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); FILES_BYTES];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(stream, &mut [IoSliceMut::new(bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            files.extend(rights);
        }
    }
    Ok(received)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{IoSlice, Read as _};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream as Vmm;

    use mio::Poll;
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::fs::SealFlags;
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::*;
    use crate::vhost_user::TRANSMIT;
    use crate::vhost_user::driver::{BUFFERS, Driver, memory, message, set_up};

    fn send(vmm: &Vmm, bytes: &[u8], files: &[OwnedFd]) {
        let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); FILES_BYTES];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(files.is_empty() || control.push(SendAncillaryMessage::ScmRights(&files)));
        let sent = sendmsg(vmm, &[IoSlice::new(bytes)], &mut control, SendFlags::empty());
        assert_eq!(sent, Ok(bytes.len()));
    }

    /// A card whose VMM is the test.
    struct Setup {
        poll: Poll,
        card: SharedCard,
        vmm: Vmm,
        memory: File,
    }

    impl Setup {
        fn new() -> Self {
            let (vmm, own) = Vmm::pair().expect("a connection");
            own.set_nonblocking(true).expect("a socket");
            let card = SharedCard::new(UnixStream::from_std(own), Token(10));
            Self { poll: Poll::new().expect("epoll"), card, vmm, memory: memory(SealFlags::SHRINK) }
        }

        /// The frames that come, or why there will be none any more.
        fn read(&mut self) -> Result<Vec<Vec<u8>>, String> {
            let mut frames = Vec::new();
            self.card.has_orders = true;
            let outcome = self.card.read(self.poll.registry(), |frame| frames.push(frame.to_vec()));
            outcome.map(|_| frames).map_err(|error| error.to_string())
        }
    }

    #[test]
    fn orders_come_in_pieces_and_one_after_the_other_with_their_files() {
        for piece in [1, 5, 1_000] {
            let mut setup = Setup::new();
            let call = eventfd(0, EventfdFlags::NONBLOCK).expect("an eventfd");
            for (message, files) in set_up(&setup.memory, 1 << 32, &call) {
                // File descriptors come with the first byte.
                for (at, bytes) in message.chunks(piece).enumerate() {
                    send(&setup.vmm, bytes, if at == 0 { &files } else { &[] });
                    assert_eq!(setup.read(), Ok(vec![]));
                }
            }
            let memory = setup.memory.try_clone().expect("memory");
            let mut driver = Driver::new(&memory, TRANSMIT);
            driver.write(BUFFERS + 12, b"frame");
            driver.describe(0, BUFFERS, 17, 0, 0);
            driver.offer(0);
            assert_eq!(setup.read(), Ok(vec![b"frame".to_vec()]), "{piece}");
            assert!(setup.card.kicks.iter().all(Option::is_some));
            setup.card.stop(setup.poll.registry());
            assert!(setup.card.kicks.iter().all(Option::is_none));
        }
    }

    #[test]
    fn a_kick_is_an_event_each_time_though_nobody_reads_it() {
        let mut setup = Setup::new();
        let call = eventfd(0, EventfdFlags::NONBLOCK).expect("an eventfd");
        let mut kick = None;
        for (message, files) in set_up(&setup.memory, 1 << 32, &call) {
            if message[0] == 12 {
                kick = files.first().map(|file| File::from(file.try_clone().expect("a file descriptor")));
            }
            send(&setup.vmm, &message, &files);
        }
        setup.read().expect("a good VMM");
        let (mut kick, mut events) = (kick.expect("a kick"), mio::Events::with_capacity(4));
        for _ in 0..2 {
            kick.write_all(&1_u64.to_ne_bytes()).expect("a kick");
            setup.poll.poll(&mut events, Some(std::time::Duration::from_secs(10))).expect("epoll");
            let tokens: Vec<_> = events.iter().map(|event| event.token()).collect();
            assert_eq!(tokens, [Token(10 + TRANSMIT)]);
        }
    }

    #[test]
    fn questions_are_answered_and_a_vmm_that_has_gone_or_errs_is_let_go() {
        let mut setup = Setup::new();
        send(&setup.vmm, &message(1, &[]), &[]);
        assert_eq!(setup.read(), Ok(vec![]));
        let mut answer = [0; 20];
        setup.vmm.read_exact(&mut answer).expect("an answer");
        assert_eq!(answer[..12], [1, 0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0]);
        send(&setup.vmm, &message(99, &[]), &[]);
        assert_eq!(setup.read(), Err("request 99, which was not offered".to_owned()));
        let mut setup = Setup::new();
        setup.vmm.shutdown(std::net::Shutdown::Both).expect("a connection");
        assert_eq!(setup.read(), Err("unexpected end of file".to_owned()));
    }
}
