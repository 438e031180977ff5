//! One client: its partial request, its transaction, the keys that it waits for, and its replies.
//!
//! Replies stay here until the turn's changes are committed; only then does the client get them.

use alloc::vec::Vec;

use kernel_app::{Buffer, ConnectionId, Instant};
use wire::resp::{Args, ArgsBuffer, Framer, write};

use crate::command::Command;
use crate::failure::Failure;
use crate::journal::Progress;
use crate::limits::{
    NAME_BYTES_MAX, QUEUE_BYTES_KEPT, REPLY_BYTES_ERRORS, REPLY_BYTES_KEPT, REPLY_BYTES_MAX,
};
use crate::resp3;
use crate::waiters::Wait;

/// A client and its framer, apart so that a request can borrow the framer while it is carried out.
#[derive(Debug)]
pub struct Session {
    /// Finds requests in the client's input.
    pub framer: Framer,
    /// Everything else.
    pub client: Client,
    /// What it took when it was counted last.
    pub counted_bytes: usize,
}

/// A client as commands see it.
#[derive(Debug)]
pub struct Client {
    /// The client's connection.
    pub id: ConnectionId,
    /// Its number, as `CLIENT ID` says.
    pub number: u64,
    /// It has given the password, if there is one.
    pub logged_in: bool,
    /// It has asked for RESP3.
    pub is_resp3: bool,
    /// What it calls itself.
    pub name: Vec<u8>,
    /// The latest command that there is; mostly the next one is the same.
    pub command: Command,
    /// The commands since `MULTI`.
    pub transaction: Transaction,
    /// Set while it is blocked.
    pub wait: Option<Wait>,
    /// Replies that wait for the commit, or for the client to take earlier ones.
    pub replies: Buffer,
    /// Whether it is in the engine's list of clients with something to be done at the turn's end.
    pub listed: bool,
    /// It is to be disconnected once it has its replies; its input is of no more interest.
    pub closing: bool,
    /// It may have requests in its input that wait until it has taken replies.
    pub paused: bool,
    /// Its input waits until the journal lets requests be carried out again.
    pub held: bool,
    /// Since when it has taken nothing of its replies.
    pub stalled_since: Option<Instant>,
    /// How many bytes of the replies may go: what they tell is durable.
    pub durable: usize,
    /// How many may go once the commit under way has ended.
    pub committing: usize,
    /// Since when replies have waited for a commit.
    pub uncommitted_since: Option<Instant>,
}

/// The commands since `MULTI`.
#[derive(Debug, Default)]
pub struct Transaction {
    state: TransactionState,
    commands: Vec<Command>,
    args: ArgsBuffer,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum TransactionState {
    #[default]
    None,
    Open,
    /// A command could not be queued: `EXEC` will refuse.
    Broken,
}

impl Transaction {
    /// Whether commands are to be queued.
    pub fn is_open(&self) -> bool {
        self.state != TransactionState::None
    }

    /// Whether a command could not be queued.
    pub fn is_broken(&self) -> bool {
        self.state == TransactionState::Broken
    }

    /// `MULTI`.
    pub fn open(&mut self) {
        self.state = TransactionState::Open;
    }

    /// Notes that a command could not be queued, if commands are to be queued.
    pub fn spoil(&mut self) {
        if self.is_open() {
            self.state = TransactionState::Broken;
        }
    }

    /// Queues a command; the caller has checked that there is room.
    pub fn push(&mut self, command: Command, args: Args<'_>) {
        self.commands.push(command);
        self.args.push(args.iter());
    }

    /// How many commands are queued.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Bytes of the queued commands.
    pub fn bytes(&self) -> usize {
        self.args.bytes()
    }

    /// The queued commands in order.
    pub fn iter(&self) -> impl Iterator<Item = (Command, Args<'_>)> {
        self.commands.iter().enumerate().filter_map(|(at, command)| Some((*command, self.args.get(at)?)))
    }

    /// Forgets everything and keeps what storage is worth keeping.
    pub fn clear(&mut self) {
        self.state = TransactionState::None;
        self.commands.clear();
        self.args.clear();
        if self.storage_bytes() > QUEUE_BYTES_KEPT {
            self.give_back();
        }
    }

    /// Bytes that are allocated, in use or not.
    fn storage_bytes(&self) -> usize {
        self.commands.capacity() + self.args.storage_bytes()
    }

    /// Gives back what storage there is, if nothing is queued.
    fn give_back(&mut self) {
        if self.commands.is_empty() {
            (self.commands, self.args) = (Vec::new(), ArgsBuffer::new());
        }
    }
}

/// The limit of [`Client::replies`]: more than commands ever write, so that errors always fit.
const REPLIES_LIMIT: usize = 2 * REPLY_BYTES_MAX + REPLY_BYTES_ERRORS;

impl Session {
    /// A client that has just connected.
    pub fn new(id: ConnectionId, number: u64) -> Self {
        let client = Client {
            id,
            number,
            logged_in: false,
            is_resp3: false,
            name: Vec::new(),
            command: Command::Ping,
            transaction: Transaction::default(),
            wait: None,
            replies: Buffer::new(REPLIES_LIMIT),
            listed: false,
            closing: false,
            paused: false,
            held: false,
            stalled_since: None,
            durable: 0,
            committing: 0,
            uncommitted_since: None,
        };
        Self { framer: Framer::new(), client, counted_bytes: 0 }
    }

