//! Cases played over the kernel's sockets, many at once on one thread.
//!
//! Between two pieces of one case, every other connection has its turn, so they rarely arrive as one.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use super::play::{Action, End, Play};

/// Connections at the same time.
const AT_ONCE_MAX: usize = 96;
/// How long a client waits for what should come, the end of the least wait of a request that stays unfinished too.
const PATIENCE: Duration = Duration::from_secs(15);
/// A round takes at least this long: pieces that follow each other at once would arrive together.
const ROUND: Duration = Duration::from_millis(1);
/// A server without room for connections is asked again for this long.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A case under way.
struct Client<'a> {
    play: Play<'a>,
    stream: TcpStream,
    unsent: Vec<u8>,
    last_news: Instant,
}

/// Plays all of them against the server at `address`.
pub fn run<'a>(address: SocketAddrV4, plays: Vec<Play<'a>>) -> Vec<Play<'a>> {
    let mut waiting = plays.into_iter();
    let (mut clients, mut done): (Vec<Client<'a>>, Vec<Play<'a>>) = (Vec::new(), Vec::new());
    loop {
        let round = Instant::now();
        let room = AT_ONCE_MAX - clients.len();
        clients.extend(waiting.by_ref().take(room).map(|play| Client::connect(address, play)));
        if clients.is_empty() {
            return done;
        }
        for mut client in std::mem::take(&mut clients) {
            if client.advance() { clients.push(client) } else { done.push(client.play) }
        }
        std::thread::sleep(ROUND.saturating_sub(round.elapsed()));
    }
}

impl<'a> Client<'a> {
    fn connect(address: SocketAddrV4, play: Play<'a>) -> Self {
        let stream = TcpStream::connect_timeout(&address.into(), CONNECT_LIMIT).expect("a server");
        stream.set_nodelay(true).expect("a socket");
        stream.set_nonblocking(true).expect("a socket");
        Self { play, stream, unsent: Vec::new(), last_news: Instant::now() }
    }

    /// Sends a piece and reads what is there; whether there is more to come.
    fn advance(&mut self) -> bool {
        self.read();
        if !self.unsent.is_empty() {
            self.write();
            return true;
        }
        match self.play.next() {
            Action::Done => return false,
            Action::Wait => return self.last_news.elapsed() < PATIENCE,
            Action::Send(bytes) => {
                self.unsent = bytes;
                self.write();
            }
            // A server that has ended already does not hear it.
            Action::End => drop(self.stream.shutdown(Shutdown::Write)),
        }
        true
    }

    fn write(&mut self) {
        match self.stream.write(&self.unsent) {
            Ok(count) => drop(self.unsent.drain(..count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            // Reading tells what has happened.
            Err(_) => self.unsent.clear(),
        }
        self.last_news = Instant::now();
    }

    fn read(&mut self) {
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => self.play.ended(End::Fin),
                Ok(count) => {
                    self.play.received(&bytes[..count]);
                    self.last_news = Instant::now();
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.play.ended(End::Reset),
            }
            return;
        }
    }
}
