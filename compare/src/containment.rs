//! A network, a process table and mounts of a run's own, which end with it, whatever ends it.
//!
//! Only root can have them. Without, each process is tied to its starter, and containers are removed by
//! their label.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use image_build::tool::process;

/// Tells the inner program that it is contained.
const VARIABLE: &str = "VOTING_APP_COMPARE_CONTAINED";

/// Whether this program runs contained.
pub fn is_inside() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// Whether this system gives a container to this user.
pub fn is_possible() -> bool {
    let mut command = Command::new("unshare");
    command.args(ARGUMENTS).args(["ip", "link", "set", "lo", "up"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

const ARGUMENTS: [&str; 6] = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];

/// The measuring half of this program as a child, contained if `contained`.
///
/// # Errors
/// When it cannot be started.
pub fn measure(run: &Path, contained: bool, arguments: &[String]) -> Result<std::process::Child> {
    let own = std::env::current_exe().context("the path of this program is not known")?;
    let mut command = if contained {
        let mut command = Command::new("unshare");
        command.args(ARGUMENTS).arg(own).env(VARIABLE, "1");
        command
    } else {
        Command::new(own)
    };
    command.arg("measure").arg(run).args(arguments);
    let mut command = process::bound(&command)?;
    command.stdin(Stdio::null()).spawn().context("the measuring program cannot be started")
}

/// Brings up the loopback of the run's own network, with all ports there are: a load without keep-alive
/// takes one for each request, and leaves it waiting for a minute.
pub fn enter() -> Result<()> {
    let mut command = Command::new("ip");
    process::output(command.args(["link", "set", "lo", "up"]), "bringing up the loopback")?;
    for (name, value) in [("ip_local_port_range", "1024 65535"), ("tcp_tw_reuse", "1")] {
        let path = format!("/proc/sys/net/ipv4/{name}");
        std::fs::write(&path, value).with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}
