//! The plan of what will run: the instances of an application with the command line's options, in an order in which
//! they can start. It opens no port and starts nothing; `network` finds addresses.

mod choices;
pub(crate) mod draft;
mod model;
pub mod overrides;

pub use choices::{Choices, PlanError};
pub use draft::Draft;
pub use model::{
    Data, HOST_SEEN_BY_GUESTS, HealthCheck, HostPort, Image, Instance, Net, NetworkPlan, Plan, Port,
};
