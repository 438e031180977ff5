//! QEMU started by hand with the smallest image, so that each machine differs in one thing from those that the host
//! tool makes; with its monitor, its serial line and a debugger.
//!
//! Judges nothing but that a machine starts.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use image_build::tool::packages::table::QEMU;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{curl, wait_for};
use crate::command::{cargo, free_port, run};
use crate::programs::program;

/// A boot, or whatever ends one, on a busy host.
pub const BOOT_LIMIT: Duration = Duration::from_secs(60);
/// How many answers are timed, and how long each of them may take: some milliseconds on a host that does nothing else.
const ANSWERS: u32 = 20;
const ANSWER_MAX: Duration = Duration::from_millis(300);
/// A PC without what no program drives.
pub const Q35: &[&str] = &["-M", "q35,sata=off,smbus=off,i8042=off,vmport=off"];
/// Its network card.
pub const CARD: &[&str] = &["-device", "virtio-net-pci,disable-legacy=on,romfile=,netdev=n0"];

/// The image that needs nothing beside it, built once.
fn image() -> PathBuf {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let built = run(&mut cargo(&["image", "build", "--package", "voting-app"]));
        assert!(built.success, "{}", built.stderr);
    });
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/hermit/voting-app.img"))
}

/// A running QEMU.
pub struct Guest {
    /// The QEMU process.
    pub child: Child,
    port: u16,
    directory: TempDir,
}

impl Guest {
    /// Starts one with these words.
    pub fn start(words: &[&[&str]]) -> Self {
        Self::with_settings(words, "")
    }

    /// Starts one with these words and these settings, each as `env=NAME=VALUE`.
    pub fn with_settings(words: &[&[&str]], settings: &str) -> Self {
        Self::with_line(words, &format!("env=IP=10.0.2.15/24 env=GATEWAY=10.0.2.2 {settings}"))
    }

    /// Starts one with these words and this command line.
    pub fn with_line(words: &[&[&str]], line: &str) -> Self {
        let (image, port) = (image(), free_port());
        let directory = tempfile::tempdir().expect("a directory");
        let log = directory.path().join("log");
        let mut command = program(QEMU.program);
        command.args(["-accel", "tcg", "-m", "64M", "-display", "none", "-nodefaults", "-no-user-config"]);
        let socket = |name: &str| format!("{},server=on,wait=off", directory.path().join(name).display());
        let serial = format!("socket,id=serial,path={},logfile={}", socket("serial"), log.display());
        command.args(["-no-reboot", "-chardev", &serial, "-serial", "chardev:serial"]);
        command.args([
            "-qmp",
            &format!("unix:{}", socket("qmp")),
            "-gdb",
            &format!("unix:{}", socket("gdb")),
        ]);
        command.arg("-netdev").arg(format!("user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:8080"));
        command.arg("-kernel").arg(image);
        command.args(["-append", line]);
        command.args(words.concat()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("QEMU is installed: README.md, \"What you need\"");
        Self { child, port, directory }
    }

    /// A q35 with a processor that has everything, and these words.
    pub fn q35(words: &[&str]) -> Self {
        Self::start(&[Q35, &["-cpu", "max"], words])
    }

    /// Where its pages are.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// What it has said on its serial line.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Waits until it serves, which it must do by its card's interrupts: without them it would answer when it wakes up
    /// for something else.
    pub fn serves(&mut self) {
        let answer = wait_for(BOOT_LIMIT, || {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "it ended: {}", self.log());
            (curl(&format!("{}healthz", self.url()), &[]).status == 200).then_some(())
        });
        assert!(answer.is_some(), "it does not serve: {}", self.log());
        let start = Instant::now();
        for _ in 0..ANSWERS {
            assert_eq!(curl(&self.url(), &[]).status, 200);
        }
        let each = start.elapsed() / ANSWERS;
        assert!(each < ANSWER_MAX, "each answer takes {each:?}: {}", self.log());
    }

    /// Its log once it has these words.
    pub fn says(&self, words: &str) -> String {
        let log = wait_for(BOOT_LIMIT, || Some(self.log()).filter(|log| log.contains(words)));
        log.unwrap_or_else(|| panic!("it does not say {words:?} but {:?}", self.log()))
    }

    /// The status that QEMU ends with.
    pub fn status(&mut self) -> Option<i32> {
        let ended = wait_for(BOOT_LIMIT, || self.child.try_wait().expect("a child"));
        ended.unwrap_or_else(|| panic!("it does not end: {}", self.log())).code()
    }

    /// Its serial line.
    pub fn serial(&self) -> UnixStream {
        self.connect("serial")
    }

    /// A debugger, which holds the machine.
    pub fn debugger(&self) -> Debugger {
        Debugger(BufReader::new(self.connect("gdb")))
    }

    fn connect(&self, name: &str) -> UnixStream {
        let path = self.directory.path().join(name);
        let stream = wait_for(BOOT_LIMIT, || UnixStream::connect(&path).ok()).expect("QEMU listens");
        stream.set_read_timeout(Some(BOOT_LIMIT)).expect("a limit");
        stream
    }

