//! The whole application as `cargo up` starts it: idle, under ApacheBench, and with a full queue.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;
use tests::application::Application;
use tests::client::{ab, wait_for};
use tests::command::run;
use tests::needs::program;

/// How long the idle application is watched.
const IDLE: Duration = Duration::from_secs(20);
/// Rounds of each load; the median counts.
const ROUNDS: usize = 3;
/// Votes that the worker finds in the queue.
const QUEUE: usize = 20_000;
/// They are counted by then, or never.
const QUEUE_LIMIT: Duration = Duration::from_secs(60);
/// Clock ticks a second in /proc (sysconf(_SC_CLK_TCK) on Linux).
const TICKS_PER_SECOND: f64 = 100.0;

/// Measures the application on a machine of this name.
pub fn measure(machine: &str, row: fn(&str, &str)) -> Result<()> {
    let project = format!("measure-{machine}");
    let application = Application::up(&project, &["--machine", machine])
        .map_err(|outcome| anyhow!("{}", outcome.stderr))?;
    row(
        &format!("idle CPU of all four, {machine}"),
        &format!("{:.1}% of a core", idle_percent(&application)?),
    );
    let url = application.vote_url();
    let form = std::env::temp_dir().join(format!("vote-{}", std::process::id()));
    fs::write(&form, "vote=a")?;
    let form_path = form.to_str().context("a path in UTF-8")?;
    let post = ["-p", form_path, "-T", "application/x-www-form-urlencoded"];
    let loads: [(&str, Vec<&str>); 4] = [
        ("GET, `ab -k -c 16 -n 30000`", vec!["-k", "-c", "16", "-n", "30000"]),
        ("GET, `ab -c 16 -n 10000`", vec!["-c", "16", "-n", "10000"]),
        ("POST, `ab -c 50 -n 5000`", [&post[..], &["-c", "50", "-n", "5000"]].concat()),
        ("POST, `ab -k -c 50 -n 10000`", [&post[..], &["-k", "-c", "50", "-n", "10000"]].concat()),
    ];
    for (what, arguments) in loads {
        let rate = median_rate(&[&arguments[..], &[url.as_str()]].concat())?;
        row(&format!("{what}, vote on {machine}"), &format!("{rate:.0} requests/s"));
    }
    fs::remove_file(&form)?;
    row(
        &format!("worker, {QUEUE} votes in the queue, {machine}"),
        &format!("{:.0} votes/s", worker_rate(&application)?),
    );
    Ok(())
}

fn idle_percent(application: &Application) -> Result<f64> {
    let before = ticks(application)?;
    std::thread::sleep(IDLE);
    Ok((ticks(application)? - before) / TICKS_PER_SECOND / IDLE.as_secs_f64() * 100.0)
}

/// Processor time of all instances so far, in clock ticks (proc(5), fields 14 and 15 of stat).
fn ticks(application: &Application) -> Result<f64> {
    let mut sum = 0.0;
    for instance in application.instances() {
        let stat = fs::read_to_string(format!("/proc/{}/stat", instance["pid"]))?;
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
        for field in [11, 12] {
            sum += fields.get(field).context("stat is short")?.parse::<f64>()?;
        }
    }
    Ok(sum)
}

fn median_rate(arguments: &[&str]) -> Result<f64> {
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let report = ab(arguments).map_err(|report| anyhow!("{report}"))?;
        let line = report.lines().find(|line| line.starts_with("Requests per second")).context("no rate")?;
        rates.push(line.split_whitespace().nth(3).context("no rate")?.parse::<f64>()?);
    }
    rates.sort_unstable_by(f64::total_cmp);
    Ok(rates[ROUNDS / 2])
}

/// Fills the queue while the worker is stopped, then times it.
fn worker_rate(application: &Application) -> Result<f64> {
    let instances = application.instances();
    let find = |service: &str| instances.iter().find(|instance| instance["service"] == service);
    let worker = find("worker").context("no worker")?["pid"].to_string();
    let store = find("store").and_then(|store| store["endpoint"].as_str()).context("no store")?;
    let port = store.rsplit(':').next().context("no port")?;
    let before = total(application).context("no scores")?;
    ensure!(run(program("kill").args(["-STOP", &worker])).success, "the worker cannot be stopped");
    fill_queue(port)?;
    ensure!(run(program("kill").args(["-CONT", &worker])).success, "the worker cannot go on");
    let begun = Instant::now();
    let wanted = before + QUEUE as u64;
    wait_for(QUEUE_LIMIT, || total(application).filter(|total| *total >= wanted))
        .context("votes are missing")?;
    Ok(QUEUE as f64 / begun.elapsed().as_secs_f64())
}

fn total(application: &Application) -> Option<u64> {
    application.scores().map(|(a, b)| a + b)
}

fn fill_queue(port: &str) -> Result<()> {
    let mut client = program("redis-cli");
    client.args(["-p", port, "--pipe"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut client = client.spawn().context("redis-cli cannot be run: install redis-tools")?;
    let mut input = client.stdin.take().context("redis-cli has no input")?;
    for number in 0..QUEUE {
        let vote: Value = serde_json::json!({ "voter_id": format!("queued-{number}"), "vote": "b" });
        let vote = vote.to_string();
        write!(input, "*3\r\n$5\r\nRPUSH\r\n$5\r\nvotes\r\n${}\r\n{vote}\r\n", vote.len())?;
    }
    drop(input);
    ensure!(client.wait()?.success(), "redis-cli could not fill the queue");
    Ok(())
}
