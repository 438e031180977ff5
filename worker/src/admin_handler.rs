//! The operators' view of a worker: readiness and metrics.

use alloc::borrow::Cow;

use crate::queue_consumer::{Awaited, QueueConsumer};
use crate::recorder::Recorder;
use kernel_app::Context;
use kernel_app::client::StoreClient;
use kernel_app::http::{Answer, Exchange, Handler, Request, Response, Route};
use kernel_app::metrics::Exposition;
use votes::Choice;

/// Those whose state operators see.
#[derive(Debug)]
pub struct AdminHandler<'a> {
    /// The connection to the store.
    pub store: &'a StoreClient<Awaited>,
    /// Takes votes from the queue.
    pub consumer: &'a QueueConsumer,
    /// Writes them to the database of the results, if that is where they are kept.
    pub recorder: Option<&'a Recorder>,
}

impl Handler for AdminHandler<'_> {
    fn routes(&self) -> &'static [Route] {
        &[]
    }

    fn handle(&mut self, _: &Request<'_>, _: Exchange, _: &mut Context<'_>) -> Answer<'_> {
        Answer::Now(Response::text(404, "not found\n"))
    }

    fn readiness(&self) -> Result<(), Cow<'_, str>> {
        if let Some(recorder) = &self.recorder {
            recorder.readiness()?;
        }
        self.store.explained_readiness()?;
        self.consumer.readiness()
    }

    fn metrics(&self, exposition: &mut Exposition) {
        let stats = self.consumer.stats();
        let [a, b] = Choice::ALL.map(|choice| [("option", choice.as_str())]);
        let counted = stats.counted.map(|counter| counter.value());
        let samples = [(&a[..], counted[0]), (&b[..], counted[1])];
        exposition.counters("votes_counted_total", "Votes counted, also when changed.", &samples);
        for (name, help, counter) in [
            ("votes_superseded_total", "Votes that were older than what counts.", stats.superseded),
            ("votes_rejected_total", "Queue elements that are no votes.", stats.rejected),
            ("votes_replayed_total", "Elements moved back to the queue to be counted.", stats.replayed),
            ("votes_rescued_total", "Elements of workers that are gone, to be counted.", stats.reclaimed),
            ("vote_conflicts_total", "Transactions that are tried again.", stats.conflicts),
            ("vote_batches_total", "Transactions that the store has carried out.", stats.batches),
            ("store_errors_total", "Times that the store took no votes.", stats.store_errors),
        ] {
            exposition.counter(name, help, counter.value());
        }
        if let Some(recorder) = &self.recorder {
            let errors = stats.results_errors.value();
            exposition.counter("results_errors_total", "Times that the database took no votes.", errors);
            let ready = i64::from(recorder.readiness().is_ok());
            exposition.gauge("results_ready", "1 while the database of the results answers.", ready);
        }
        let depth = i64::try_from(self.consumer.depth()).unwrap_or(i64::MAX);
        exposition.gauge("votes_queue_depth", "Elements on the queue when it was last asked.", depth);
        let connected = i64::from(self.store.is_connected());
        exposition.gauge("store_connected", "Whether there is a connection to the store.", connected);
    }
}
