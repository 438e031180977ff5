//! The content of the state file of a running application.

use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::state::access::Access;
use crate::state::identity::Identity;

/// Version of the state file; another one is not understood.
pub const STATE_VERSION: u32 = 5;

/// What runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// [`STATE_VERSION`], or the file is another version's.
    pub version: u32,
    /// The process that holds everything together.
    pub supervisor: Identity,
    /// What was asked for.
    pub plan: Plan,
    /// Whether all instances have been healthy.
    pub up: bool,
    /// The instances that have been started, in that order.
    pub instances: Vec<InstanceState>,
}

/// One instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstanceState {
    /// Name of its service.
    pub service: String,
    /// Its own name.
    pub instance: String,
    /// The instance's VMM process.
    pub process: Identity,
    /// Address that is shown to people.
    pub endpoint: String,
    /// Whether people outside are meant to use the address.
    pub published: bool,
    /// Where its health is asked for.
    pub health: HealthAddress,
    /// Its start, in milliseconds since 1970.
    pub started_ms: u64,
    /// Time from start to healthy, in milliseconds; absent until then.
    pub healthy_after_ms: Option<u64>,
    /// How it ended, once it has.
    pub ended: Option<String>,
    /// How often it has been started again.
    pub restarts: u32,
    /// Whether it has ended and is going to be started again.
    pub restarting: bool,
}

/// A health check as the host reaches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthAddress {
    /// Where on the host.
    pub address: Access,
    /// Path with its leading slash.
    pub path: String,
}

impl State {
    /// The state of an application of which nothing has been started yet.
    pub fn new(supervisor: Identity, plan: Plan) -> Self {
        Self { version: STATE_VERSION, supervisor, plan, up: false, instances: Vec::new() }
    }
}
