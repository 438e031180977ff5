//! Lines as they are met, and what comes of them.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

use crate::{DEVICES_MAX, Error, LINE_BYTES_MAX, translate};

/// What comes out, and what was dropped.
fn translated(line: &str) -> (String, Vec<String>) {
    let mut dropped = vec![];
    let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
    let result = translate(line.as_bytes(), |word| dropped.push(text(word))).expect("a line");
    assert!(result.len() <= 3 * line.len(), "{line} {result}");
    (result, dropped)
}

fn check(line: &str, expected: &str, expected_dropped: &[&str]) {
    let (result, dropped) = translated(line);
    assert_eq!(result, expected, "{line}");
    assert_eq!(dropped, expected_dropped, "{line}");
}

#[test]
fn container_engines() {
    check(
        "ip=10.0.2.15/24 gateway=10.0.2.2 -- /unikernel/vote",
        "env=IP=10.0.2.15/24 env=GATEWAY=10.0.2.2",
        &["/unikernel/vote"],
    );
    check(
        "ip=10.4.0.7/16 gateway=10.4.0.1 -- /vote OPTION_A=Cats PORT=80 --verbose /etc/x",
        "env=IP=10.4.0.7/16 env=GATEWAY=10.4.0.1 env=OPTION_A=Cats env=PORT=80 -- --verbose /etc/x",
        &["/vote"],
    );
    // Without a network.
    check("ip= gateway= --", "env=IP= env=GATEWAY=", &[]);
    // As a line for urunc's Linux guests begins.
    check(
        "panic=-1 console=ttyS0 ip=10.0.0.2::10.0.0.1:255.255.255.0:urunc:eth0:off init=/vote",
        "env=IP=10.0.0.2/24 env=GATEWAY=10.0.0.1",
        &["panic=-1", "console=ttyS0", "init=/vote"],
    );
}

#[test]
fn firecracker() {
    check(
        "reboot=k panic=1 pci=off virtio_mmio.device=4K@0xc0001000:5",
        "env=VIRTIO_MMIO=4K@0xc0001000:5",
        &["reboot=k", "panic=1", "pci=off"],
    );
    check(
        "console=ttyS0 noapic env=PORT=80 pci=off root=/dev/vda rw \
         virtio_mmio.device=4K@0xc0001000:5 virtio_mmio.device=4K@0xc0002000:6 -- LOG=debug",
        "env=PORT=80 env=LOG=debug env=VIRTIO_MMIO=4K@0xc0001000:5,4K@0xc0002000:6",
        &["console=ttyS0", "noapic", "pci=off", "root=/dev/vda", "rw"],
    );
}

#[test]
fn other_vmms() {
    // cloud-hypervisor, whose line must not begin with a hyphen.
    check(
        "console=ttyS0 root=/dev/vda1 rw env=IP=192.168.249.2/24",
        "env=IP=192.168.249.2/24",
        &["console=ttyS0", "root=/dev/vda1", "rw"],
    );
    // QEMU's microvm writes its devices behind whatever is given.
    check(
        "-- /vote A=b virtio_mmio.device=512@0xfeb02e00:47",
        "env=A=b env=VIRTIO_MMIO=512@0xfeb02e00:47",
        &["/vote"],
    );
    // Hermit's own words for an address, which our programs do not read.
    check("-ip 10.0.5.3 -mount /x", "", &["-ip", "10.0.5.3", "-mount", "/x"]);
}

#[test]
fn our_own_tool() {
    check("", "", &[]);
    check(
        r"-freq 3000 'env=OPTION_A=Cats & Dogs' 'env=OPTION_B=it'\''s $5' env=STARTED_AT=17",
        r"-freq 3000 env=OPTION_A=Cats\ &\ Dogs env=OPTION_B=it\'s\ $5 env=STARTED_AT=17",
        &[],
    );
    check("env=A=b -- one 'two three' ''", r"env=A=b -- one two\ three ''", &[]);
    check("'env=A=ö\n2'", "env=A=ö'\n'2", &[]);
}

#[test]
fn addresses() {
    let address = |value: &str| translated(&format!("ip={value}")).0;
    assert_eq!(address("10.0.0.2"), "env=IP=10.0.0.2");
    assert_eq!(
        address("10.0.0.2::10.0.0.1:255.255.0.0:n:eth0:none:1.1.1.1:8.8.8.8:9.9.9.9"),
        "env=IP=10.0.0.2/16 env=GATEWAY=10.0.0.1 env=DNS=1.1.1.1,8.8.8.8"
    );
    assert_eq!(address("10.0.0.2:::255.255.255.255::::8.8.8.8"), "env=IP=10.0.0.2/32 env=DNS=8.8.8.8");
    assert_eq!(address("10.0.0.2:::0.0.0.0:::::8.8.8.8"), "env=IP=10.0.0.2/0 env=DNS=8.8.8.8");
    assert_eq!(address("10.0.0.2::10.0.0.1:24"), "env=IP=10.0.0.2/24 env=GATEWAY=10.0.0.1");
    for by_dhcp in ["dhcp", "on", "off", "none", "", ":::::eth0:dhcp", "0.0.0.0", "10.0.0.2:::::eth0:on"] {
        assert_eq!(address(by_dhcp), "env=IP=", "{by_dhcp}");
    }
    // The program refuses them, and names the setting.
    assert_eq!(address("10.0.0.2:::255.0.255.0"), "env=IP=10.0.0.2/255.0.255.0");
    assert_eq!(address("10.0.0.2:::255.255.255.0.0"), "env=IP=10.0.0.2/255.255.255.0.0");
    assert_eq!(address("[fe80::1]"), "env=IP=[fe80 env=GATEWAY=1]");
}

