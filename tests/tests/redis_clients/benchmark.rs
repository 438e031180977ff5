//! `redis-benchmark`: the tests of its default set that the store has commands for, alone and pipelined.

use tests::command::{CommandOutput, run};
use tests::programs::program;
use tests::redis::{Server, store};

/// Of the default set; `SADD`, `SPOP`, `ZADD`, `ZPOPMIN` and `MSET` are commands that the store does not have.
const TESTS: &str = "ping,set,get,incr,lpush,rpush,lpop,rpop,hset,lrange";
/// As `redis-benchmark` calls them.
const NAMES: [&str; 15] = [
    "PING_INLINE",
    "PING_MBULK",
    "SET",
    "GET",
    "INCR",
    "LPUSH",
    "RPUSH",
    "LPOP",
    "RPOP",
    "HSET",
    "LPUSH (needed to benchmark LRANGE)",
    "LRANGE_100 (first 100 elements)",
    "LRANGE_300 (first 300 elements)",
    "LRANGE_500 (first 500 elements)",
    "LRANGE_600 (first 600 elements)",
];

fn benchmark(server: &Server, arguments: &[&str]) -> CommandOutput {
    let mut command = program("redis-benchmark");
    command.args(["-p", &server.address.port().to_string(), "--csv", "-n", "5000"]);
    run(command.args(arguments))
}

fn assert_all_are_measured(server: &Server, arguments: &[&str]) {
    let outcome = benchmark(server, &[&["-t", TESTS], arguments].concat());
    assert!(outcome.success, "{outcome:?}");
    let measured = outcome.stdout.lines().skip(1);
    let measured: Vec<_> = measured.filter_map(|line| line.split("\",").next()?.strip_prefix('"')).collect();
    assert_eq!(measured, NAMES, "{outcome:?}");
}

#[test]
fn redis_benchmark_measures_what_the_store_has() {
    let server = store(&[]);
    assert_all_are_measured(&server, &[]);
    assert_all_are_measured(&server, &["-P", "16"]);
    assert_all_are_measured(&server, &["-c", "200", "-d", "100", "-r", "100000"]);
}

#[test]
fn redis_benchmark_runs_any_command_that_is_given() {
    let server = store(&[]);
    let outcome = benchmark(&server, &["-P", "16", "LMOVE", "a", "b", "LEFT", "RIGHT"]);
    assert!(outcome.success, "{outcome:?}");
}

#[test]
fn redis_benchmark_tells_of_a_command_that_is_not_there_in_redis_words() {
    let server = store(&[]);
    let outcome = benchmark(&server, &["-t", "sadd"]);
    let said = outcome.stdout + &outcome.stderr;
    assert!(said.contains("ERR unknown command 'SADD', with args beginning with: "), "{said}");
}