    /// Its monitor; there is one at a time.
    pub fn monitor(&self) -> Monitor {
        let mut monitor = Monitor(BufReader::new(self.connect("qmp")));
        monitor.line();
        monitor.execute(&json!({ "execute": "qmp_capabilities" }));
        monitor
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// QEMU's monitor.
pub struct Monitor(BufReader<UnixStream>);

impl Monitor {
    /// The next line.
    pub fn line(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("QEMU answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    /// Carries a command out; events that come before its answer are lost.
    pub fn execute(&mut self, command: &Value) -> Value {
        writeln!(self.0.get_mut(), "{command}").expect("QEMU listens");
        loop {
            let answer = self.line();
            assert!(answer.get("error").is_none(), "{command}: {answer}");
            if let Some(answer) = answer.get("return") {
                return answer.clone();
            }
        }
    }

    /// A command for people.
    pub fn human(&mut self, command: &str) -> String {
        let arguments = json!({ "command-line": command });
        let answer = self.execute(&json!({ "execute": "human-monitor-command", "arguments": arguments }));
        answer.as_str().expect("a text").to_owned()
    }
}

impl Monitor {
    /// Waits for an event of this name, and gives its data.
    pub fn event(&mut self, name: &str) -> Value {
        loop {
            let line = self.line();
            if line["event"] == name {
                return line["data"].clone();
            }
        }
    }
}

/// A debugger by GDB's remote protocol (GDB manual, appendix E).
pub struct Debugger(BufReader<UnixStream>);

impl Debugger {
    /// Lets the machine go on with these instructions in place of its next ones.
    pub fn run(&mut self, instructions: &[u8]) {
        self.step();
        // QEMU gives single registers only to those who have read which there are.
        self.ask("qXfer:features:read:target.xml:0,fff");
        // Register 16 is the instruction pointer, in the machine's byte order.
        let pointer = self.ask("p10");
        let bytes =
            (0..8).map(|at| u8::from_str_radix(&pointer[2 * at..2 * at + 2], 16).expect("a register"));
        let pointer = bytes.rev().fold(0, |number, byte| number << 8 | u64::from(byte));
        let hex: String = instructions.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(self.ask(&format!("M{pointer:x},{:x}:{hex}", instructions.len())), "OK");
        // The answer comes when the machine stops again.
        self.send("c");
    }

    /// One instruction, the one behind `hlt` where the machine sleeps: what wakes it goes on somewhere else, unless it
    /// is held back (QEMU manual, "GDB usage", on `sstep`: 1 for a step, 2 for no interrupts meanwhile).
    fn step(&mut self) {
        assert_eq!(self.ask("Qqemu.sstep=3"), "OK");
        self.send("s");
        while !self.packet().starts_with('T') {}
    }

    fn send(&mut self, packet: &str) {
        let sum = packet.bytes().fold(0u8, u8::wrapping_add);
        write!(self.0.get_mut(), "${packet}#{sum:02x}").expect("QEMU listens");
    }

    fn ask(&mut self, packet: &str) -> String {
        self.send(packet);
        loop {
            let answer = self.packet();
            // That the machine has stopped is said at any time.
            if !answer.starts_with('T') {
                return answer;
            }
        }
    }

    fn packet(&mut self) -> String {
        let mut packet = Vec::new();
        self.0.read_until(b'$', &mut packet).expect("QEMU answers");
        packet.clear();
        self.0.read_until(b'#', &mut packet).expect("QEMU answers");
        self.0.read_exact(&mut [0; 2]).expect("QEMU answers");
        self.0.get_mut().write_all(b"+").expect("QEMU listens");
        packet.pop();
        String::from_utf8(packet).expect("a text")
    }
}

/// Words for a disk in this folder that can hold snapshots.
pub fn snapshots(folder: &Path) -> String {
    let disk = folder.join("snapshots.qcow2");
    fs::write(&disk, empty_qcow2()).expect("room");
    format!("if=none,id=snapshots,format=qcow2,file={}", disk.display())
}

/// An empty disk that can hold snapshots, in QEMU's format (docs/interop/qcow2.txt): header, table and block of
/// reference counts, and table of clusters, one cluster each.
fn empty_qcow2() -> Vec<u8> {
    const CLUSTER: u64 = 1 << 16;
    let mut header = b"QFI\xfb".to_vec();
    let mut number = |bytes: &[u8]| header.extend(bytes);
    number(&2u32.to_be_bytes());
    number(&[0; 12]);
    number(&16u32.to_be_bytes());
    number(&(64u64 << 20).to_be_bytes());
    number(&[0; 4]);
    number(&1u32.to_be_bytes());
    number(&(3 * CLUSTER).to_be_bytes());
    number(&CLUSTER.to_be_bytes());
    number(&1u32.to_be_bytes());
    let mut file = vec![0; 4 * CLUSTER as usize];
    file[..header.len()].copy_from_slice(&header);
    file[CLUSTER as usize..][..8].copy_from_slice(&(2 * CLUSTER).to_be_bytes());
    file[2 * CLUSTER as usize..][..8].copy_from_slice(&[0, 1, 0, 1, 0, 1, 0, 1]);
    file
}
