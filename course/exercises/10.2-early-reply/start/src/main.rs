//! Runs seeds: `--seeds N` until one fails, `--seed N` that one, with what happened.

use std::process::ExitCode;

use exercise_10_2::world::run;

/// How much of a failing seed is shown.
const LINES_SHOWN: usize = 16;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = words.get(1).and_then(|word| word.parse::<u64>().ok());
    match (words.first().map(String::as_str), number) {
        (Some("--seeds"), Some(count)) => search(count),
        (Some("--seed"), Some(seed)) => show(seed),
        _ => {
            eprintln!("give --seeds N or --seed N");
            ExitCode::from(2)
        }
    }
}

fn search(count: u64) -> ExitCode {
    let loss = (0..count).find_map(|seed| Some((seed, run(seed).loss?)));
    let Some((seed, loss)) = loss else {
        println!("{count} seeds: nothing that was told is lost");
        return ExitCode::SUCCESS;
    };
    println!("seed {seed}: {loss}\nrun it again: cargo run -- --seed {seed}");
    ExitCode::FAILURE
}

fn show(seed: u64) -> ExitCode {
    let run = run(seed);
    let hidden = run.chronicle.len().saturating_sub(LINES_SHOWN);
    println!("{hidden} lines before");
    run.chronicle.iter().skip(hidden).for_each(|line| println!("{line}"));
    match run.loss {
        None => println!("nothing that was told is lost: {:?}", run.counts),
        Some(ref loss) => println!("{loss}"),
    }
    if run.loss.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
