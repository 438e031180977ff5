//! `cargo run -p tests --bin crash -- --rounds 50`: any number of rounds of [`tests::crash`].
#![cfg(not(target_os = "hermit"))]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tests::crash;

#[derive(Parser)]
#[command(about = "Kills the application's machines while voters vote, and compares the scores")]
struct Cli {
    /// Rounds of voting; each takes some seconds
    #[arg(long, default_value_t = 50)]
    rounds: u32,
    /// What gives the same victims and pauses again [default: the time]
    #[arg(long)]
    seed: Option<u64>,
    /// Where logs and the store's disk are left
    #[arg(long, value_name = "DIR", default_value = "target/crash")]
    folder: PathBuf,
}

fn main() -> ExitCode {
    let Cli { rounds, seed, folder } = Cli::parse();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    let seed = seed.unwrap_or_else(|| u64::from(now.subsec_nanos()) ^ now.as_secs());
    println!("seed {seed}, {rounds} rounds");
    match crash::run(&folder, seed, rounds) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
