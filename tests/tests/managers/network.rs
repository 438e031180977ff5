//! Networks of one test: namespaces by name, and commands in them.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;
use tests::command::run;

/// A folder `/run` that no other has: the names of namespaces are there, and the sockets of daemons.
pub fn own_run_folder() {
    does(Command::new("mount").args(["-t", "tmpfs", "none", "/run"]));
}

/// A folder for disks that QEMU writes past the cache, which not every file system in memory can do.
pub fn disk_folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

/// Runs a command that has to succeed, and gives what it printed.
pub fn does(command: &mut Command) -> String {
    let outcome = run(command);
    assert!(outcome.success, "{command:?}\n{}{}", outcome.stdout, outcome.stderr);
    outcome.stdout
}

/// `ip` with these words, in the namespace of the test.
pub fn ip(words: &str) {
    does(Command::new("ip").args(words.split_whitespace()));
}

/// A network namespace.
#[derive(Debug)]
pub struct Namespace(&'static str);

impl Namespace {
    /// Makes one, with its loopback.
    pub fn new(name: &'static str) -> Self {
        ip(&format!("netns add {name}"));
        let namespace = Self(name);
        namespace.does("ip link set lo up");
        namespace
    }

    /// A program in it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).args(["--", program]);
        command
    }

    /// Runs these words in it, which have to succeed.
    pub fn does(&self, words: &str) -> String {
        let mut words = words.split_whitespace();
        let program = words.next().expect("a program");
        does(self.command(program).args(words))
    }

    /// A cable from `eth0` in it to `outside` in the namespace of the test.
    pub fn plug(&self, outside: &str, mtu: u16) {
        let Self(name) = self;
        ip(&format!("link add {outside} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {name}"));
        ip(&format!("link set {outside} up"));
        self.does("ip link set eth0 up");
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(self.0)
    }
}
