//! The worker as a service: one connection to the store, perhaps one to the results' database, and one port for
//! operators.
//!
//! Moves no votes itself; [`Mover`] does. Writes no results; the store does, or [`Recorder`].

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::desk::Desk;
use crate::limits::INSTANCE_BYTES_MAX;
use crate::mover::Mover;
use crate::received::Fault;
use crate::recorder::Recorder;
use kernel_app::http::HttpServer;
use kernel_app::network::Unreachable;
use kernel_app::settings::{SettingError, is_database, without_password};
use kernel_app::{
    Buffer, ConnectionId, Context, Endpoints, Instant, Listener, Origin, Peer, Service, Settings, Usage,
};

/// Where a store listens unless told otherwise.
const STORE_URL_DEFAULT: &str = "redis://store:6379";
/// How much of an address that cannot be used is shown.
const URL_CHARS_SHOWN: usize = 80;
/// Requests to the port for operators have no bodies.
const BODY_BYTES_MAX: usize = 0;
/// Position of the store among the peers.
const STORE: usize = 0;

/// See the crate.
#[derive(Debug)]
pub struct Worker {
    port: u16,
    peers: Vec<Peer>,
    http: HttpServer,
    desk: Desk,
    store: Option<ConnectionId>,
}

impl Worker {
    /// A worker that serves operators on `port`.
    ///
    /// # Errors
    /// The setting that cannot be used: `REDIS_URL`, `INSTANCE`, or a `RESULTS_URL` that is neither a database nor
    /// the queue, beside which results are kept.
    pub fn from_settings(settings: &Settings, port: u16) -> Result<Self, SettingError> {
        let store = settings.store("REDIS_URL", STORE_URL_DEFAULT)?;
        let mut peers = vec![store.peer()];
        let name: String = settings.text("INSTANCE", "worker", INSTANCE_BYTES_MAX)?;
        let mut mover = Mover::new(&name).with_login(store.login);
        let mut recorder = None;
        if let Some(url) = settings.get("RESULTS_URL").filter(|url| settings.get("REDIS_URL") != Some(url)) {
            if !is_database(url) {
                let shown = without_password(url);
                let (name, value) = ("RESULTS_URL", shown.chars().take(URL_CHARS_SHOWN).collect());
                let expected = "nothing, what REDIS_URL says, or postgres://user:password@host:port/database";
                return Err(SettingError { name, value, expected });
            }
            let database = settings.database("RESULTS_URL")?;
            peers.push(database.peer);
            recorder = Some(Recorder::new(database.login));
            mover = mover.with_results_elsewhere();
        }
        Ok(Self {
            port,
            peers,
            http: HttpServer::new(BODY_BYTES_MAX),
            desk: Desk { mover, recorder },
            store: None,
        })
    }

    /// Lets the mover use the buffers of its connection, and gives the connection up after a fault.
    fn converse(
        &mut self,
        context: &mut Context<'_>,
        step: impl FnOnce(&mut Mover, &mut Buffer, &mut Buffer) -> Result<(), Fault>,
    ) {
        let Some(id) = self.store else { return };
        let Some(connection) = context.connections.get_mut(id) else { return };
        if let Err(fault) = step(&mut self.desk.mover, &mut connection.input, &mut connection.output) {
            self.desk.mover.give_up(fault);
            context.connections.abort(id);
        } else if connection.input_ended {
            context.connections.close(id);
        }
    }

    /// Tells the mover what became of votes, and the database of those that are to be recorded now.
    fn record(&mut self, context: &mut Context<'_>) {
        while let Some(recorder) = &mut self.desk.recorder {
            if let Some(votes) = self.desk.mover.to_record() {
                recorder.record(&votes, context);
            }
            let Some(news) = recorder.take_news() else { return };
            let now = context.now;
            let outcome = news.outcome.map(|changed| move |voter: &[u8]| changed.contains(voter));
            self.converse(context, |mover, _, output| mover.recorded(news.serial, outcome, output, now));
        }
    }
}

impl Service for Worker {
    fn name(&self) -> &'static str {
        "worker"
    }

    fn endpoints(&self) -> Endpoints {
        let listeners = vec![Listener { name: "http", port: self.port }];
        Endpoints { listeners, peers: self.peers.clone() }
    }

    fn opened(&mut self, id: ConnectionId, origin: Origin, context: &mut Context<'_>) {
        match (origin, &mut self.desk.recorder) {
            (Origin::Accepted(_), _) => self.http.opened(id, context),
            (Origin::Peer(STORE), _) => {
                self.store = Some(id);
                let now = context.now;
                self.converse(context, |mover, _, output| mover.connected(output, now));
            }
            (Origin::Peer(_), Some(recorder)) => recorder.opened(id, context),
            (Origin::Peer(_), None) => {}
        }
    }

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        if self.store == Some(id) {
            let now = context.now;
            self.converse(context, |mover, input, output| mover.input(input, output, now));
        } else if let Some(recorder) = self.desk.recorder.as_mut().filter(|recorder| recorder.is(id)) {
            recorder.ready(context);
        } else {
            self.http.ready(id, &mut self.desk, context);
        }
    }

    fn closed(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        if self.store == Some(id) {
            self.store = None;
            self.desk.mover.lost();
        } else if let Some(recorder) = self.desk.recorder.as_mut().filter(|recorder| recorder.is(id)) {
            recorder.closed(id, context);
        } else {
            self.http.closed(id);
        }
    }

    fn unreachable(&mut self, peer: usize, reason: Unreachable) {
        match &mut self.desk.recorder {
            Some(recorder) if peer != STORE => recorder.unreachable(reason),
            _ => self.desk.mover.unreachable(reason),
        }
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        if self.desk.mover.next_deadline().is_some_and(|due| due <= now) {
            self.converse(context, |mover, _, output| mover.tick(output, now));
        }
        if let Some(recorder) = &mut self.desk.recorder {
            recorder.turn(context);
        }
        self.record(context);
        self.http.turn(&mut self.desk, context);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let recorder = self.desk.recorder.as_ref().and_then(Recorder::next_deadline);
        [self.desk.mover.next_deadline(), recorder, self.http.next_deadline()].into_iter().flatten().min()
    }

    fn usages(&self, tell: &mut dyn FnMut(Usage)) {
        self.desk.mover.usages(tell);
        self.desk.recorder.iter().for_each(|recorder| recorder.usages(tell));
        self.http.usages(tell);
    }
}
