//! Somebody who follows the scores: asks for them now and then, and has the events open.
//!
//! Judges nothing; what was seen is checked by `invariants`.

use std::time::Duration;

use kernel_app::Instant;
use simulator::client::{RequestId, get};

use super::cluster::Cluster;

/// How often the scores are asked for.
pub const ASK_INTERVAL: Duration = Duration::from_millis(500);
/// How long an answer may take before the watcher reloads.
const PATIENCE: Duration = Duration::from_secs(3);
/// A stream on which nothing has come for this long is opened anew, as the page does: whoever lost its power does
/// not say so.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A client of the result page.
#[derive(Default)]
pub struct Watcher {
    question: Option<(RequestId, Instant)>,
    events: Option<RequestId>,
    /// Bytes of the events that were looked at, and when they became more.
    heard: (usize, Instant),
    ask_at: Instant,
}

impl Watcher {
    /// When there is something to do.
    pub fn next_deadline(&self) -> Instant {
        self.ask_at
    }

    /// Asks again when it is time; gives the scores of the last answer and of the last event.
    pub fn act(&mut self, cluster: &mut Cluster) -> Vec<[u64; 2]> {
        let now = cluster.simulation.now();
        if self.ask_at > now {
            return Vec::new();
        }
        self.ask_at = now + ASK_INTERVAL;
        cluster.watcher.take_settled();
        let seen = [self.take_answer(cluster, now), self.look_at_events(cluster, now)];
        if self.question.is_none() {
            let request = cluster.simulation.send(&cluster.watcher, &get("/api/scores"));
            self.question = Some((request, now + PATIENCE));
        }
        if self.events.is_none() {
            self.events = Some(cluster.simulation.send(&cluster.watcher, &get("/events")));
            self.heard = (0, now);
        }
        seen.into_iter().flatten().collect()
    }

    fn take_answer(&mut self, cluster: &mut Cluster, now: Instant) -> Option<[u64; 2]> {
        let (request, until) = self.question?;
        if let Some(response) = cluster.watcher.response(request) {
            self.question = None;
            return (response.status == 200).then(|| scores(&response.text()))?;
        }
        if cluster.watcher.is_lost(request) || until <= now {
            cluster.simulation.abandon(&cluster.watcher, request);
            self.question = None;
        }
        None
    }

    /// The scores of the last event, if there is one that was not seen yet.
    fn look_at_events(&mut self, cluster: &mut Cluster, now: Instant) -> Option<[u64; 2]> {
        let request = self.events?;
        let is_silent = self.heard.1 + SILENCE_MAX <= now;
        if cluster.watcher.is_lost(request) || is_silent {
            cluster.simulation.abandon(&cluster.watcher, request);
            self.events = None;
            return None;
        }
        let text = cluster.watcher.so_far(request)?.text();
        if text.len() == self.heard.0 {
            return None;
        }
        self.heard = (text.len(), now);
        text.lines().rev().filter_map(|line| line.strip_prefix("data: ")).find_map(scores)
    }
}

/// The scores in a JSON object that has them.
fn scores(text: &str) -> Option<[u64; 2]> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    Some([value.get("a")?.as_u64()?, value.get("b")?.as_u64()?])
}
