//! `cargo ps`: what runs, how it is, and what it takes. It changes nothing.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::log_file::now_ms;
use super::options::PsOptions;
use super::probe::{self, Answer};
use super::run_dir::{InstanceState, RunDir};

/// How long an instance is given to say how it is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// One instance, as `cargo ps --json` gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
}

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Life {
    /// It runs.
    Running,
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

/// Prints what runs.
///
/// # Errors
/// When the state file cannot be read.
pub fn ps(run_dir: &RunDir, options: PsOptions) -> Result<()> {
    let rows = rows(run_dir)?;
    let text =
        if options.json { format!("{}\n", serde_json::to_string_pretty(&rows)?) } else { table(&rows) };
    // Whoever reads may have had enough.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// What runs.
///
/// # Errors
/// When the state file cannot be read.
pub fn rows(run_dir: &RunDir) -> Result<Vec<Row>> {
    let Some(state) = run_dir.read_state()? else { return Ok(Vec::new()) };
    // All are asked at once: one that is stuck is not to make the others wait.
    let rows = thread::scope(|scope| {
        let asked: Vec<_> = state.instances.iter().map(|state| scope.spawn(|| row(state))).collect();
        asked.into_iter().filter_map(|asked| asked.join().ok()).collect()
    });
    Ok(rows)
}

fn row(state: &InstanceState) -> Row {
    let runs = state.ended.is_none() && state.process.runs();
    let health = match runs.then(|| probe::ask(&state.health, ANSWER_TIMEOUT)) {
        None => Condition::None,
        Some(Answer::Healthy) => Condition::Healthy,
        Some(_) if state.healthy_after_ms.is_none() => Condition::Starting,
        Some(_) => Condition::Unhealthy,
    };
    Row {
        service: state.service.clone(),
        instance: state.instance.clone(),
        state: if runs { Life::Running } else { Life::Exited },
        health,
        pid: runs.then_some(state.process.pid),
        memory_bytes: if runs { state.process.resident_bytes() } else { 0 },
        uptime_s: if runs { now_ms().saturating_sub(state.started_ms) / 1000 } else { 0 },
        endpoint: state.endpoint.clone(),
    }
}

fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "nothing runs: `cargo up` starts the application\n".to_owned();
    }
    let mut text = line(["INSTANCE", "STATE", "HEALTH", "PID", "MEMORY", "UPTIME", "ENDPOINT"]);
    for row in rows {
        let (state, health) = (word(&row.state), word(&row.health));
        let pid = row.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let memory = format!("{:.1} MiB", row.memory_bytes as f64 / f64::from(1 << 20));
        let uptime = format!("{} s", row.uptime_s);
        text += &line([&row.instance, &state, &health, &pid, &memory, &uptime, &row.endpoint]);
    }
    text
}

/// The word that stands for it in JSON.
fn word(value: &impl Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or("?").to_owned()
}

fn line([instance, state, health, pid, memory, uptime, endpoint]: [&str; 7]) -> String {
    format!("{instance:<12} {state:<8} {health:<10} {pid:>8} {memory:>11} {uptime:>8}  {endpoint}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_exactly_the_agreed_fields() {
        let row = Row {
            service: "vote".to_owned(),
            instance: "vote-1".to_owned(),
            state: Life::Running,
            health: Condition::Healthy,
            pid: Some(7),
            memory_bytes: 41_943_040,
            uptime_s: 12,
            endpoint: "http://127.0.0.1:8080".to_owned(),
        };
        let expected = r#"[{"service":"vote","instance":"vote-1","state":"running","health":"healthy","pid":7,"memory_bytes":41943040,"uptime_s":12,"endpoint":"http://127.0.0.1:8080"}]"#;
        assert_eq!(serde_json::to_string(&[&row]).expect("JSON"), expected);
        let text = table(&[row]);
        assert!(text.contains("vote-1") && text.contains("40.0 MiB") && text.contains("12 s"), "{text}");
        assert!(table(&[]).starts_with("nothing runs"));
    }
}
