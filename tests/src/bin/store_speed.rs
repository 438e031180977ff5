//! The store against redis-server under redis-benchmark: `cargo run --release -p tests --bin store_speed`.
//!
//! Both run throughout, and are loaded by turns, so that what else the machine does meets both. Figures are
//! medians of rounds; a ratio is the median of the rounds' ratios.

use std::fs;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tests::command::run;
use tests::needs::program;
use tests::redis::{Server, redis, store_of};
use tests::running::release_programs;

/// What is measured, in this order: what is pushed is popped again.
const TESTS: [&str; 3] = ["rpush", "lpop", "hset"];
/// Clock ticks a second in /proc (sysconf(_SC_CLK_TCK) on Linux).
const TICKS_PER_SECOND: f64 = 100.0;

/// Measures the store's throughput beside that of redis-server
#[derive(Debug, Parser)]
struct Options {
    /// How many rounds
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Requests of each test in a round
    #[arg(long, default_value_t = 400_000)]
    requests: usize,
    /// Connections
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// Requests that are sent at once on each
    #[arg(long, default_value_t = 16)]
    pipeline: usize,
}

/// One test on one server.
#[derive(Clone, Copy)]
struct Sample {
    requests_per_second: f64,
    /// Processor time of the server for each request.
    cpu_micros: f64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let program = release_programs(&["store-service"]).remove(0);
    let memory = [redis(&[]), store_of(&program, &[("MAXMEMORY", "1gb")])];
    measure("in memory", &options, &memory)?;
    drop(memory);
    let append_only = ["--appendonly", "yes", "--appendfsync", "always"];
    let data = [("MAXMEMORY", "1gb"), ("DATA", "data"), ("DATA_SIZE", "2gb")];
    measure("durable before the reply", &options, &[redis(&append_only), store_of(&program, &data)])
}

/// Prints a table of the tests, `servers` being redis-server and the store.
fn measure(persistence: &str, options: &Options, servers: &[Server; 2]) -> Result<()> {
    let mut samples: Vec<Vec<[Sample; 2]>> = vec![Vec::new(); TESTS.len()];
    for round in 0..options.rounds {
        let mut of_round = [[None; 2]; TESTS.len()];
        // Whoever begins one round is second in the next.
        for at in [round % 2, 1 - round % 2] {
            for (test, samples) in TESTS.iter().zip(&mut of_round) {
                samples[at] = Some(sample(&servers[at], test, options)?);
            }
            servers[at].connect().ask(&[b"FLUSHALL"])?;
        }
        for (samples, pair) in samples.iter_mut().zip(of_round) {
            samples.extend(pair[0].zip(pair[1]).map(|(redis, store)| [redis, store]));
        }
    }
    println!("\n{persistence}, -c {} -P {}:\n", options.clients, options.pipeline);
    println!("| test | redis-server | store | ratio | CPU a request, redis-server | store | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for (test, samples) in TESTS.iter().zip(&samples) {
        let rate = summary(samples, |sample| sample.requests_per_second, |rate| format!("{rate:.0}/s"));
        let cpu = summary(samples, |sample| sample.cpu_micros, |micros| format!("{micros:.2} µs"));
        println!("| {} | {rate} | {cpu} |", test.to_uppercase());
    }
    Ok(())
}

/// Redis's median, the store's, and that of their ratios.
fn summary(samples: &[[Sample; 2]], of: fn(&Sample) -> f64, show: fn(f64) -> String) -> String {
    let [redis, store] = [0, 1].map(|at| median(samples.iter().map(|pair| of(&pair[at])).collect()));
    let ratio = median(samples.iter().map(|[redis, store]| of(store) / of(redis)).collect());
    format!("{} | {} | {ratio:.2}", show(redis), show(store))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn sample(server: &Server, test: &str, options: &Options) -> Result<Sample> {
    let before = cpu_seconds(server)?;
    let mut benchmark = program("redis-benchmark");
    benchmark.args(["-p", &server.address.port().to_string(), "-t", test, "--csv"]);
    benchmark.args(["-c", &options.clients.to_string(), "-P", &options.pipeline.to_string()]);
    let outcome = run(benchmark.args(["-n", &options.requests.to_string()]));
    ensure!(outcome.success, "redis-benchmark fails on {}: {}", server.name, outcome.stderr);
    let line = outcome.stdout.lines().nth(1).context("redis-benchmark reports nothing")?;
    let rate = line.split(',').nth(1).context("redis-benchmark reports no rate")?.trim_matches('"');
    let cpu = cpu_seconds(server)? - before;
    Ok(Sample { requests_per_second: rate.parse()?, cpu_micros: cpu * 1e6 / options.requests as f64 })
}

/// Processor time of a server so far (proc(5), fields 14 and 15 of stat).
fn cpu_seconds(server: &Server) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid()))?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let ticks = |at: usize| -> Result<f64> { Ok(fields.get(at).context("stat is short")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}
