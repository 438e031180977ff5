//! The store against redis-server under redis-benchmark, both as processes of this host.
//!
//! Both run throughout, and are loaded by turns, so that what else the machine does meets both. Figures are
//! medians of rounds; a ratio is the median of the rounds' ratios.

use std::process::Command;

use anyhow::{Context as _, Result};
use image_build::say;
use image_build::tool::packages;
use image_build::tool::packages::table::REDIS;
use image_build::tool::process;
use image_build::vm::accelerator::Choice;

use crate::child::processor_seconds;
use crate::client::free_address;
use crate::context::Context;
use crate::statistics::summary;
use crate::substrate::{self, Instance, Order, Port, Program, READY_LIMIT, redis};

/// What is measured, in this order: what is pushed is popped again.
const TESTS: [&str; 3] = ["rpush", "lpop", "hset"];
/// Connections, and requests that are sent at once on each.
const CLIENTS: &str = "50";
const PIPELINE: &str = "16";

/// What one test on one server gave: requests each second, and microseconds of the server's processor time for each.
type Sample = [f64; 2];

/// `cargo compare store`: prints a table for a store in memory and one for a store that keeps its data.
///
/// # Errors
/// When a server cannot be built, started or loaded.
pub fn run(rounds: usize, requests: u32) -> Result<()> {
    packages::ensure(&REDIS)?;
    let context = Context::find(Choice::Tcg, None, false)?;
    let processes = substrate::find(&[], "native")?;
    processes.prepare(&context)?;
    let processes = processes.open(&context)?;
    let folder = tempfile::tempdir_in(context.artifacts("store")?).context("no directory for servers")?;
    let data = folder.path().join("data").display().to_string();
    let in_memory = ("in memory", &["--save", ""][..], &[("MAXMEMORY", "1gb"), ("LOG", "warn")][..]);
    let durable = (
        "durable before the reply",
        &["--save", "", "--appendonly", "yes", "--appendfsync", "always"][..],
        &[("MAXMEMORY", "1gb"), ("LOG", "warn"), ("DATA", data.as_str()), ("DATA_SIZE", "2gb")][..],
    );
    for (title, arguments, settings) in [in_memory, durable] {
        let order = |name, settings| Order::new(Program::Store, name, settings, folder.path());
        let address = free_address()?;
        let mut redis = redis::start(&context, &order("redis", &[]), address, arguments)?;
        redis.await_answer(READY_LIMIT, "a PING", || redis::answers(address))?;
        let store = substrate::ready(processes.start(&order("store", settings))?, Program::Store)?;
        compare(title, [&redis, &store], rounds, requests)?;
    }
    Ok(())
}

/// Prints a table of the tests, `servers` being redis-server and the store.
fn compare(title: &str, servers: [&Instance; 2], rounds: usize, requests: u32) -> Result<()> {
    let mut samples: Vec<Vec<[Sample; 2]>> = vec![Vec::new(); TESTS.len()];
    for round in 0..rounds {
        let mut of_round = [[Sample::default(); 2]; TESTS.len()];
        // Whoever begins one round is second in the next.
        for at in [round % 2, 1 - round % 2] {
            for (test, samples) in TESTS.iter().zip(&mut of_round) {
                samples[at] = load(servers[at], test, requests)?;
            }
            benchmark(servers[at], &["-n", "1", "FLUSHALL"])?;
        }
        samples.iter_mut().zip(of_round).for_each(|(samples, pair)| samples.push(pair));
    }
    say!("\n{title}, -c {CLIENTS} -P {PIPELINE}:\n")?;
    say!("| test | redis-server | store | ratio | CPU a request, redis-server | store | ratio |")?;
    say!("|---|---|---|---|---|---|---|")?;
    for (test, samples) in TESTS.iter().zip(&samples) {
        let median = |of: &dyn Fn(&[Sample; 2]) -> f64| {
            summary(&samples.iter().map(of).collect::<Vec<f64>>()).map_or(0.0, |summary| summary.median)
        };
        let of = |figure: usize| [0usize, 1].map(|server| median(&|pair| pair[server][figure]));
        let ratio = |figure: usize| median(&|pair| pair[1][figure] / pair[0][figure]);
        let ([redis, store], [redis_cpu, store_cpu]) = (of(0), of(1));
        say!(
            "| {} | {redis:.0}/s | {store:.0}/s | {:.2} | {redis_cpu:.2} µs | {store_cpu:.2} µs | {:.2} |",
            test.to_uppercase(),
            ratio(0),
            ratio(1)
        )?;
    }
    Ok(())
}

fn load(server: &Instance, test: &str, requests: u32) -> Result<Sample> {
    let before = processor_seconds(&server.processes)?;
    let report = benchmark(server, &["-n", &requests.to_string(), "-P", PIPELINE, "--csv", "-t", test])?;
    let cpu = processor_seconds(&server.processes)? - before;
    // A heading, then the test's name and its rate, each between quotes.
    let rate = report.lines().nth(1).and_then(|line| line.split(',').nth(1)?.trim_matches('"').parse().ok());
    let rate = rate.with_context(|| format!("redis-benchmark reports no rate: {report}"))?;
    Ok([rate, cpu * 1e6 / f64::from(requests)])
}

fn benchmark(server: &Instance, arguments: &[&str]) -> Result<String> {
    let port = server.endpoint(Port::Store)?.host.port().to_string();
    let mut command = Command::new("redis-benchmark");
    process::output(command.args(["-p", &port, "-c", CLIENTS]).args(arguments), "running redis-benchmark")
}
