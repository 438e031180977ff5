//! The interface between a service and its runtime.
//!
//! `runtime` calls these methods, one at a time, on one thread.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

pub use crate::connections::Origin;
use crate::connections::{ConnectionId, Connections};
use crate::disk::Disk;
use crate::network::Unreachable;
use crate::usage::Usage;
use wire::{Entropy, Instant};

/// A program of the application: connections and time in, bytes and the next deadline out.
///
/// Every `opened` is followed by exactly one `closed` for that connection, also when the service
/// itself asked for the close.
///
/// This one gives back what it is sent. What a runtime does with it, the example does by hand:
///
/// ```
/// use kernel_app::{Connections, ConnectionId, Context, Endpoints, Instant, Listener, Origin, Service};
///
/// struct Echo;
///
/// impl Service for Echo {
///     fn name(&self) -> &'static str {
///         "echo"
///     }
///
///     fn endpoints(&self) -> Endpoints {
///         Endpoints { listeners: vec![Listener { name: "echo", port: 7007 }], ..Endpoints::default() }
///     }
///
///     fn opened(&mut self, _: ConnectionId, _: Origin, _: &mut Context<'_>) {}
///
///     fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
///         let Some(connection) = context.connections.get_mut(id) else { return };
///         let taken = connection.output.write_some(connection.input.as_slice());
///         connection.input.consume(taken);
///     }
///
///     fn closed(&mut self, _: ConnectionId, _: &mut Context<'_>) {}
///
///     fn turn(&mut self, _: &mut Context<'_>) {}
///
///     fn next_deadline(&self) -> Option<Instant> {
///         None
///     }
/// }
///
/// # struct Zeros;
/// # impl kernel_app::Entropy for Zeros {
/// #     fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) }
/// # }
/// let (mut connections, mut entropy) = (Connections::new(), Zeros);
/// let id = connections.open(0, Origin::Accepted(0)).unwrap();
/// connections.get_mut(id).unwrap().input.write(b"hello").unwrap();
/// let mut context = Context {
///     now: Instant::ZERO,
///     unix_time: core::time::Duration::ZERO,
///     entropy: &mut entropy,
///     connections: &mut connections,
///     disk: None,
/// };
/// Echo.ready(id, &mut context);
/// assert_eq!(context.connections.get(id).unwrap().output.as_slice(), b"hello");
/// ```
pub trait Service {
    /// A short name for logs and metrics, such as `vote`.
    fn name(&self) -> &'static str;

    /// The ports to listen on and the peers to stay connected to. Asked once, before anything else.
    fn endpoints(&self) -> Endpoints;

    /// Called once, after `endpoints` and before any event: the place to read what the disk holds.
    ///
    /// # Errors
    /// Why the program must not run, in one line that tells how to mend it.
    fn start(&mut self, _context: &mut Context<'_>) -> Result<(), String> {
        Ok(())
    }

