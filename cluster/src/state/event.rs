//! Messages from the supervisor to the process that started it: one JSON object per line. The supervisor receives a
//! plan, and later possibly one word.

use serde::{Deserialize, Serialize};

use crate::plan::Plan;

/// The word that lets the supervisor go on alone; without it, it stops everything when its starter ends.
pub const LEAVE: &str = "leave";

/// The first message to the supervisor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The folder of the application.
    pub run_dir: std::path::PathBuf,
    /// Where it is said who can be asked for metrics.
    pub targets: Option<std::path::PathBuf>,
    /// What to run.
    pub plan: Plan,
}

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// An instance's machine runs.
    Started {
        /// Name of the instance, such as `vote-1`.
        instance: String,
    },
    /// Why an instance is not healthy yet.
    Waiting {
        /// Name of the instance, such as `vote-1`.
        instance: String,
        /// What its health check says.
        problem: String,
    },
    /// An instance is healthy.
    Healthy {
        /// Name of the instance, such as `vote-1`.
        instance: String,
        /// Time since its start, in milliseconds.
        after_ms: u64,
    },
    /// All instances are healthy.
    Up {
        /// Time since the first start, in milliseconds.
        after_ms: u64,
    },
    /// An instance has ended after everything was up.
    Ended {
        /// Name of the instance, such as `vote-1`.
        instance: String,
        /// How.
        how: String,
    },
    /// An instance that has ended is going to be started again.
    Restarting {
        /// Name of the instance, such as `vote-1`.
        instance: String,
        /// In how many milliseconds.
        after_ms: u64,
        /// Which restart in a row this is, from 1.
        attempt: u32,
    },
    /// Something is wrong with the supervisor's own work; the application goes on.
    Trouble {
        /// What, and how to mend it.
        message: String,
    },
    /// The supervisor goes on alone.
    Left,
    /// Not everything came up; everything is stopped.
    Failed {
        /// What went wrong and how to mend it.
        message: String,
        /// The last lines of the log of the instance concerned.
        log: Vec<String>,
    },
    /// Everything is stopped, as was asked for or because all instances had ended.
    Stopped,
}