    /// What the client takes in memory, in use or not, but for what it waits for and watches.
    pub fn storage_bytes(&self) -> usize {
        let client = &self.client;
        let storage = client.name.capacity() + client.replies.storage_bytes();
        size_of::<Self>() + storage + self.framer.storage_bytes() + client.transaction.storage_bytes()
    }

    /// Gives back what was only kept to be used again.
    pub fn give_back(&mut self) {
        self.framer.give_back();
        self.client.transaction.give_back();
        if self.client.replies.is_empty() {
            self.client.replies.shrink_to(0);
        }
    }
}

impl Client {
    /// Writes a reply with `write`; when that fails, the failure's text takes the place of what was
    /// written. `bytes_max` bounds the reply.
    ///
    /// # Errors
    /// The failure, which has been told to the client.
    pub fn reply(
        &mut self,
        command: Command,
        bytes_max: usize,
        write: impl FnOnce(&mut Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let start = self.replies.len();
        self.replies.set_limit((start + bytes_max).min(REPLIES_LIMIT));
        let result = write(self);
        self.replies.set_limit(REPLIES_LIMIT);
        if let Err(failure) = result {
            self.replies.truncate(start);
            self.fail(command, failure);
        } else if self.is_resp3 {
            resp3::rewrite(&mut self.replies, start, command);
        }
        result
    }

    /// Writes that there is nothing where an array could be.
    pub fn null_array(&mut self) {
        if self.is_resp3 {
            return resp3::null(&mut self.replies);
        }
        // Always fits: a client with many replies is paused.
        let _ = write::null_array(&mut self.replies);
    }

    /// Writes a failure's error.
    pub fn fail(&mut self, command: Command, failure: Failure) {
        match failure {
            Failure::Arguments => self.error(&["ERR ", &arguments_text(command.spec().name)]),
            other => self.error(&[other.text()]),
        }
    }

    /// Writes an error of several pieces of text.
    pub fn error<T: AsRef<[u8]>>(&mut self, pieces: &[T]) {
        let text = pieces.iter().fold(Vec::new(), |mut text, piece| {
            text.extend_from_slice(piece.as_ref());
            text
        });
        // Cannot be full: the limit leaves room for as many errors as there can be.
        let _ = write::error(&mut self.replies, &text);
    }

    /// Notes how far the disk is.
    pub fn note(&mut self, progress: Progress) {
        if progress.committed {
            self.durable = self.committing;
        }
        if progress.all_committing {
            self.committing = self.replies.len();
        }
        if progress.all_durable {
            self.durable = self.replies.len();
        }
    }

    /// Lets what was written since there were `before` bytes of replies go without waiting for the disk, as it tells
    /// nothing of the data; unless it has to wait behind other replies.
    pub fn tell_at_once(&mut self, before: usize) {
        if self.durable >= before {
            self.durable = self.replies.len();
            self.committing = self.committing.max(self.durable);
        }
    }

    /// Whether replies wait for the disk.
    pub fn is_uncommitted(&self) -> bool {
        self.durable < self.replies.len()
    }

    /// The replies that may go.
    pub fn durable_replies(&self) -> &[u8] {
        let replies = self.replies.as_slice();
        replies.get(..self.durable).unwrap_or(replies)
    }

    /// Drops replies that have gone.
    pub fn consume_replies(&mut self, count: usize) {
        self.replies.consume(count);
        self.durable = self.durable.saturating_sub(count);
        self.committing = self.committing.saturating_sub(count);
    }

    /// Takes a new name; an empty one takes the name away. `false` when it has blanks or control
    /// characters, or is too long.
    pub fn rename(&mut self, name: &[u8]) -> bool {
        let fits = name.len() <= NAME_BYTES_MAX && name.iter().all(|byte| (b'!'..=b'~').contains(byte));
        if fits {
            self.name.clear();
            self.name.extend_from_slice(name);
        }
        fits
    }

    /// Gives back storage that only an unusual reply needed.
    pub fn shrink_replies(&mut self) {
        if self.replies.is_empty() {
            self.replies.shrink_to(REPLY_BYTES_KEPT);
        }
    }
}

/// Redis's words for a wrong number of arguments.
pub fn arguments_text(name: &str) -> alloc::string::String {
    alloc::format!("wrong number of arguments for '{name}' command")
}

/// The start of `bytes`, as far as a C string goes that begins there: so Redis quotes requests.
pub fn text_of(bytes: &[u8], bytes_max: usize) -> &[u8] {
    let end = bytes.iter().take(bytes_max).position(|byte| *byte == 0);
    &bytes[..end.unwrap_or(bytes.len().min(bytes_max))]
}
