//! A vote page alone, as several measurements start it: connected to no store, asked for its page.
//!
//! Judges only whether the page is the right one.

use std::fs;
use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Site;
use crate::client;
use crate::substrate::{Instance, Order, Port, Program};

/// Where no store is.
const NO_STORE: &str = "redis://127.0.0.1:1";

/// Starts one, and says where its page is.
///
/// # Errors
/// When it cannot be started.
pub fn start(site: &Site, name: &str, memory_mib: Option<u32>) -> Result<(Instance, SocketAddrV4)> {
    let settings = vec![("REDIS_URL".to_owned(), NO_STORE.to_owned())];
    let name = name.to_owned();
    let program = Program::Vote;
    let order = Order { program, name, settings, memory_mib, directory: site.directory, counted: None };
    // What an earlier one of this name has said is not to be taken for its words.
    let _ = fs::remove_file(order.log());
    let instance = site.substrate.vote(&order)?;
    let host = instance.endpoint(Port::Vote)?.host;
    Ok((instance, host))
}

/// Waits for the first 200 and checks the page; the time since the start began.
///
/// # Errors
/// When it ends, does not answer in time, or answers with another page.
pub fn first_page(instance: &mut Instance, host: SocketAddrV4, limit: Duration) -> Result<Duration> {
    let time = client::first_ok(instance, host, "/", limit)?;
    check_page(host)?;
    Ok(time)
}

/// Asks for the page once.
///
/// # Errors
/// When it is not the vote page.
pub fn check_page(host: SocketAddrV4) -> Result<()> {
    let page = client::get(host, "/").context("the vote page does not answer")?;
    let is_right = page.status == 200 && page.body.contains("Cats") && page.body.contains("Dogs");
    ensure!(is_right, "the vote page answers wrongly: status {}, {:.300}", page.status, page.body);
    Ok(())
}
