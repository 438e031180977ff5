//! Descriptions that are right, those that are wrong, and the command lines of both.

use std::fs;

use super::*;

const PROGRAMS: [&str; 2] = ["vote-service", "worker"];
const NETWORK: Network = Network { ip: Ipv4Addr::new(10, 0, 2, 15), gateway: Ipv4Addr::new(10, 0, 2, 2) };
/// The least that a description has.
const LEAST: &str = r#"
name = "other"
title = "Other"
version = "Other 1.0"
kernel = "kernel.elf"
program = "initrd"
command_line = "{env} -- /{program}"
machine = "q35"
memory_mib = 64
"#;

fn parse(text: &str) -> Result<Peer> {
    Peer::parse(Path::new("folder/other.toml"), text)
}

/// The least description with a line in place of another.
fn with(line: &str, instead: &str) -> String {
    assert!(LEAST.contains(line), "{line}");
    LEAST.replace(line, instead)
}

/// What is said of a description.
fn fault(text: &str) -> String {
    let fault = format!("{:#}", parse(text).expect_err("a wrong description"));
    assert_eq!(fault.lines().count(), 1, "{fault}");
    fault
}

fn setting(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn line(peer: &Peer) -> String {
    let settings = [setting("REDIS_URL", "redis://10.0.2.2:7"), setting("LOG", "warn")];
    peer.command_line("vote-service", NETWORK, Some(2_000_000), &settings).expect("a command line")
}

#[test]
fn the_least_description_hands_over_the_program_itself() {
    let peer = parse(LEAST).expect("right");
    assert_eq!(peer.program, Handover::Bare);
    assert_eq!((peer.firmware, &peer.card), (Firmware::Usual, &None));
    assert_eq!(peer.kernel_file("worker").expect("a path"), Some("folder/kernel.elf".into()));
    assert_eq!(line(&peer), "REDIS_URL=redis://10.0.2.2:7 LOG=warn -- /vote-service");
}

#[test]
fn a_path_may_name_the_program_and_begins_at_the_descriptions_folder() {
    let text = with("\"initrd\"", "\"disk\"\ndisk = \"images/{program}.raw\"");
    let peer = parse(&text.replace("kernel.elf", "/boot/kernel")).expect("right");
    assert_eq!(peer.disk("worker").expect("a path"), Some("folder/images/worker.raw".into()));
    assert_eq!(peer.kernel_file("worker").expect("a path"), Some("/boot/kernel".into()));
}

#[test]
fn a_missing_key_and_an_unknown_one_are_named() {
    assert_eq!(fault(&with("machine = \"q35\"\n", "")), "folder/other.toml:1: missing field `machine`");
    let unknown = fault(&with("title", "tilte"));
    assert!(
        unknown.starts_with("folder/other.toml:3: unknown field `tilte`, expected one of `"),
        "{unknown}"
    );
}

#[test]
fn a_value_of_another_kind_is_told_with_its_line_and_key() {
    let machine = fault(&with("\"q35\"", "\"pc\""));
    let expected = "folder/other.toml:8: machine: unknown variant `pc`, expected `q35` or `microvm`";
    assert_eq!(machine, expected);
    let memory = fault(&with("= 64", "= \"64 MiB\""));
    assert!(
        memory.starts_with("folder/other.toml:9: memory_mib: invalid type: string \"64 MiB\""),
        "{memory}"
    );
}

/// Each line in place of another gives this fault.
fn check_faults(cases: &[(&str, &str, &str)]) {
    for (line, instead, expected) in cases {
        assert_eq!(fault(&with(line, instead)), format!("folder/other.toml: {expected}"));
    }
}

#[test]
fn a_wrong_value_is_told_with_its_key_and_the_mend() {
    check_faults(&[
        (
            "\"other\"",
            "\"My kernel\"",
            "name = \"My kernel\": give at most 32 of a-z, 0-9 and -, a letter first",
        ),
        ("= 64", "= 3", "memory_mib = 3: give 4 to 1024, with which it surely starts"),
        (
            "{env} --",
            "{env} ip={addr}",
            "command_line: {addr} is no placeholder here: give one of {ip}, {gateway}, {env}, {program}, \
             {tsc_khz}, or write a brace itself twice",
        ),
        (
            "kernel.elf\"",
            "k\"\nenv = \"{name}\"",
            "env = \"{name}\": give both {name} and {value}, such as {name}={value}",
        ),
        (
            "\"initrd\"",
            "\"initrd\"\ncard = \"virtio-net-pci,netdev=net9\"",
            "card = \"virtio-net-pci,netdev=net9\": give a model with options, such as \
             virtio-net-pci,event_idx=off, and no netdev",
        ),
        (
            "\"q35\"",
            "\"microvm\"\nfirmware = \"small\"",
            "firmware: only q35 has a choice of it: leave it out",
        ),
    ]);
}

#[test]
fn a_kernel_or_program_that_is_nowhere_is_told_with_the_mend() {
    check_faults(&[
        (
            "kernel = \"kernel.elf\"\n",
            "",
            "kernel: it is missing: give the path of the kernel that QEMU starts",
        ),
        (
            "kernel =",
            "kernel_package =",
            "kernel_package = \"kernel.elf\": give linux-image-cloud-amd64, or the path of a file as `kernel`",
        ),
        (
            "\"initrd\"",
            "\"disk\"",
            "disk: it is missing: give the path of a raw image, such as {program}.raw",
        ),
        (
            "\"initrd\"",
            "\"initrd\"\ndisk = \"a\"",
            "disk: nothing uses it: give program = \"disk\", or leave it out",
        ),
        (
            "\"initrd\"\ncommand_line = \"{env} -- /{program}\"",
            "\"none\"\ncommand_line = \"\"",
            "kernel = \"kernel.elf\": all services would be the same: name {program} there, or in command_line",
        ),
        (
            "= 64",
            "= 64\n[initrd]\nprogram = \"../init\"",
            "initrd.program = \"../init\": give a path such as bin/{program}, without ..",
        ),
    ]);
}

#[test]
fn a_missing_kernel_is_told_with_its_path_before_anything_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("other.toml");
    fs::write(&file, with("kernel.elf", "{program}.elf")).expect("room");
    fs::write(folder.path().join("vote-service.elf"), "").expect("room");
    assert!(Peer::read(&file, &PROGRAMS[..1]).is_ok());
    let missing = folder.path().join("worker.elf");
    let expected = format!(
        "{}: kernel = {:?}: there is no such file, which worker needs: build it, or correct the path (paths begin at \
         the description's folder)",
        file.display(),
        missing.display().to_string()
    );
    assert_eq!(format!("{:#}", Peer::read(&file, &PROGRAMS).expect_err("no kernel")), expected);
}