    /// A connection was accepted, or a peer was reached.
    fn opened(&mut self, connection: ConnectionId, origin: Origin, context: &mut Context<'_>);

    /// New input arrived, the other side ended its stream, or output space came free.
    fn ready(&mut self, connection: ConnectionId, context: &mut Context<'_>);

    /// The connection is gone; its id is dead. A lost peer is dialled again by the runtime.
    fn closed(&mut self, connection: ConnectionId, context: &mut Context<'_>);

    /// A peer could not be reached, by its index in [`Endpoints::peers`]; the runtime tries again.
    fn unreachable(&mut self, _peer: usize, _reason: Unreachable) {}

    /// Called once at the end of each loop turn, after all events of that turn: the place for work
    /// that is done once for many commands (group commit), and for what a deadline asked for.
    fn turn(&mut self, context: &mut Context<'_>);

    /// When `turn` must be called next even if nothing happens.
    fn next_deadline(&self) -> Option<Instant>;

    /// Why the program must not go on, in one line that tells how to mend it: asked after each turn, for what only a
    /// turn could find out.
    fn failure(&self) -> Option<&str> {
        None
    }

    /// How much of its queues, tables and buffers is in use; for those who check that limits hold.
    fn report_usage(&self, _report: &mut dyn FnMut(Usage)) {}
}

/// What a service may use while it is called.
///
/// Time is an argument here, so that a test decides what it is:
///
/// ```
/// use core::time::Duration;
/// use kernel_app::{Context, Instant};
///
/// /// Whether something that began then has taken too long.
/// fn is_late(began: Instant, context: &Context<'_>) -> bool {
///     context.now.since(began) > Duration::from_secs(1)
/// }
/// # use kernel_app::Connections;
/// # struct Zeros;
/// # impl kernel_app::Entropy for Zeros {
/// #     fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) }
/// # }
///
/// # let (mut connections, mut entropy) = (Connections::new(), Zeros);
/// let context = Context {
///     now: Instant::from_millis(5_000),
///     unix_time: Duration::from_secs(1_700_000_000),
///     entropy: &mut entropy,
///     connections: &mut connections,
///     disk: None,
/// };
/// assert!(is_late(Instant::from_millis(3_999), &context));
/// assert!(!is_late(Instant::from_millis(4_000), &context));
/// ```
pub struct Context<'a> {
    /// Monotonic time of this turn.
    pub now: Instant,
    /// Wall clock, as time since 1970-01-01T00:00:00Z.
    pub unix_time: Duration,
    /// Unpredictable bytes.
    pub entropy: &'a mut dyn Entropy,
    /// The node's connection table.
    pub connections: &'a mut Connections,
    /// The node's disk, if it has one.
    pub disk: Option<&'a mut dyn Disk>,
}

/// What a service listens on and connects to.
///
/// ```
/// use kernel_app::{Endpoints, Listener, Settings};
///
/// let settings = Settings::from_pairs([("HELLO_URL", "http://10.0.2.2:8090")]);
/// let hello = settings.http("HELLO_URL", "http://hello")?;
/// let endpoints = Endpoints {
///     listeners: vec![Listener { name: "http", port: 8080 }, Listener { name: "health", port: 8084 }],
///     peers: vec![hello.peer],
/// };
/// // Of a connection to the health port, a service hears that it is `Origin::Accepted(1)`.
/// assert_eq!(endpoints.listeners[1].name, "health");
/// # Ok::<(), kernel_app::settings::SettingError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// Ports to accept connections on; [`Origin::Accepted`] counts in this order.
    pub listeners: Vec<Listener>,
    /// Servers to stay connected to; [`Origin::Peer`] counts in this order.
    pub peers: Vec<Peer>,
}

/// A port that accepts connections.
///
/// ```
/// let listener = kernel_app::Listener { name: "http", port: 8080 };
/// assert_eq!(listener.port, 8080);
/// ```
#[derive(Clone, Debug)]
pub struct Listener {
    /// What it serves, such as `http` or `resp`; a [`Target::Memory`] names it.
    pub name: &'static str,
    /// TCP port.
    pub port: u16,
}

/// A server that the runtime keeps the service connected to, with backoff and jitter.
///
/// Settings give it, with the name of the setting for messages:
///
/// ```
/// use kernel_app::{Settings, Target};
///
/// let settings = Settings::from_pairs([("REDIS_URL", "redis://store:7000")]);
/// let peer = settings.store("REDIS_URL", "redis://store")?.peer();
/// assert_eq!((peer.name, peer.setting), ("store", "REDIS_URL"));
/// assert_eq!(peer.target, Target::Host { host: "store".into(), port: 7000 });
/// # Ok::<(), kernel_app::settings::SettingError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What it is to the service, such as `store`; for logs.
    pub name: &'static str,
    /// The setting that says where it is, such as `REDIS_URL`; for logs.
    pub setting: &'static str,
    /// Where it is.
    pub target: Target,
}

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An IPv4 address or a DNS name, and a TCP port.
    Host {
        /// Address in dotted notation, or a name.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// A service in the same image: bytes move through memory.
    Memory {
        /// The other service's [`Service::name`].
        service: String,
        /// The other service's [`Listener::name`].
        listener: &'static str,
    },
}
