//! Plays random commands to redis-server and to the store, as many as are asked for, and compares all replies.
//!
//! What is played and what is compared is `tests::differential`'s business.

use std::process::ExitCode;

use clap::Parser;
use tests::differential::{Coverage, Mix, Pair, STREAM_COMMANDS};

/// Compares the store with redis-server, command by command
#[derive(Debug, Parser)]
struct Options {
    /// How many streams of 5,000 commands for each mix
    #[arg(long, default_value_t = 200, conflicts_with = "seed")]
    streams: u64,
    /// The first seed
    #[arg(long, default_value_t = 0, conflicts_with = "seed")]
    first: u64,
    /// This seed alone
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let (first, count) = options.seed.map_or((options.first, options.streams), |seed| (seed, 1));
    for mix in Mix::ALL {
        let pair = Pair::start(mix);
        let mut coverage = Coverage::default();
        for seed in first..first + count {
            if let Err(difference) = pair.check(seed, &mut coverage) {
                println!("{mix:?}: {difference}");
                return ExitCode::FAILURE;
            }
        }
        println!(
            "{mix:?}: {} commands, {count} streams of {STREAM_COMMANDS}, no difference",
            coverage.commands
        );
        println!("{}", coverage.table());
    }
    ExitCode::SUCCESS
}
