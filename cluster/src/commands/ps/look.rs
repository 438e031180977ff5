//! Sampling of what runs: it asks all instances for their state at once, and takes two samples for rates.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use segment::balancer::PortReport;
use serde::Serialize;

use crate::commands::ps::figures::{Look, Rates};
use crate::commands::ps::shares;
use crate::log::file::now_ms;
use crate::state::InstanceState;
use crate::state::run_dir::RunDir;
use crate::supervisor::probe::{self, ProbeResult};

/// How long an instance is given to say how it is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// One instance, as `cargo ps --json` gives it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Name of the service.
    pub service: String,
    /// Name of the instance.
    pub instance: String,
    /// Whether the machine runs.
    pub state: Life,
    /// What its health check says now.
    pub health: Condition,
    /// Its process; absent when it has ended.
    pub pid: Option<i32>,
    /// Memory of the host that the whole machine occupies, QEMU included; 0 when it has ended.
    pub memory_bytes: u64,
    /// Time since its start, in seconds; 0 when it has ended.
    pub uptime_s: u64,
    /// Where it is reached on the host.
    pub endpoint: String,
    /// How often it has been started again.
    pub restarts: u32,
    /// Memory that its program has given out; absent when it does not say.
    pub heap_bytes: Option<u64>,
    /// Share of one processor of the host that the whole machine has had lately, in percent.
    pub cpu_percent: Option<f64>,
    /// Requests that it has answered lately in a second, or commands; absent when it does not say.
    pub requests_per_s: Option<f64>,
    /// Connections from shared ports that are open; absent when it shares none.
    pub connections: Option<usize>,
    /// Its share of all connections from shared ports of its service, in percent; absent when it shares none.
    pub share_percent: Option<f64>,
}

/// One instance, and what its rates are worked out from.
#[derive(Clone, Debug)]
pub struct Seen {
    row: Row,
    look: Option<Look>,
}

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Life {
    /// It runs.
    Running,
    /// It has ended, and is going to be started again.
    Restarting,
    /// It has ended.
    Exited,
}

/// What a health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// It has not been healthy yet.
    Starting,
    /// It answers 200.
    Healthy,
    /// It was healthy, and is not now.
    Unhealthy,
    /// There is nobody to ask.
    None,
}

/// What runs, by one look.
///
/// # Errors
/// When the state file cannot be read.
pub fn look(run_dir: &RunDir) -> Result<Vec<Seen>> {
    let Some(state) = run_dir.read_state()? else { return Ok(Vec::new()) };
    let reports = shares::reports(run_dir);
    // All are asked at once: one that is stuck is not to make the others wait.
    let seen = thread::scope(|scope| {
        let asked: Vec<_> =
            state.instances.iter().map(|state| scope.spawn(|| see(state, &reports))).collect();
        asked.into_iter().filter_map(|asked| asked.join().ok()).collect()
    });
    Ok(seen)
}

/// The rows of the later look, with what has happened since the earlier one.
pub fn with_rates(before: &[Seen], now: Vec<Seen>) -> Vec<Row> {
    let rates = |seen: &Seen| {
        let earlier = before.iter().find(|earlier| earlier.row.pid == seen.row.pid)?;
        Some(seen.look?.since(&earlier.look?))
    };
    now.into_iter()
        .map(|seen| {
            let Rates { cpu_percent, requests_per_s } = rates(&seen).unwrap_or_default();
            Row { cpu_percent, requests_per_s, ..seen.row }
        })
        .collect()
}

fn see(state: &InstanceState, reports: &[PortReport]) -> Seen {
    let runs = state.ended.is_none() && state.process.runs();
    let health = match runs.then(|| probe::ask(&state.health, ANSWER_TIMEOUT)) {
        None => Condition::None,
        Some(ProbeResult::Healthy) => Condition::Healthy,
        Some(_) if state.healthy_after_ms.is_none() => Condition::Starting,
        Some(_) => Condition::Unhealthy,
    };
    let look = runs.then(|| {
        // One that does not say how it is would not tell its metrics either.
        let metrics = (health == Condition::Healthy).then(|| probe::metrics(&state.health, ANSWER_TIMEOUT));
        Look::new(Instant::now(), state.process.cpu_time(), metrics.flatten().as_deref())
    });
    let share = shares::of(reports, &state.instance);
    let row = Row {
        service: state.service.clone(),
        instance: state.instance.clone(),
        state: match runs {
            true => Life::Running,
            false if state.restarting => Life::Restarting,
            false => Life::Exited,
        },
        health,
        pid: runs.then_some(state.process.pid),
        memory_bytes: if runs { state.process.resident_bytes() } else { 0 },
        uptime_s: if runs { now_ms().saturating_sub(state.started_ms) / 1000 } else { 0 },
        endpoint: state.endpoint.clone(),
        restarts: state.restarts,
        heap_bytes: look.and_then(|look| look.heap_bytes),
        cpu_percent: None,
        requests_per_s: None,
        connections: share.map(|share| share.open),
        share_percent: share.and_then(|share| share.percent),
    };
    Seen { row, look }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The processes of those that are there.
    pub fn pids(run_dir: &RunDir) -> Vec<Option<i32>> {
        look(run_dir).expect("a state").into_iter().map(|seen| seen.row.pid).collect()
    }

    /// A row of somebody who runs.
    pub fn row() -> Row {
        Row {
            service: "vote".to_owned(),
            instance: "vote-1".to_owned(),
            state: Life::Running,
            health: Condition::Healthy,
            pid: Some(7),
            memory_bytes: 41_943_040,
            uptime_s: 12,
            endpoint: "http://127.0.0.1:8080".to_owned(),
            restarts: 2,
            heap_bytes: Some(524_288),
            cpu_percent: Some(12.5),
            requests_per_s: Some(1234.0),
            connections: None,
            share_percent: None,
        }
    }

    #[test]
    fn json_begins_with_exactly_the_agreed_fields() {
        let agreed = r#"[{"service":"vote","instance":"vote-1","state":"running","health":"healthy","pid":7,"memory_bytes":41943040,"uptime_s":12,"endpoint":"http://127.0.0.1:8080","#;
        let further = r#""restarts":2,"heap_bytes":524288,"cpu_percent":12.5,"requests_per_s":1234.0,"#;
        let shares = r#""connections":3,"share_percent":33.3}]"#;
        let row = Row { connections: Some(3), share_percent: Some(33.3), ..row() };
        assert_eq!(serde_json::to_string(&[&row]).expect("JSON"), format!("{agreed}{further}{shares}"));
    }

    #[test]
    fn an_instance_that_was_started_again_has_no_rates_yet() {
        let look = |cpu_ms| Some(Look::new(Instant::now(), Duration::from_millis(cpu_ms), None));
        let before = [Seen { row: row(), look: look(100) }];
        let another = Row { pid: Some(8), cpu_percent: None, requests_per_s: None, ..row() };
        let rows = with_rates(&before, vec![Seen { row: another.clone(), look: look(5) }]);
        assert_eq!(rows, [another]);
    }
}
