//! Commands to a running segment: one JSON line over a unix socket in its folder, answered with one line.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use serde::{Deserialize, Serialize};

use super::folder::Folder;
use super::stream::HostStream;
use crate::Segment;
use crate::faults::{Fault, Listed};

/// Name of the socket.
const NAME: &str = "control.sock";
/// Longest order, in bytes.
const ORDER_BYTES_MAX: usize = 16 * 1024;
/// Most that are being given at a time.
const CLIENTS_MAX: usize = 8;
/// How long an answer is waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// That a fault begins.
    Begin(Fault),
    /// What is going on.
    List,
    /// That all faults end.
    Clear,
}

/// What is said to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// It is done, and this is how things are now.
    Done(Status),
    /// It is not, for this reason.
    Refused(String),
}

/// How things are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The faults that are active.
    pub faults: Vec<Listed>,
    /// Frames that were refused for want of a rule, or for a forged sender.
    pub refused_frames: u64,
    /// Connections that are relayed.
    pub relays: usize,
}

/// Gives an order to the segment of this folder.
///
/// # Errors
/// When no segment answers there.
pub fn ask(folder: &Path, request: &Request) -> Result<Response> {
    let mut stream =
        super::connect(&folder.join(NAME)).context("the application's network does not answer")?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    writeln!(stream, "{}", serde_json::to_string(request)?)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).context("the application's network does not answer")?;
    serde_json::from_str(&line).context("the application's network is of another version")
}

/// The socket and those who have connected to it.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    clients: Vec<Option<Client>>,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    order: Vec<u8>,
    has_news: bool,
}

impl Control {
    pub fn new(folder: &Folder, registry: &Registry, token: Token) -> io::Result<Self> {
        let mut listener = UnixListener::bind(folder.socket(NAME))?;
        registry.register(&mut listener, token, Interest::READABLE)?;
        Ok(Self { listener, clients: (0..CLIENTS_MAX).map(|_| None).collect() })
    }

    pub fn accept(&mut self, registry: &Registry, tokens: usize) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            // One too many is sent away by closing its stream.
            let Some(place) = self.clients.iter().position(Option::is_none) else { continue };
            if registry.register(&mut stream, Token(tokens + place), Interest::READABLE).is_ok() {
                self.clients[place] = Some(Client { stream, order: Vec::new(), has_news: true });
            }
        }
    }

    pub fn note(&mut self, place: usize) {
        if let Some(Some(client)) = self.clients.get_mut(place) {
            client.has_news = true;
        }
    }

    /// Reads orders and carries them out.
    pub fn serve(&mut self, segment: &mut Segment<HostStream>) {
        for place in &mut self.clients {
            let Some(client) = place.as_mut().filter(|client| client.has_news) else { continue };
            client.has_news = false;
            if client.read().is_err() {
                *place = None;
            } else if let Some(end) = client.order.iter().position(|byte| *byte == b'\n') {
                let answer = carry_out(&client.order[..end], segment);
                let line = serde_json::to_string(&answer).unwrap_or_default();
                // It fits the socket's buffer; a client that has gone needs none.
                let _ = client.stream.write_all(format!("{line}\n").as_bytes());
                *place = None;
            }
        }
    }
}

impl Client {
    /// Reads what has come, as far as an order may be long.
    fn read(&mut self) -> io::Result<()> {
        let mut part = [0; 4096];
        loop {
            match self.stream.read(&mut part) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.order.extend_from_slice(&part[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            if self.order.contains(&b'\n') {
                return Ok(());
            }
            if self.order.len() > ORDER_BYTES_MAX {
                return Err(ErrorKind::InvalidData.into());
            }
        }
    }
}

fn carry_out(order: &[u8], segment: &mut Segment<HostStream>) -> Response {
    let now = segment.fabric.now;
    let faults = &mut segment.fabric.faults;
    let done = match serde_json::from_slice(order) {
        Ok(Request::Begin(fault)) => faults.add(&segment.layout, fault, now),
        Ok(Request::List) => Ok(()),
        Ok(Request::Clear) => {
            faults.clear();
            Ok(())
        }
        Err(error) => Err(format!("this is no order: {error}")),
    };
    match done {
        Err(reason) => Response::Refused(reason),
        Ok(()) => Response::Done(Status {
            faults: faults.list(now),
            refused_frames: segment.refused.denied + segment.refused.forged,
            relays: segment.gateway.len(),
        }),
    }
}
