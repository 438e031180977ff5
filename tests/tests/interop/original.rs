//! The original's programs, from a checkout of it: copied, with what they need beside the copies, and run as their
//! images run them but for the ports that they listen on.
//!
//! Writes nothing to the checkout. They look for `redis` and `db`, so they run in an enclosure.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::client::{curl, wait_for};
use tests::packages::{folder, node, python_programs, succeed};
use tests::programs::program;
use tests::running::{RunningService, free_address};

use crate::services::COUNTED_WITHIN;

/// The environment variable with the checkout's folder.
pub const CHECKOUT: &str = "VOTING_APP_ORIGINAL";
/// The hosts that the original looks for its servers at, at their usual ports.
pub const HOSTS: [&str; 2] = ["redis", "db"];
/// Where they are for us.
pub const QUEUE: &str = "redis://127.0.0.1:6379";
/// The same, with the role that the original logs in as.
pub const RESULTS: &str = "postgres://postgres:postgres@127.0.0.1:5432/postgres";

/// A copy of a part of the checkout, made anew when the checkout has changed, and what `install` has added to it.
///
/// # Panics
/// When there is none: whoever asks for these tests has to give one.
fn copy(part: &str, install: impl FnOnce(&Path)) -> PathBuf {
    let checkout = env::var(CHECKOUT).unwrap_or_else(|_| {
        panic!("set {CHECKOUT} to the folder of a checkout of dockersamples/example-voting-app")
    });
    let source = Path::new(&checkout).join(part);
    assert!(source.is_dir(), "{CHECKOUT}={checkout} is no checkout of the original: it has no folder {part}");
    let copied = |folder: &Path| {
        succeed(Command::new("cp").arg("-RT").arg(&source).arg(folder));
        install(folder);
    };
    folder(&format!("original-{part}"), &state(&source), copied)
}

/// All files below a folder with the times of their last changes.
fn state(source: &Path) -> String {
    let mut files: Vec<String> = Vec::new();
    for entry in fs::read_dir(source).expect("a folder that can be read").flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => files.push(state(&entry.path())),
            Ok(metadata) => files.push(format!("{} {:?}", entry.path().display(), metadata.modified().ok())),
            Err(_) => {}
        }
    }
    files.sort_unstable();
    files.join("\n")
}

/// Its vote service, which can be started.
pub struct Vote(PathBuf);

impl Vote {
    /// Prepares it, for which registries have to be reached.
    pub fn prepare() -> Self {
        python_programs();
        Self(copy("vote", |_| ()))
    }

    /// Starts it as its image does; without an application's settings.
    pub fn start(&self) -> RunningService {
        let address = free_address();
        let mut gunicorn = Command::new(python_programs().join("gunicorn"));
        gunicorn.args(["app:app", "--bind", &address.to_string(), "--workers", "4", "--keep-alive", "0"]);
        RunningService::program(gunicorn.current_dir(&self.0), vec![address])
    }
}

/// Its result service, which can be started.
pub struct Results(PathBuf);

impl Results {
    /// Prepares it, for which registries have to be reached.
    pub fn prepare() -> Self {
        node();
        let install = |folder: &Path| {
            succeed(program("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder));
        };
        Self(copy("result", install))
    }

    /// Starts it as its image does.
    pub fn start(&self) -> RunningService {
        let address = free_address();
        let mut node = program("node");
        node.arg("server.js").env("PORT", address.port().to_string());
        RunningService::program(node.current_dir(&self.0), vec![address])
    }
}

/// Waits until a page of its result service is told these votes for a and b, and none for anything else.
///
/// # Panics
/// When it is not told in time.
pub fn wait_for_scores(results: &RunningService, (a, b): (u64, u64)) {
    let address = format!("http://{}/", results.addresses[0]);
    let page = curl(&address, &[]);
    assert_eq!(page.status, 200, "{}", results.log());
    let mut listener = node();
    listener.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/scores.js"));
    let expected = format!(r#"{{"a":{a},"b":{b}}}"#);
    listener.args([&address, &expected, &COUNTED_WITHIN.as_millis().to_string()]);
    let outcome = tests::command::run(&mut listener);
    assert!(outcome.success, "{}{}", outcome.stderr, results.log());
}

/// Its worker, which can be started where there is .NET.
pub struct Worker(PathBuf);

impl Worker {
    /// Builds it, for which .NET's registry has to be reached.
    pub fn prepare() -> Self {
        let build = |folder: &Path| {
            let mut publish = Command::new("dotnet");
            publish.args(["publish", "--configuration", "Release", "--output", "published"]);
            succeed(publish.current_dir(folder));
        };
        Self(copy("worker", build))
    }

    /// Starts it as its image does, on whatever .NET there is. It listens nowhere.
    pub fn start(&self) -> RunningService {
        let mut dotnet = Command::new("dotnet");
        dotnet.arg("published/Worker.dll").env("DOTNET_ROLL_FORWARD", "Major").current_dir(&self.0);
        RunningService::program(&dotnet, Vec::new())
    }
}

/// The cookie that a vote service has given to a voter.
///
/// # Panics
/// When it has given none.
pub fn cookie(response: &tests::client::Response) -> String {
    let line = response.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {response:?}"));
    line.split(';').next().unwrap_or_default().to_owned()
}

/// Waits until a vote service answers.
///
/// # Panics
/// When it does not.
pub fn wait_for_page(vote: &RunningService) -> String {
    let address = format!("http://{}/", vote.addresses[0]);
    let answers = wait_for(COUNTED_WITHIN, || (curl(&address, &[]).status == 200).then_some(()));
    assert!(answers.is_some(), "{}", vote.log());
    address
}
