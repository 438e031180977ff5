//! The process that holds a running application together: it starts the machines in order, waits for
//! their health, keeps the state file true, and stops everything when it ends. It builds nothing and
//! talks to nobody but its starter; `up` does that.

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
#[cfg(test)]
mod tests;

pub use lifecycle::{Connections, run};
pub use message::Message;
