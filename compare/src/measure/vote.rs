//! A vote page alone, as several measurements start it: connected to no store, asked for its page.
//!
//! Judges only whether the page is the right one.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::site::Site;
use crate::client;
use crate::substrate::{Instance, Order, Port, Program};

/// Where no store is.
const NO_STORE: &str = "redis://127.0.0.1:1";

/// Starts one.
///
/// # Errors
/// When it cannot be started.
pub fn start(site: &Site, name: &str, memory_mib: Option<u32>) -> Result<Instance> {
    let order = Order::new(Program::Vote, name, &[("REDIS_URL", NO_STORE)], site.directory);
    // What an earlier one of this name has said is not to be taken for its words.
    let _ = fs::remove_file(order.log());
    site.substrate.vote(&Order { memory_mib, ..order })
}

/// Waits for the first 200 and checks the page; the time since the start began.
///
/// # Errors
/// When it ends, does not answer in time, or answers with another page.
pub fn first_page(instance: &mut Instance, limit: Duration) -> Result<Duration> {
    let time = instance.first_ok(Port::Vote, "/", limit)?;
    check_page(instance)?;
    Ok(time)
}

/// Asks for the page once.
///
/// # Errors
/// When it is not the vote page.
pub fn check_page(instance: &Instance) -> Result<()> {
    let page =
        client::get(instance.endpoint(Port::Vote)?.host, "/").context("the vote page does not answer")?;
    let text = page.text();
    let is_right = page.status == 200 && ["<form", "Cats", "Dogs"].iter().all(|part| text.contains(part));
    ensure!(is_right, "the vote page answers wrongly: status {}, {text:.300}", page.status);
    Ok(())
}
