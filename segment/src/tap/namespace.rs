//! A network namespace without a name, so that nothing of it can be left behind.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Makes a new network, which is there as long as the file is open.
pub fn make() -> Result<File> {
    // It takes a call that is unsafe in Rust; the system's program does it for a moment.
    let mut maker = Command::new("unshare")
        .args(["--net", "--", "sh", "-c", "echo && read word"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("unshare (util-linux) cannot be started")?;
    let mut ready = [0];
    let said = maker.stdout.take().context("it has an output")?.read(&mut ready);
    let network = File::open(format!("/proc/{}/ns/net", maker.id()));
    // It ends when its input does.
    drop(maker.stdin.take());
    maker.wait()?;
    ensure!(said.is_ok_and(|count| count == 1), "the system gives no network of its own: it takes root");
    network.context("the new network is gone")
}

/// Does something in a network, from a thread that is in it and stays there, as those that it starts do.
pub fn inside<T: Send>(network: &File, act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
                .context("the new network cannot be entered: it takes root")?;
            act()
        });
        thread.join().unwrap_or_else(|_| bail!("a thread panicked"))
    })
}
