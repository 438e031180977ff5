//! Nodes that stand still for a moment while they are at work, as machines do whose host has others to run.
//!
//! What arrives meanwhile is found all at once: answers, and requests that came after them. Short beside every timeout,
//! so nobody takes the node for gone. One node at a time, beside all other faults.

use std::time::Duration;

use kernel_app::Instant;
use simulator::NodeId;
use simulator::random::Random;

use super::fault::Fault;
use crate::simulation::cluster::Cluster;

/// Longest time from the end of one to the draw of the next.
const INTERVAL_MAX: Duration = Duration::from_millis(400);
/// How long one lasts.
const LASTS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(300)];
/// How often it is a vote instance that stands still, of a million; otherwise any node.
const AT_VOTES_PER_MILLION: u32 = 700_000;
/// It begins at most so many steps of the simulation after a request has come.
const STEPS_MAX: u64 = 24;

/// When which node stands still, and for how long.
pub struct Stutters {
    random: Random,
    state: State,
}

enum State {
    /// The next one is drawn at this time.
    Idle(Instant),
    /// This node is to stand still: once it has something to do, and then from this step on.
    Armed(NodeId, Option<u64>),
    /// It stands still until then; whether its clock does.
    Standing(NodeId, Instant, bool),
}

impl Stutters {
    /// None yet.
    pub fn new(random: Random) -> Self {
        Self { random, state: State::Idle(Instant::ZERO) }
    }

    /// When one ends or is drawn next.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Idle(at) | State::Standing(_, at, _) => Some(at),
            State::Armed(..) => None,
        }
    }

    /// Begins and ends what is due; says whether one has begun. Leaves nodes alone that other faults stop.
    pub fn act(&mut self, cluster: &mut Cluster, active: &[(Fault, Instant)]) -> bool {
        let (now, steps) = (cluster.simulation.now(), cluster.simulation.steps());
        match self.state {
            State::Idle(at) if at <= now => self.state = State::Armed(self.pick(cluster), None),
            State::Armed(node, None) if is_at_work(node, cluster) => {
                self.state = State::Armed(node, Some(steps + self.random.below(STEPS_MAX)));
            }
            State::Armed(node, Some(step)) if step <= steps => return self.begin(node, cluster, active),
            State::Standing(_, until, _) if until <= now => self.end(cluster, active),
            _ => {}
        }
        false
    }

    fn pick(&mut self, cluster: &Cluster) -> NodeId {
        if self.random.happens(AT_VOTES_PER_MILLION) {
            let instance = self.random.pick(&cluster.instances_in_service());
            return cluster.votes[instance];
        }
        self.random.pick(&cluster.nodes())
    }

    fn begin(&mut self, node: NodeId, cluster: &mut Cluster, active: &[(Fault, Instant)]) -> bool {
        let now = cluster.simulation.now();
        let is_free =
            cluster.simulation.is_up(node) && !active.iter().any(|(fault, _)| fault.stops_node(node));
        if is_free {
            cluster.simulation.pause(node);
            let until = now + self.random.between(LASTS[0], LASTS[1]);
            self.state = State::Standing(node, until, self.random.happens(500_000));
        } else {
            self.state = State::Idle(now + self.random.up_to(INTERVAL_MAX));
        }
        is_free
    }

    /// Ends the one that there is.
    pub fn end(&mut self, cluster: &mut Cluster, active: &[(Fault, Instant)]) {
        let now = cluster.simulation.now();
        if let State::Standing(node, _, clock_stands) = self.state
            && !active.iter().any(|(fault, _)| matches!(fault, Fault::Pause(paused, _) if *paused == node))
        {
            cluster.simulation.resume(node, clock_stands);
        }
        self.state = State::Idle(now + self.random.up_to(INTERVAL_MAX));
    }
}

/// Whether a node has something to do; of vote instances that is known by those who wait for them.
fn is_at_work(node: NodeId, cluster: &Cluster) -> bool {
    let instance = cluster.votes.iter().position(|vote| *vote == node);
    instance.is_none_or(|instance| cluster.browsers[instance].unanswered() > 0)
}
