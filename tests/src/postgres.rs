//! A PostgreSQL of a test's own: made anew, on a free port, gone when it is dropped.
//!
//! From Debian's package `postgresql`, whose programs are not in `PATH`. The server refuses to run as root: it then
//! runs as the package's user.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use tempfile::TempDir;

use crate::client::wait_for;
use crate::command::{CommandOutput, free_port, run};
use crate::programs::program;

/// The role that owns everything.
pub const USER: &str = "voter";
/// Its password. Every letter that means something in a URL is in it.
pub const PASSWORD: &str = "p:w/@% d";
/// Name of the database that the tests use.
pub const DATABASE: &str = "postgres";

const PACKAGE: &str = "install Debian's package postgresql";
const START_LIMIT: Duration = Duration::from_secs(60);

/// A server with a folder of its own; it ends when this is dropped.
pub struct Postgres {
    folder: TempDir,
    port: u16,
    /// None while it is down.
    server: Option<Child>,
}

impl Postgres {
    /// A new server whose role logs in by SCRAM-SHA-256, or without a password.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(wants_password: bool) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"), wants_password)
    }

    /// The same, with its data in this folder.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_in(folder: TempDir, wants_password: bool) -> Self {
        Self::new(folder, free_port(), wants_password)
    }

    /// The same on this port, for those who look for it there; logged in to by password.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_on(port: u16) -> Self {
        Self::new(tempfile::tempdir().expect("a folder"), port, true)
    }

    fn new(folder: TempDir, port: u16, wants_password: bool) -> Self {
        let data = folder.path().join("data");
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).expect("room");
        if let Some([user, group]) = owner() {
            chown(folder.path(), Some(user), Some(group)).expect("root may");
            chown(&password, Some(user), Some(group)).expect("root may");
        }
        let mut initdb = server_program("initdb");
        initdb.arg("--pgdata").arg(&data).arg("--pwfile").arg(&password);
        initdb.args(["--username", USER, "--encoding", "UTF8", "--locale", "C", "--no-sync"]);
        initdb.args(["--auth", if wants_password { "scram-sha-256" } else { "trust" }]);
        let made = run(&mut initdb);
        assert!(made.success, "{made:?}");
        let mut postgres = Self { folder, port, server: None };
        postgres.restart();
        postgres
    }

    /// Its address, for `RESULTS_URL`.
    pub fn url(&self) -> String {
        self.url_of(PASSWORD, DATABASE)
    }

    /// The same with another password or database.
    pub fn url_of(&self, password: &str, database: &str) -> String {
        let encoded: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
        format!("postgres://{USER}:{encoded}@127.0.0.1:{}/{database}", self.port)
    }

    /// What `psql` prints for a statement, values alone.
    pub fn psql(&self, sql: &str) -> CommandOutput {
        let url = self.url();
        run(program("psql").args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql, &url]))
    }

    /// The same, of one that must work.
    ///
    /// # Panics
    /// When it does not.
    pub fn ask(&self, sql: &str) -> String {
        let outcome = self.psql(sql);
        assert!(outcome.success, "{sql}: {outcome:?}");
        outcome.stdout.trim().to_owned()
    }

    /// Ends all its processes at once, as a power cut does.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let group = i32::try_from(server.id()).ok().and_then(Pid::from_raw).expect("a process");
            // Fails only when it has ended already.
            let _ = kill_process_group(group, Signal::KILL);
            let _ = server.wait();
        }
    }

    /// Copies its data as they are between two of its lives.
    ///
    /// # Panics
    /// When there is no room.
    pub fn save(&mut self) {
        self.kill();
        self.copy("data", "saved");
        self.restart();
    }

    /// Puts the copy back.
    ///
    /// # Panics
    /// When there is none.
    pub fn go_back(&mut self) {
        self.kill();
        self.copy("saved", "data");
        self.restart();
    }

    fn copy(&self, from: &str, to: &str) {
        let [from, to] = [from, to].map(|name| self.folder.path().join(name));
        let copied = run(Command::new("rm").arg("-rf").arg(&to));
        assert!(copied.success, "{copied:?}");
        let copied = run(Command::new("cp").arg("-a").arg(from).arg(to));
        assert!(copied.success, "{copied:?}");
    }

    /// Starts it again.
    ///
    /// # Panics
    /// When it does not answer in time; with its log.
    pub fn restart(&mut self) {
        self.kill();
        let log = self.folder.path().join("log");
        let mut server = server_program("postgres");
        server.arg("-D").arg(self.folder.path().join("data")).arg("-k").arg(self.folder.path());
        server.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-c", "fsync=off"]);
        server.process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        server.stderr(fs::File::create(&log).expect("room"));
        self.server = Some(server.spawn().expect("it was run before"));
        let answers = wait_for(START_LIMIT, || self.psql("SELECT 1").success.then_some(()));
        assert!(answers.is_some(), "{}", fs::read_to_string(log).unwrap_or_default());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The package's user and its group, when this is root.
fn owner() -> Option<[u32; 2]> {
    let number = |option| {
        let outcome = run(Command::new("id").args([option, "postgres"]));
        outcome.stdout.trim().parse().unwrap_or_else(|_| panic!("there is no user postgres: {PACKAGE}"))
    };
    geteuid().is_root().then(|| ["-u", "-g"].map(number))
}

/// One of the server's programs, which ends with the calling thread.
fn server_program(name: &str) -> Command {
    let mut command = program("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some([user, group]) = owner() {
        command.arg(format!("--reuid={user}")).arg(format!("--regid={group}")).arg("--clear-groups");
    }
    let initdb = PathBuf::from(program("initdb").get_program());
    command.arg(initdb.with_file_name(name)).current_dir("/");
    command
}
