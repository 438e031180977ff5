//! What is known about a running application, in a folder of its own: who runs, since when, and how each is reached.

pub mod access;
pub mod debugger;
pub mod event;
pub mod identity;
pub mod left_overs;
pub mod model;
pub mod run_dir;
pub mod targets;

pub use access::Access;
pub use model::{HealthAddress, InstanceState, State};
