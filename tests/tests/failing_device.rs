//! A store on a device that loses a write, as Linux tells of it: the page stays in the cache as if it were written.
//!
//! The file system is ext4 on a loop device whose file has holes and lies on a tmpfs that is full for a while. That
//! takes root and loop devices; without them the test is reported as ignored, with the reason.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rustix::process::geteuid;
use tests::command::run;
use tests::redis::Connection;
use tests::running::{RunningService, linux_programs};

const NAME: &str = "what_a_failed_write_left_in_the_cache_is_not_taken_for_what_the_device_holds";
/// Tells the inner run, in a mount namespace of its own, where to mount.
const FOLDER: &str = "VOTING_APP_TEST_FOLDER";
const TMPFS_BYTES: &str = "size=24m";
const DEVICE_BYTES: u64 = 48 << 20;
const DATA_BYTES: usize = 8 << 20;
/// A record with one is two pages, from the start of one: what is written next takes neither along.
const PIECE_BYTES: usize = 8000;
/// Pushed before the failure, and after it.
const BEFORE: usize = 15;
const AFTER: usize = 200;
/// A write that fails comes within so many pushes.
const FAILS_WITHIN: usize = 2_000;

fn main() -> ExitCode {
    if let Some(folder) = env::var_os(FOLDER) {
        inside(Path::new(&folder));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = filters.is_empty() || filters.iter().any(|filter| NAME.contains(filter.as_str()));
    if env::args().any(|argument| argument == "--list") {
        println!("{NAME}: test");
        return ExitCode::SUCCESS;
    }
    if !is_wanted || env::args().any(|argument| argument == "--ignored") {
        return report("0 passed; 0 failed; 0 ignored");
    }
    if let Some(reason) = lacks() {
        println!("test {NAME} ... ignored, {reason}");
        return report("0 passed; 0 failed; 1 ignored");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let own = env::current_exe().expect("a test has a path");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]).arg(own).env(FOLDER, folder.path());
    let outcome = run(&mut command);
    assert!(outcome.success, "test {NAME} ... FAILED\n{}{}", outcome.stdout, outcome.stderr);
    println!("test {NAME} ... ok");
    report("1 passed; 0 failed; 0 ignored")
}

/// As other tests say it.
fn report(counts: &str) -> ExitCode {
    println!("\ntest result: ok. {counts}");
    ExitCode::SUCCESS
}

/// What this machine or this user does not have.
fn lacks() -> Option<String> {
    if !geteuid().is_root() {
        return Some("needs root, to mount a file system on a loop device".to_owned());
    }
    let control = OpenOptions::new().read(true).write(true).open("/dev/loop-control");
    if let Err(error) = control {
        return Some(format!("needs loop devices: /dev/loop-control: {error}"));
    }
    let mounts = Command::new("unshare").args(["--mount", "true"]).output();
    let may_mount = mounts.is_ok_and(|output| output.status.success());
    (!may_mount).then(|| "needs the right to mount (CAP_SYS_ADMIN)".to_owned())
}

/// What is mounted.
struct Mounts {
    tmpfs: PathBuf,
    disk: PathBuf,
}

impl Mounts {
    fn new(folder: &Path) -> Self {
        let mounts = Self { tmpfs: folder.join("tmpfs"), disk: folder.join("disk") };
        fs::create_dir(&mounts.tmpfs).expect("a folder");
        fs::create_dir(&mounts.disk).expect("a folder");
        does(Command::new("mount").args(["-t", "tmpfs", "-o", TMPFS_BYTES, "none"]).arg(&mounts.tmpfs));
        File::create(mounts.device()).and_then(|file| file.set_len(DEVICE_BYTES)).expect("a sparse file");
        // Without a journal, or its own failure would end all writes.
        does(
            Command::new("mkfs.ext4")
                .args(["-q", "-F", "-b", "4096", "-O", "^has_journal"])
                .arg(mounts.device()),
        );
        mounts.mount();
        // Its blocks are all written once, so that a write changes nothing but data; then the device loses them.
        let mut data = File::create(mounts.data()).expect("a file");
        data.write_all(&vec![0; DATA_BYTES]).and_then(|()| data.sync_all()).expect("room");
        drop(data);
        mounts.unmount();
        does(Command::new("fallocate").arg("--dig-holes").arg(mounts.device()));
        mounts.mount();
        mounts
    }

