//! The file from which Prometheus finds what runs, which `deploy/prometheus.yml` reads (file-based service
//! discovery).
//!
//! Every service answers `/metrics` on the port of its health check.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::state::access::Access;
use crate::state::model::{InstanceState, State};

/// One instance, with the labels that all of its metrics get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetGroup {
    targets: [String; 1],
    labels: BTreeMap<&'static str, String>,
}

/// The instances that have not ended, and that the host's network reaches: on a network of the application's own
/// those are the published ones.
pub fn of(state: &State) -> Vec<TargetGroup> {
    let running = state
        .instances
        .iter()
        .filter(|instance| instance.ended.is_none() && matches!(instance.health.address, Access::Tcp(_)));
    let group = |instance: &InstanceState| TargetGroup {
        targets: [instance.health.address.to_string()],
        labels: BTreeMap::from([
            ("application", state.plan.application.clone()),
            ("service", instance.service.clone()),
            ("instance", instance.instance.clone()),
        ]),
    };
    running.map(group).collect()
}
