//! The record of a running application, in a separate folder: what runs, since when, and how to reach it.

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
