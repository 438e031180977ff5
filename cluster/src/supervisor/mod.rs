//! The supervisor: the process that starts the machines in order, waits for their health, keeps the state file
//! current, and stops everything when it ends. It builds nothing, and communicates only with its starter, `up`.

pub mod disks;
mod instance;
pub mod launch;
mod lifecycle;
mod message;
pub mod probe;
mod record;
mod recording;
mod recovery;
mod restarts;
mod shutdown;
mod stop_order;
mod stop_request;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vmm_tests;

pub use lifecycle::{Connections, run};
pub use message::Message;
