//! Resolves names to addresses on a separate thread, because `getaddrinfo` may block for many seconds.
//!
//! One thread handles one query per peer at a time: a slow name server delays dials, never the loop.

use core::net::SocketAddr;
use std::io;
use std::net::ToSocketAddrs as _;
use std::string::{String, ToString as _};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::vec::Vec;

use mio::Waker;

use crate::network::NAME_ADDRESSES_MAX;

/// Most questions that wait for the thread.
pub(super) const QUESTIONS_MAX: usize = 64;

/// A name to look up, and who asks.
#[derive(Debug)]
pub(super) struct Question {
    /// Given back with the answer.
    pub asker: usize,
    /// The host name to resolve.
    pub host: String,
    /// Becomes part of the addresses.
    pub port: u16,
}

/// The addresses of a name; none when it has none.
#[derive(Debug)]
pub(super) struct Answer {
    /// Who asked.
    pub asker: usize,
    /// What to try, in this order.
    pub addresses: Vec<SocketAddr>,
}

/// The thread's two queues.
#[derive(Debug)]
pub(super) struct Resolver {
    questions: SyncSender<Question>,
    answers: Receiver<Answer>,
}

impl Resolver {
    /// Starts the thread; it wakes the loop with `waker` when there is an answer.
    ///
    /// # Errors
    /// When the process may not have another thread.
    pub fn start(waker: Arc<Waker>) -> io::Result<Self> {
        let (questions, asked) = mpsc::sync_channel::<Question>(QUESTIONS_MAX);
        let (given, answers) = mpsc::sync_channel(QUESTIONS_MAX);
        thread::Builder::new().name("resolver".to_string()).spawn(move || {
            while let Ok(question) = asked.recv() {
                if given.send(look_up(&question)).is_err() || waker.wake().is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { questions, answers })
    }

    /// Asks; whether there was room for the question.
    pub fn ask(&self, question: Question) -> bool {
        self.questions.try_send(question).is_ok()
    }

    /// The next answer, if there is one.
    pub fn answer(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}

fn look_up(question: &Question) -> Answer {
    let found = (question.host.as_str(), question.port).to_socket_addrs();
    let addresses = found.map(|addresses| addresses.take(NAME_ADDRESSES_MAX).collect()).unwrap_or_default();
    Answer { asker: question.asker, addresses }
}
