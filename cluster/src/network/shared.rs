//! The balancer for published ports that several instances share, started from a plan; the package `segment` implements
//! it.

use anyhow::{Context, Result};
use segment::balancer::{RunningBalancer, SharedPort};
use segment::host::Address;
use segment::layout::address;

use crate::network::own::OwnNetwork;
use crate::network::ports::Ports;
use crate::plan::Plan;
use crate::state::access::Access;
use crate::state::run_dir::RunDir;

/// Starts the balancer of a plan in which instances share ports; on a bridge, in the bridge's network.
///
/// # Errors
/// When it cannot be started.
pub fn start(
    run_dir: &RunDir,
    plan: &Plan,
    ports: &mut Ports,
    network: Option<&OwnNetwork>,
) -> Result<Option<RunningBalancer>> {
    let bridge = match network {
        Some(OwnNetwork::Bridge(bridge)) => Some(bridge),
        Some(OwnNetwork::Switch(_)) | None => None,
    };
    let taken = ports.take_shared();
    if taken.is_empty() {
        return Ok(None);
    }
    let shared = taken.into_iter().map(|(service, guest, listener)| {
        let stations = plan.instances.iter().enumerate().filter(|(_, it)| it.service == service);
        let reached = stations.filter_map(|(station, instance)| {
            let address = match bridge {
                Some(_) => Address::Tcp((address(station), guest).into()),
                None => way_in(ports.access(&instance.name, guest)?),
            };
            Some((instance.name.clone(), address))
        });
        SharedPort { instances: reached.collect(), service, listener }
    });
    let shared: Vec<SharedPort> = shared.collect();
    let start = || RunningBalancer::start(shared, run_dir.path());
    let balancer = match bridge {
        Some(bridge) => bridge.inside(start),
        None => start(),
    };
    balancer.map(Some).context("the balancer for shared ports cannot be started")
}

fn way_in(access: Access) -> Address {
    match access {
        Access::Tcp(address) => Address::Tcp(address),
        Access::Unix(path) => Address::Unix(path),
    }
}