#[test]
fn a_setting_that_would_become_several_words_is_refused() {
    let peer = parse(LEAST).expect("right");
    let error =
        peer.command_line("worker", NETWORK, None, &[setting("OPTION_A", "a b")]).expect_err("two words");
    assert!(error.to_string().starts_with("OPTION_A=\"a b\" cannot be passed to Other: "), "{error}");
}

#[test]
fn a_word_with_an_unknown_rate_is_left_out() {
    let peer = parse(&with("{env} --", "tsc={tsc_khz} {env} --")).expect("right");
    assert!(line(&peer).starts_with("tsc=2000000 REDIS_URL="), "{}", line(&peer));
    let unknown = peer.command_line("worker", NETWORK, None, &[]).expect("a command line");
    assert_eq!(unknown, " -- /worker");
}

#[test]
fn the_descriptions_that_are_given_are_right() {
    let cases = [
        (
            include_str!("../../peers/unikraft-elfloader.toml"),
            "netdev.ip=10.0.2.15/24:10.0.2.2 vfs.fstab=[ \"initrd0:/:extract::ramfs=1:\" ] \
             env.vars=[ \"REDIS_URL=redis://10.0.2.2:7\" \"LOG=warn\" ] -- /vote-service",
        ),
        (
            include_str!("../../peers/osv.toml"),
            "--rootfs=rofs --ip=eth0,10.0.2.15,255.255.255.0 --defaultgw=10.0.2.2 \
             --env=REDIS_URL=redis://10.0.2.2:7 --env=LOG=warn /vote-service",
        ),
        (
            include_str!("../../peers/nanos.toml"),
            "en1.ipaddr=10.0.2.15 en1.netmask=255.255.255.0 en1.gateway=10.0.2.2 \
             environment.REDIS_URL=redis://10.0.2.2:7 environment.LOG=warn",
        ),
    ];
    for (text, expected) in cases {
        let peer = parse(text).expect("right");
        assert_eq!(line(&peer), expected);
        assert!(peer.version.chars().any(|c| c.is_ascii_digit()), "no version: {}", peer.version);
    }
}

#[test]
fn a_peer_comes_back_from_a_runs_file_as_it_was() {
    for text in [include_str!("../../peers/debian-q35.toml"), include_str!("../../peers/osv.toml")] {
        let peer = parse(text).expect("right");
        let written = serde_json::to_string(&peer).expect("serializable");
        assert_eq!(serde_json::from_str::<Peer>(&written).expect("readable"), peer);
    }
}