    fn data(&self) -> PathBuf {
        self.disk.join("data")
    }

    fn device(&self) -> PathBuf {
        self.tmpfs.join("device")
    }

    fn mount(&self) {
        does(Command::new("mount").args(["-o", "loop"]).arg(self.device()).arg(&self.disk));
    }

    fn unmount(&self) {
        does(Command::new("umount").arg(&self.disk));
    }

    /// Takes all that is left of the tmpfs, so that holes cannot be filled.
    fn fill(&self) {
        let mut file = File::create(self.tmpfs.join("filling")).expect("a file");
        for bytes in [64 * 1024, 4096] {
            while file.write_all(&vec![1; bytes]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.tmpfs.join("filling")).expect("it is there");
    }
}

fn does(command: &mut Command) {
    let outcome = run(command);
    assert!(outcome.success, "{command:?}\n{}{}", outcome.stdout, outcome.stderr);
}

/// A store on the mounted file system.
fn store(program: &Path, mounts: &Mounts) -> RunningService {
    RunningService::linux(program, &["PORT"], &[("DATA", mounts.data().display().to_string())])
}

/// Pushes an element, and says whether that was acknowledged.
fn push(connection: &mut Connection, number: usize) -> bool {
    let element = format!("{number:0>PIECE_BYTES$}");
    let reply = connection.ask(&[b"RPUSH", b"votes", element.as_bytes()]);
    reply.is_ok_and(|reply| reply.starts_with(b":"))
}

fn elements(connection: &mut Connection) -> Vec<usize> {
    let reply = connection.ask(&[b"LRANGE", b"votes", b"0", b"-1"]).expect("the store answers");
    let text = String::from_utf8_lossy(&reply).into_owned();
    text.lines().filter(|line| line.len() == PIECE_BYTES).filter_map(|line| line.parse().ok()).collect()
}

fn inside(folder: &Path) {
    let program = linux_programs(&["store-service"]).remove(0);
    let mounts = Mounts::new(folder);
    let mut acknowledged: Vec<usize> = Vec::new();
    let first = store(&program, &mounts);
    let mut connection = Connection::open(first.addresses[0]).expect("it listens");
    acknowledged.extend((0..BEFORE).filter(|number| push(&mut connection, *number)));
    assert_eq!(acknowledged.len(), BEFORE);
    mounts.fill();
    // Some may be acknowledged: a loop device takes a write for whole when its file took the first page of it. That
    // is a disk that lies, which is not what this test is about.
    let mut failing = BEFORE..BEFORE + FAILS_WITHIN;
    assert!(failing.any(|number| !push(&mut connection, number)), "no write fails");
    drop(first);
    mounts.free();
    let second = store(&program, &mounts);
    let mut connection = Connection::open(second.addresses[0]).expect("it listens");
    let again = BEFORE + FAILS_WITHIN..BEFORE + FAILS_WITHIN + AFTER;
    acknowledged.extend(again.filter(|number| push(&mut connection, *number)));
    assert_eq!(acknowledged.len(), BEFORE + AFTER, "{}", second.log());
    drop(second);
    // As a cut of the power: the cache goes.
    mounts.unmount();
    mounts.mount();
    let third = store(&program, &mounts);
    let mut connection = Connection::open(third.addresses[0]).expect("it listens");
    let found = elements(&mut connection);
    let lost: Vec<_> = acknowledged.iter().filter(|number| !found.contains(number)).collect();
    assert!(lost.is_empty(), "{lost:?} of {} acknowledged\n{}", acknowledged.len(), third.log());
    drop(third);
    mounts.unmount();
}
