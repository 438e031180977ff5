//! A man in the middle: changes what a service and its store say to each other.
//!
//! Around the service, not in it: the service writes to its connection as always, and what it wrote is
//! replaced before the network sees it. Which change is made is the [`Tamper`]'s business.

use std::collections::VecDeque;

use kernel_app::{ConnectionId, Context, Endpoints, Instant, Origin, Service};
use wire::resp::{Frame, Framer, parse_reply};

/// A command: its name and its arguments.
pub type Words = Vec<Vec<u8>>;

/// What is done instead of sending a command.
#[derive(Clone, Debug)]
pub enum Action {
    /// Sends this; the service hears the reply.
    Send(Words),
    /// Sends this; nobody hears the reply.
    SendUnheard(Words),
    /// Sends this; only the man in the middle hears the reply.
    SendKept(Words),
    /// The service hears this as the store's reply.
    Say(Vec<u8>),
    /// What follows is done once the store has answered everything.
    Await,
}

/// Decides what becomes of commands.
pub trait Tamper {
    /// The commands that the service has written at once.
    fn commands(&mut self, commands: Vec<Words>) -> Vec<Action>;

    /// What time it is, whenever something happens.
    fn clock(&mut self, _: Instant) {}

    /// The store has answered [`Action::SendKept`].
    fn kept(&mut self, _: Vec<u8>) {}

    /// The store is reached, perhaps again; actions that come before everything else.
    fn connected(&mut self) -> Vec<Action> {
        Vec::new()
    }

    /// The store has answered a command of the service; what the service hears of it.
    fn replied(&mut self, reply: Vec<u8>) -> Vec<u8> {
        reply
    }
}

/// Whose is the next reply.
enum Expected {
    Service,
    Nobody,
    Tamper,
    Made(Vec<u8>),
}

/// A service whose bytes to and from its store can be changed.
pub struct Relay<T> {
    inner: Box<dyn Service>,
    tamper: T,
    store: Option<ConnectionId>,
    actions: VecDeque<Action>,
    expected: VecDeque<Expected>,
    /// What came from the store and is no whole reply yet.
    received: Vec<u8>,
    /// Bytes at the start of the input that the service has been given.
    given: usize,
    /// Bytes of the output that are as they shall be.
    passed: usize,
}

impl<T: Tamper> Relay<T> {
    /// A man in the middle of this service and its store.
    pub fn new(inner: Box<dyn Service>, tamper: T) -> Self {
        Self {
            inner,
            tamper,
            store: None,
            actions: VecDeque::new(),
            expected: VecDeque::new(),
            received: Vec::new(),
            given: 0,
            passed: 0,
        }
    }

