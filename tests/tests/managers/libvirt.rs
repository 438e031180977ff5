//! A libvirt daemon of a test's own, and commands to it.

use std::process::Command;
use std::time::Duration;

use tests::client::wait_for;
use tests::command::{CommandOutput, run};

use super::network::does;

/// Where it keeps what it knows: each test, and each machine of one, has its own.
const FOLDERS: [&str; 4] = ["/etc/libvirt", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt"];
/// What a machine without systemd, control groups and other users has.
const QEMU_CONF: &str = r#"
stdio_handler = "file"
user = "root"
group = "root"
cgroup_controllers = []
security_driver = "none"
namespaces = []
"#;
const LIBVIRTD_CONF: &str = r#"auth_unix_rw = "none""#;
const START_LIMIT: Duration = Duration::from_secs(30);

/// What runs a program in some namespaces.
pub type Place<'a> = &'a dyn Fn(&str) -> Command;

/// A shell that runs this there.
pub fn script(place: Place<'_>, text: &str) {
    does(place("sh").args(["-e", "-c", text]));
}

/// Starts the daemon there, and waits until it answers.
pub fn start(place: Place<'_>) {
    let mounts: String =
        FOLDERS.map(|folder| format!("mkdir -p {folder}; mount -t tmpfs none {folder}\n")).concat();
    script(place, &mounts);
    let config = "printf %s \"$1\" > /etc/libvirt/qemu.conf; printf %s \"$2\" > /etc/libvirt/libvirtd.conf";
    does(place("sh").args(["-e", "-c", config, "sh", QEMU_CONF, LIBVIRTD_CONF]));
    script(place, "mkdir -p /var/log/libvirt/qemu; libvirtd > /run/libvirtd.log 2>&1 &");
    let answers = wait_for(START_LIMIT, || virsh(place, "version").success.then_some(()));
    let log = || run(place("cat").arg("/run/libvirtd.log")).stdout;
    assert!(answers.is_some(), "libvirtd does not answer after {START_LIMIT:?}: {}", log());
}

/// `virsh` with these words there.
pub fn virsh(place: Place<'_>, words: &str) -> CommandOutput {
    run(place("virsh").args(["--connect", "qemu:///system"]).args(words.split_whitespace()))
}

/// The same with success.
pub fn done(place: Place<'_>, words: &str) -> String {
    let outcome = virsh(place, words);
    assert!(outcome.success, "virsh {words}: {outcome:?}");
    outcome.stdout.trim().to_owned()
}
