//! What people see when everything is up: what runs on what, how long each service took, where to go.

use std::fmt::Write;

use super::run_dir::State;
use super::style::Style;

/// The summary of an application that is up; `after_ms` is the time from the first start to the last
/// service's health.
pub fn summary(state: &State, after_ms: Option<u64>, style: Style) -> String {
    let plan = &state.plan;
    let mut text = String::new();
    let after = after_ms.map(|ms| format!(" after {}", seconds(ms))).unwrap_or_default();
    let headline = format!("{} is up{after}", plan.application);
    let count = state.instances.len();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\n{}: {count} unikernels on {}\n", style.bold(&headline), plan.platform.label());
    let width = state.instances.iter().map(|instance| instance.instance.len()).max().unwrap_or(0);
    for (index, instance) in state.instances.iter().enumerate() {
        let planned = plan.instances.iter().find(|planned| planned.name == instance.instance);
        let memory = planned.map_or(0, |planned| planned.memory_mib);
        let name = style.instance(index, &format!("{:width$}", instance.instance));
        let healthy = instance.healthy_after_ms.map_or_else(|| "-".to_owned(), seconds);
        let _ = write!(text, "  {name}  healthy in {healthy:>7}  {memory:>4} MiB  ");
        let endpoint = &instance.endpoint;
        let shown = if instance.published { style.bold(endpoint) } else { style.dim(endpoint) };
        let _ = writeln!(text, "{shown}");
    }
    text
}

fn seconds(ms: u64) -> String {
    format!("{}.{:02} s", ms / 1000, ms % 1000 / 10)
}