    /// Lets the service do something, and then what follows from it.
    fn call(&mut self, context: &mut Context<'_>, act: impl FnOnce(&mut dyn Service, &mut Context<'_>)) {
        self.tamper.clock(context.now);
        self.look(context);
        act(&mut *self.inner, context);
        self.intercept(context);
        while self.pump(context) {
            let Some(id) = self.store else { return };
            self.inner.ready(id, context);
            self.intercept(context);
        }
    }

    /// Notes what is in the buffers before the service changes them.
    fn look(&mut self, context: &mut Context<'_>) {
        if let Some(connection) = self.store.and_then(|id| context.connections.get(id)) {
            self.passed = connection.output.len();
        }
    }

    /// Takes what the service has written.
    fn intercept(&mut self, context: &mut Context<'_>) {
        let Some(connection) = self.store.and_then(|id| context.connections.get_mut(id)) else { return };
        self.given = connection.input.len();
        let written = connection.output.as_slice().get(self.passed..).unwrap_or_default().to_vec();
        connection.output.truncate(self.passed);
        let commands = commands(&written);
        if !commands.is_empty() {
            self.actions.extend(self.tamper.commands(commands));
        }
    }

    /// Does what can be done; says whether the service has something to hear.
    fn pump(&mut self, context: &mut Context<'_>) -> bool {
        let Some(connection) = self.store.and_then(|id| context.connections.get_mut(id)) else {
            return false;
        };
        while let Some(action) = self.actions.pop_front() {
            match action {
                Action::Send(words) => {
                    connection.output.write(&encode(&words)).expect("room");
                    self.expected.push_back(Expected::Service);
                }
                Action::SendUnheard(words) => {
                    connection.output.write(&encode(&words)).expect("room");
                    self.expected.push_back(Expected::Nobody);
                }
                Action::SendKept(words) => {
                    connection.output.write(&encode(&words)).expect("room");
                    self.expected.push_back(Expected::Tamper);
                }
                Action::Say(reply) => self.expected.push_back(Expected::Made(reply)),
                Action::Await if self.expected.is_empty() => {}
                Action::Await => {
                    self.actions.push_front(Action::Await);
                    break;
                }
            }
        }
        self.passed = connection.output.len();
        let mut heard = false;
        while let Some(reply) = next_reply(&mut self.expected, &mut self.received, &mut self.tamper) {
            connection.input.write(&reply).expect("room");
            heard |= !reply.is_empty();
        }
        self.given = connection.input.len();
        heard || (self.expected.is_empty() && !self.actions.is_empty() && self.pump(context))
    }

    /// Takes what has come from the store out of the service's sight.
    fn receive(&mut self, context: &mut Context<'_>) {
        let Some(connection) = self.store.and_then(|id| context.connections.get_mut(id)) else { return };
        let input = connection.input.as_slice();
        self.received.extend_from_slice(input.get(self.given..).unwrap_or_default());
        connection.input.truncate(self.given);
    }

    fn forget(&mut self) {
        self.actions.clear();
        self.expected.clear();
        self.received.clear();
        (self.given, self.passed) = (0, 0);
    }
}

impl<T: Tamper> Service for Relay<T> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn endpoints(&self) -> Endpoints {
        self.inner.endpoints()
    }

    fn start(&mut self, context: &mut Context<'_>) -> Result<(), String> {
        self.inner.start(context)
    }

    fn opened(&mut self, id: ConnectionId, origin: Origin, context: &mut Context<'_>) {
        if matches!(origin, Origin::Peer(_)) {
            self.forget();
            self.store = Some(id);
            self.actions.extend(self.tamper.connected());
        }
        self.call(context, |inner, context| inner.opened(id, origin, context));
    }

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        if self.store == Some(id) {
            self.tamper.clock(context.now);
            self.receive(context);
            self.look(context);
            self.pump(context);
        }
        self.call(context, |inner, context| inner.ready(id, context));
    }

    fn closed(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        if self.store == Some(id) {
            self.store = None;
            self.forget();
        }
        self.call(context, |inner, context| inner.closed(id, context));
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        self.call(context, |inner, context| inner.turn(context));
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.inner.next_deadline()
    }
}

/// The next reply that the service hears; empty when it was for nobody.
fn next_reply<T: Tamper>(
    expected: &mut VecDeque<Expected>,
    received: &mut Vec<u8>,
    tamper: &mut T,
) -> Option<Vec<u8>> {
    if let Expected::Made(_) = expected.front()? {
        let Some(Expected::Made(reply)) = expected.pop_front() else { return None };
        return Some(reply);
    }
    let (_, length) = parse_reply(received).expect("the store speaks RESP")?;
    let reply = received.drain(..length).collect();
    match expected.pop_front()? {
        Expected::Service => Some(tamper.replied(reply)),
        Expected::Tamper => {
            tamper.kept(reply);
            Some(Vec::new())
        }
        _ => Some(Vec::new()),
    }
}

fn commands(mut bytes: &[u8]) -> Vec<Words> {
    let (mut framer, mut commands) = (Framer::new(), Vec::new());
    while let Ok(Some(Frame { args, bytes: length })) = framer.next(bytes) {
        commands.push(args.iter().map(<[u8]>::to_vec).collect());
        bytes = &bytes[length..];
    }
    assert!(bytes.is_empty(), "services write whole commands");
    commands
}

fn encode(words: &Words) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend(word);
        bytes.extend(b"\r\n");
    }
    bytes
}
