//! The first process of a pod: it holds the pod's namespaces while containers come and go, and collects processes whose
//! parents have ended. The container engine kills it in the end.
#![forbid(unsafe_code)]

use std::thread;
use std::time::Duration;

use rustix::process::{WaitOptions, wait};

/// How long a process that has ended stays in the table.
const PAUSE: Duration = Duration::from_secs(1);

fn main() {
    loop {
        // An error says that there is no child, as in most pods.
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        thread::sleep(PAUSE);
    }
}
