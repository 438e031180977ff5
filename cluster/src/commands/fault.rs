//! `cargo fault`: faults on the network of the running application, on demand. The command sends the request; the
//! application's own network causes the faults (`segment::faults`).

use std::time::Duration;

use anyhow::{Context, Result, bail};
use segment::faults::{Fault, Listed};
use segment::host::{Request, Response, Status, ask};

use crate::commands::options::FaultOptions;
use crate::network;
use crate::plan::Net;
use crate::state::run_dir::RunDir;
use image_build::tool::output;

/// Gives the order, and prints the faults as they are then.
///
/// # Errors
/// When no application runs on a network of its own, or the order is wrong.
pub fn fault(run_dir: &RunDir, options: &FaultOptions) -> Result<()> {
    let state = run_dir.read_state()?.filter(|state| state.supervisor.runs());
    let state = state.context("nothing runs: start it with `cargo up --net switch`")?;
    let net = state.plan.network.net;
    if net != Net::Switch {
        bail!(
            "{} runs on another network: `cargo down`, then `cargo up --net switch`",
            state.plan.application
        );
    }
    match ask(&network::folder(run_dir.path()), &request(options)?)? {
        Response::Refused(reason) => bail!(reason),
        Response::Done(status) => output::print(&text(&status))?,
    }
    Ok(())
}

fn request(options: &FaultOptions) -> Result<Request> {
    if options.list {
        return Ok(Request::List);
    }
    if options.clear {
        return Ok(Request::Clear);
    }
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Ok(Request::Begin(Fault {
        between: options.between.clone().context("--between: name two services, such as worker,store")?,
        one_way: options.one_way,
        drop_percent: options.drop.unwrap_or(0.0),
        delay_ms: options.delay.map_or(0, ms),
        jitter_ms: options.jitter.map_or(0, ms),
        partition: options.partition,
        for_ms: options.time.map(ms),
        seed: options.seed,
    }))
}

fn text(status: &Status) -> String {
    if status.faults.is_empty() {
        return "no faults\n".to_owned();
    }
    status.faults.iter().map(line).collect()
}

fn line(Listed { fault, left_ms }: &Listed) -> String {
    let (one, other) = &fault.between;
    let mut effects = Vec::new();
    if fault.partition {
        effects.push("nothing passes".to_owned());
    }
    if fault.drop_percent > 0.0 {
        effects.push(format!("{}% lost", fault.drop_percent));
    }
    if fault.delay_ms > 0 || fault.jitter_ms > 0 {
        let jitter = if fault.jitter_ms > 0 {
            format!(" to {}", fault.delay_ms + fault.jitter_ms)
        } else {
            String::new()
        };
        effects.push(format!("{}{jitter} ms late", fault.delay_ms));
    }
    let arrow = if fault.one_way { "->" } else { "<->" };
    let left = left_ms.map_or("until `cargo fault --clear`".to_owned(), |ms| {
        format!("for another {}.{} s", ms / 1000, ms % 1000 / 100)
    });
    format!("{one} {arrow} {other}: {}, {left}\n", effects.join(", "))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: FaultOptions,
    }

    fn parse(line: &str) -> Result<Request, String> {
        let line = Line::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?;
        request(&line.options).map_err(|error| error.to_string())
    }

    #[test]
    fn an_order_is_read_and_told() {
        let Ok(Request::Begin(fault)) = parse("fault --drop 5 --delay 50ms --between worker,store --for 10s")
        else {
            panic!("an order");
        };
        assert_eq!(fault.between, ("worker".to_owned(), "store".to_owned()));
        assert_eq!((fault.drop_percent, fault.delay_ms, fault.for_ms), (5.0, 50, Some(10_000)));
        let told = line(&Listed { fault, left_ms: Some(9_870) });
        assert_eq!(told, "worker <-> store: 5% lost, 50 ms late, for another 9.8 s\n");
        let Ok(Request::Begin(cut)) = parse("fault --partition --one-way --between vote,store") else {
            panic!("an order");
        };
        let told = line(&Listed { fault: cut, left_ms: None });
        assert_eq!(told, "vote -> store: nothing passes, until `cargo fault --clear`\n");
        assert_eq!(parse("fault --list"), Ok(Request::List));
        assert_eq!(parse("fault --clear"), Ok(Request::Clear));
    }

    #[test]
    fn what_is_no_order_is_refused_with_an_example() {
        for (wrong, word) in [
            ("fault", "--between"),
            ("fault --drop x --between a,b", "such as 5"),
            ("fault --drop 5 --between a", "such as worker,store"),
            ("fault --drop 5 --between a,b,c", "such as worker,store"),
            ("fault --delay 50 --between a,b", "such as 50ms"),
            ("fault --delay=-5ms --between a,b", "such as 50ms"),
            ("fault --partition --between a,b --for 99999999999999999999s", "such as 50ms"),
            ("fault --list --clear", "cannot be used with"),
        ] {
            let error = parse(wrong).expect_err(wrong);
            assert!(error.contains(word), "{wrong}: {error}");
        }
    }
}