#[test]
fn other_settings() {
    check("dns=10.0.0.53,1.1.1.1 mtu=1450", "env=DNS=10.0.0.53,1.1.1.1 env=MTU=1450", &[]);
    check("dns= mtu= env=A=", "env=DNS= env=MTU= env=A=", &[]);
    check(
        "env= env=A env==b env=A-B=c env=1=d =e",
        "",
        &["env=", "env=A", "env==b", "env=A-B=c", "env=1=d", "=e"],
    );
    check("-- A-B=c -x=d", "-- A-B=c -x=d", &[]);
    check("env=A=b=c", "env=A=b=c", &[]);
}

#[test]
fn the_last_of_several_words_for_a_setting_comes_last() {
    check(
        "ip=10.0.0.2/8 env=IP=10.0.0.3/8 ip=dhcp -- IP=10.0.0.4/8",
        "env=IP=10.0.0.2/8 env=IP=10.0.0.3/8 env=IP= env=IP=10.0.0.4/8",
        &[],
    );
}

#[test]
fn rates_that_the_kernel_would_stop_at() {
    check("-freq", "", &[]);
    check("-freq 0", "", &["-freq", "0"]);
    check("-freq 70000 env=A=b", "env=A=b", &["-freq", "70000"]);
    check("-freq env=A=b", "env=A=b", &["-freq"]);
    check("-freq -freq 5", "-freq 5", &["-freq"]);
    check("-freq -- -freq", "-- -freq", &["-freq"]);
}

#[test]
fn quotes() {
    check(r#""env=A=b c""#, r"env=A=b\ c", &[]);
    check(r#"env=A="b c"'d e'f\ g"#, r"env=A=b\ cd\ ef\ g", &[]);
    check(r#"env=A="\$\`\"\\\x""#, r#"env=A=$`\"\\\\x"#, &[]);
    check(r#"dyndbg="file a.c +p; file b.c +p" env=A=b"#, "env=A=b", &["dyndbg=file a.c +p; file b.c +p"]);
    check("env=A=b\\\nc env=B=#d #e", r"env=A=bc env=B=\#d", &["#e"]);
    check("\tenv=A=b \n env=B=c ", "env=A=b env=B=c", &[]);
}

#[test]
fn a_quote_that_is_left_open_stands_for_itself() {
    check("env=A=it's ip=10.0.0.2/8", r"env=A=it\'s env=IP=10.0.0.2/8", &[]);
    check(r#"env=A="b c"#, r#"env=A=\"b"#, &["c"]);
    check(r#"env=A="b\" c"#, r#"env=A=\"b\""#, &["c"]);
    check(r"env=A=b\", r"env=A=b\\", &[]);
    check("'", "", &["'"]);
}

#[test]
fn more_devices_than_there_is_room_for_are_dropped() {
    let words: Vec<String> =
        (0..=DEVICES_MAX).map(|at| format!("virtio_mmio.device=1@{}:5", at + 1)).collect();
    let (result, dropped) = translated(&words.join(" "));
    assert_eq!(result.matches('@').count(), DEVICES_MAX);
    assert_eq!(dropped, &words[DEVICES_MAX..]);
}

#[test]
fn lines_that_are_too_long_or_no_text_are_refused() {
    let longest = "x".repeat(LINE_BYTES_MAX);
    assert_eq!(translated(&longest), (String::new(), vec![longest.clone()]));
    assert!(Error::TooLong.to_string().contains(&LINE_BYTES_MAX.to_string()));
    let refused = |line: &[u8]| translate(line, |_| {}).expect_err("no line");
    assert_eq!(refused(format!("{longest}x").as_bytes()), Error::TooLong);
    assert_eq!(refused(b"env=A=\xff"), Error::NotText);
    let mut dropped = vec![];
    let result = translate(b"vendor=\xff env=A=b", |word| dropped.push(word.to_vec()));
    assert_eq!((result.as_deref(), dropped), (Ok("env=A=b"), vec![b"vendor=\xff".to_vec()]));
}

#[test]
fn what_grows_most_stays_within_the_bound() {
    for word in ["A=# ", "A= ", "# ", "' ", "'\n' ", "ip=#::#:#::::#:# "] {
        translated(&format!("-- {}", word.repeat((LINE_BYTES_MAX - 3) / word.len())));
        translated(&word.repeat(LINE_BYTES_MAX / word.len()));
    }
}
