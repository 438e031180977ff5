//! A network and host names of a test's own, for programs that look for their servers at fixed names and ports. The
//! test runs once more, in namespaces where the loopback is nobody else's, every port is free, and `/etc/hosts` has
//! the names. They end with it, and so does whatever it has started.
//!
//! Changes nothing on the system, and is no protection: files and rights are the same inside.

use std::env;
use std::fs;
use std::io::Write;

use rustix::process::{getegid, geteuid};
use tempfile::NamedTempFile;

use crate::command::run;
use crate::programs::program;

/// Tells the inner run which test it is.
const VARIABLE: &str = "VOTING_APP_TEST_ENCLOSED";
const HOSTS: &str = "/etc/hosts";
/// Puts the file `$0` in the place of the system's own and runs the program. The shell stays: it is the namespace's
/// first process, which has to collect those whose parents have ended.
const ENTER: &str = "ip link set lo up && mount --bind \"$0\" /etc/hosts && \"$@\"; exit $?";
const NAMESPACES: [&str; 6] = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// Whether this process is the inner run of a test.
pub fn is_any() -> bool {
    env::var_os(VARIABLE).is_some()
}

/// Whether this is the inner run of the test with this name. Otherwise it has been run, and has passed; then the
/// caller has nothing left to do.
///
/// # Panics
/// When it has failed, with all that it said, or the system gives no namespaces to this user.
pub fn is_inside(test: &str, names: &[&str]) -> bool {
    if env::var(VARIABLE).is_ok_and(|inner| inner == test) {
        return true;
    }
    let own = env::current_exe().expect("a test has a path");
    let hosts = hosts(names);
    // The script's; looked for before it runs, as it may have to be installed.
    program("ip");
    let mut command = program("unshare");
    let is_root = geteuid().is_root();
    command.args((!is_root).then_some("--map-root-user"));
    command.args(NAMESPACES).args(["--", "sh", "-c", ENTER]).arg(hosts.path());
    if !is_root {
        // Who made the mounts had to be root there, which servers refuse to run as.
        command.args(["unshare", "--user"]);
        command.arg(format!("--map-user={}", geteuid().as_raw()));
        command.arg(format!("--map-group={}", getegid().as_raw())).arg("--");
    }
    command.arg(own).args(["--exact", test, "--include-ignored", "--nocapture"]);
    let outcome = run(command.env(VARIABLE, test));
    // A name that no test has would pass without a test.
    let has_passed = outcome.success && outcome.stdout.contains("1 passed");
    assert!(has_passed, "{test} in a network of its own:\n{}{}", outcome.stdout, outcome.stderr);
    false
}

/// The system's hosts with these names for the loopback address.
fn hosts(names: &[&str]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    let system = fs::read_to_string(HOSTS).unwrap_or_default();
    write!(file, "127.0.0.1 {}\n{system}", names.join(" ")).expect("room for a few lines");
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, ToSocketAddrs};

    #[test]
    fn names_are_known_inside_and_every_port_is_free() {
        let before = fs::read_to_string(HOSTS).expect("the system has one");
        if is_inside("enclosure::tests::names_are_known_inside_and_every_port_is_free", &["redis", "db"]) {
            let at = |name: &str| (name, 6379).to_socket_addrs().expect("it is known").next();
            assert_eq!(at("redis").map(|at| at.to_string()).as_deref(), Some("127.0.0.1:6379"));
            assert_eq!(at("db"), at("redis"));
            for port in [5432, 6379] {
                TcpListener::bind(("127.0.0.1", port)).expect("nobody else is here");
            }
        }
        assert_eq!(fs::read_to_string(HOSTS).expect("the system has one"), before);
    }
}
