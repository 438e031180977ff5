//! The smallest image on machines that the host tool does not make: other places for devices, no clock, no entropy,
//! a machine that is held, restored or broken.
//!
//! QEMU is started by hand here, so that each machine differs in one thing from those that `guests.rs` starts.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::client::{curl, vote, wait_for};
use tests::command::{cargo, free_port, run};

/// A boot, or whatever ends one, on a busy host.
const BOOT_LIMIT: Duration = Duration::from_secs(60);
/// A held machine has the right time again within this; it looks every second.
const RIGHT_WITHIN: Duration = Duration::from_secs(10);
const Q35: &[&str] = &["-M", "q35,sata=off,smbus=off,i8042=off,vmport=off"];
const CARD: &[&str] = &["-device", "virtio-net-pci,disable-legacy=on,romfile=,netdev=n0"];

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
struct Guest {
    child: Child,
    port: u16,
    directory: TempDir,
}

impl Guest {
    fn start(words: &[&[&str]]) -> Self {
        let (image, port) = (image(), free_port());
        let directory = tempfile::tempdir().expect("a directory");
        let log = directory.path().join("log");
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-accel", "tcg", "-m", "64M", "-display", "none", "-nodefaults", "-no-user-config"]);
        command.args(["-no-reboot", "-serial", &format!("file:{}", log.display())]);
        command
            .args(["-qmp", &format!("unix:{},server=on,wait=off", directory.path().join("qmp").display())]);
        command.arg("-netdev").arg(format!("user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:8080"));
        command.arg("-kernel").arg(image);
        command.args(["-append", "env=IP=10.0.2.15/24 env=GATEWAY=10.0.2.2"]);
        command.args(words.concat()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("QEMU is installed: README.md, \"What you need\"");
        Self { child, port, directory }
    }

    /// A q35 with a processor that has everything, and these words.
    fn q35(words: &[&str]) -> Self {
        Self::start(&[Q35, &["-cpu", "max"], words])
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn serves(&mut self) {
        let answer = wait_for(BOOT_LIMIT, || {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "it ended: {}", self.log());
            (curl(&format!("{}healthz", self.url()), &[]).status == 200).then_some(())
        });
        assert!(answer.is_some(), "it does not serve: {}", self.log());
    }

    /// Its log once it has these words.
    fn says(&self, words: &str) -> String {
        let log = wait_for(BOOT_LIMIT, || Some(self.log()).filter(|log| log.contains(words)));
        log.unwrap_or_else(|| panic!("it does not say {words:?} but {:?}", self.log()))
    }

    fn status(&mut self) -> Option<i32> {
        let ended = wait_for(BOOT_LIMIT, || self.child.try_wait().expect("a child"));
        ended.unwrap_or_else(|| panic!("it does not end: {}", self.log())).code()
    }

    fn monitor(&self) -> Monitor {
        let path = self.directory.path().join("qmp");
        let stream = wait_for(BOOT_LIMIT, || UnixStream::connect(&path).ok()).expect("QEMU's monitor");
        stream.set_read_timeout(Some(BOOT_LIMIT)).expect("a limit");
        let mut monitor = Monitor(BufReader::new(stream));
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

struct Monitor(BufReader<UnixStream>);

impl Monitor {
    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("QEMU answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    fn execute(&mut self, command: &Value) -> Value {
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
    fn human(&mut self, command: &str) -> String {
        let arguments = json!({ "command-line": command });
        let answer = self.execute(&json!({ "execute": "human-monitor-command", "arguments": arguments }));
        answer.as_str().expect("a text").to_owned()
    }
}

#[test]
fn cards_are_found_wherever_they_are() {
    let behind = |bus: &str| format!("virtio-net-pci,disable-legacy=on,romfile=,netdev=n0,bus={bus}");
    let root_port = behind("root1");
    let deep = behind("inner");
    let machines: [(&str, &[&str]); 6] = [
        (
            "function 3",
            &[
                "-device",
                "virtio-rng-pci,addr=5.0,multifunction=on",
                "-device",
                "virtio-net-pci,disable-legacy=on,romfile=,netdev=n0,addr=5.3",
            ],
        ),
        ("a root port", &["-device", "pcie-root-port,id=root1,chassis=1", "-device", &root_port]),
        (
            "two bridges",
            &[
                "-device",
                "pcie-pci-bridge,id=outer",
                "-device",
                "pci-bridge,id=inner,bus=outer,chassis_nr=1,addr=1",
                "-device",
                &deep,
            ],
        ),
        (
            "another host bridge",
            &[
                "-device",
                "pxb-pcie,id=other,bus_nr=64",
                "-device",
                "pcie-root-port,id=root1,bus=other,chassis=2",
                "-device",
                &root_port,
            ],
        ),
        ("an I/O MMU", &["-device", "virtio-net-pci,disable-legacy=on,romfile=,netdev=n0,iommu_platform=on"]),
        ("a transitional card", &["-device", "virtio-net-pci,romfile=,netdev=n0"]),
    ];
    for (place, words) in machines {
        eprintln!("{place}");
        Guest::q35(words).serves();
    }
}

#[test]
fn what_cannot_be_used_is_named_with_its_reason() {
    let legacy =
        Guest::q35(&["-device", "virtio-net-pci,disable-modern=on,disable-legacy=off,romfile=,netdev=n0"]);
    legacy.says("virtio-net at 00:01.0 was found but cannot be used: it is a legacy device");
    Guest::q35(&[]).says("no virtio-net device");
}

#[test]
fn without_entropy_it_does_not_start_and_a_device_gives_some() {
    let bare = ["-cpu", "max,-rdrand,-rdseed"];
    let mut poor = Guest::start(&[Q35, &bare, CARD, &["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]]);
    poor.says("no source of entropy: the processor has neither RDSEED nor RDRAND; give the machine");
    assert_eq!(poor.status(), Some(1));
    let mut rich = Guest::start(&[Q35, &bare, CARD, &["-device", "virtio-rng-pci"]]);
    rich.serves();
    let voters: Vec<_> = (0..2).map(|_| vote(&rich.url(), "a", None)).collect();
    let cookie = |index: usize| voters[index].header("set-cookie").expect("a new voter").to_owned();
    assert_ne!(cookie(0), cookie(1));
}

#[test]
fn a_machine_without_a_clock_says_so_and_serves() {
    let microvm = "microvm,ioapic2=off,auto-kernel-cmdline=off,rtc=off";
    let card = ["-device", "virtio-net-device,netdev=n0"];
    let modern = ["-global", "virtio-mmio.force-legacy=false"];
    let mut guest = Guest::start(&[&["-M", microvm, "-cpu", "max"], &modern, &card]);
    guest.serves();
    guest.says(
        "no time of day: there is no KVM clock, and the real-time clock at port 0x70 gave no time in 3 ms",
    );
}

#[test]
fn nothing_can_be_both_written_and_executed_and_page_0_is_none() {
    let mut guest = Guest::q35(CARD);
    guest.serves();
    // Lines are "address: page flags"; the first flag is X where nothing can be executed, the last W.
    let pages = guest.monitor().human("info tlb");
    let flags: Vec<(&str, &str)> = pages
        .lines()
        .filter_map(|line| Some((line.split_once(':')?.0, line.trim().rsplit_once(' ')?.1)))
        .collect();
    // QEMU shows the last level's flags alone; outside of the image the levels above forbid execution.
    let in_image =
        |address: &str| u64::from_str_radix(address, 16).is_ok_and(|at| (2 << 20..4 << 20).contains(&at));
    let page_0 = flags.iter().any(|(address, _)| *address == "0000000000000000");
    let flags: Vec<_> = flags.into_iter().filter(|(address, _)| in_image(address)).collect();
    let executable = flags.iter().filter(|(_, flags)| !flags.starts_with('X')).count();
    let both: Vec<_> =
        flags.iter().filter(|(_, flags)| !flags.starts_with('X') && flags.ends_with('W')).collect();
    assert!(executable > 50 && both.is_empty(), "{executable} pages of code, {both:?}");
    assert!(!page_0, "page 0 is mapped");
}

#[test]
fn a_machine_that_was_held_has_the_right_time_again() {
    let mut guest = Guest::q35(CARD);
    guest.serves();
    let mut monitor = guest.monitor();
    monitor.execute(&json!({ "execute": "stop" }));
    // This long it is held; nothing is waited for.
    std::thread::sleep(Duration::from_secs(7));
    monitor.execute(&json!({ "execute": "cont" }));
    let right = || {
        let metrics = curl(&guest.url(), &[]);
        let date = metrics.header("date")?.to_owned();
        let seconds =
            run(Command::new("date").args(["--date", &date, "+%s"])).stdout.trim().parse::<u64>().ok()?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        // QEMU's own clock is behind by less than a second, and the header by less than another one.
        (now.abs_diff(seconds) <= 2).then_some(())
    };
    assert!(wait_for(RIGHT_WITHIN, right).is_some(), "{}", guest.log());
    guest.says("ms behind, as after a pause");
}

#[test]
fn two_restores_of_a_snapshot_give_different_voters() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = directory.path().join("snapshots.qcow2");
    fs::write(&disk, empty_qcow2()).expect("a file");
    let path = disk.to_str().expect("a path in UTF-8");
    let drive = format!("if=none,id=snapshots,format=qcow2,file={path}");
    let mut guest = Guest::start(&[Q35, &["-cpu", "max"], CARD, &["-drive", &drive]]);
    guest.serves();
    let mut monitor = guest.monitor();
    let saved = monitor.human("savevm one");
    assert_eq!(saved, "", "the machine is saved");
    let mut restored = || {
        let loaded = monitor.human("loadvm one");
        assert_eq!(loaded, "", "the machine is restored");
        let answer = wait_for(BOOT_LIMIT, || {
            Some(vote(&guest.url(), "a", None)).filter(|answer| answer.status == 200)
        });
        answer.expect("it serves").header("set-cookie").expect("a new voter").to_owned()
    };
    let (one, other) = (restored(), restored());
    assert_ne!(one, other);
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
