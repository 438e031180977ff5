//! The worker as a service: one connection to the store, possibly one to the results' database, and one port for
//! operators.
//!
//! [`QueueConsumer`] decides how votes are processed. The store writes the results, or [`Recorder`] does.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::admin_handler::AdminHandler;
use crate::limits::INSTANCE_BYTES_MAX;
use crate::queue_consumer::{Awaited, QueueConsumer, Store};
use crate::recorder::Recorder;
use kernel_app::client::StoreClient;
use kernel_app::http::HttpServer;
use kernel_app::network::Unreachable;
use kernel_app::settings::{SettingError, is_database, without_password};
use kernel_app::{
    ConnectionId, Context, Endpoints, Instant, Listener, Origin, Peer, Service, Settings, Usage,
};
use votes::{PAYLOAD_BYTES_MAX, keys};

/// Where a store listens unless told otherwise.
const STORE_URL_DEFAULT: &str = "redis://store:6379";
/// How much of an address that cannot be used is shown.
const URL_CHARS_SHOWN: usize = 80;
/// Requests to the port for operators have no bodies.
const BODY_BYTES_MAX: usize = 0;
/// What tells at once whether a store takes writes: a replica refuses it. It changes nothing, and a store that is full
/// takes it: no worker has no name.
const TRIAL: &[&[u8]] = &[b"HDEL", keys::WORKERS, b""];
/// Position of the store among the peers.
const STORE: usize = 0;

/// See the crate.
#[derive(Debug)]
pub struct Worker {
    port: u16,
    peers: Vec<Peer>,
    http: HttpServer,
    store: StoreClient<Awaited>,
    consumer: QueueConsumer,
    recorder: Option<Recorder>,
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
        let mut consumer = QueueConsumer::new(&name);
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
            consumer = consumer.with_results_elsewhere();
        }
        let store = StoreClient::new(store.login).with_trial(TRIAL).with_bulk_max(PAYLOAD_BYTES_MAX);
        Ok(Self { port, peers, http: HttpServer::new(BODY_BYTES_MAX), store, consumer, recorder })
    }

    /// Takes what the store and the database have answered, and asks for what is next.
    fn work(&mut self, context: &mut Context<'_>) {
        loop {
            self.consumer.serve(&mut Store { client: &mut self.store, context: &mut *context });
            let Some(recorder) = &mut self.recorder else { return };
            if let Some(votes) = self.consumer.to_record() {
                recorder.record(&votes, context);
            }
            recorder.take_outcomes(context);
            let Some(news) = recorder.take_news() else { return };
            let outcome = news.outcome.map(|changed| move |voter: &[u8]| changed.contains(voter));
            self.consumer.recorded(news.serial, outcome, context.now);
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
        match (origin, &mut self.recorder) {
            (Origin::Accepted(_), _) => self.http.opened(id, context),
            (Origin::Peer(STORE), _) => self.store.opened(id, context),
            (Origin::Peer(_), Some(recorder)) => recorder.opened(id, context),
            (Origin::Peer(_), None) => {}
        }
    }

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        if self.store.is(id) || self.recorder.as_ref().is_some_and(|recorder| recorder.is(id)) {
            self.work(context);
        } else {
            let Self { http, store, consumer, recorder, .. } = self;
            http.ready(id, &mut AdminHandler { store, consumer, recorder: recorder.as_ref() }, context);
        }
    }

    fn closed(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.store.closed(id);
        self.recorder.iter_mut().for_each(|recorder| recorder.closed(id));
        self.http.closed(id);
        self.work(context);
    }

    fn unreachable(&mut self, peer: usize, reason: Unreachable) {
        match &mut self.recorder {
            Some(recorder) if peer != STORE => recorder.unreachable(reason),
            _ => self.store.unreachable(reason),
        }
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        self.work(context);
        let Self { http, store, consumer, recorder, .. } = self;
        http.turn(&mut AdminHandler { store, consumer, recorder: recorder.as_ref() }, context);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let recorder = self.recorder.as_ref().and_then(Recorder::next_deadline);
        let consumer = self.consumer.next_deadline(&self.store);
        [self.store.next_deadline(), consumer, recorder, self.http.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        self.store.report_usage(report);
        self.consumer.report_usage(report);
        self.recorder.iter().for_each(|recorder| recorder.report_usage(report));
        self.http.report_usage(report);
    }
}
