//! The smallest image with the command lines that container engines and VMMs give: it has its address, and complains
//! about nothing.

use tests::client::curl;
use tests::machine::{CARD, Guest, Q35};

/// Serves with this line without DHCP, and without a word of the kernel's.
fn serves(words: &[&[&str]], line: &str) -> Guest {
    let mut guest = Guest::with_line(words, line);
    guest.serves();
    let log = guest.log();
    assert!(log.contains(" is up "), "{log}");
    let complaints = ["DHCP", "ERROR", "WARN", "bootarg", "panic"];
    assert!(!complaints.iter().any(|word| log.contains(word)), "{line}: {log}");
    guest
}

#[test]
fn urunc_s_line_and_machine() {
    let card = ["-device", "virtio-net-pci,netdev=n0,disable-legacy=on,mac=52:54:00:12:34:57"];
    let line = "ip=10.0.2.15/24 gateway=10.0.2.2 -- /unikernel/vote";
    serves(&[&["-M", "pc", "-cpu", "max"], &card], line);
}

#[test]
fn settings_behind_the_program_s_name_count() {
    let line = "ip=10.0.2.15/24 gateway=10.0.2.2 -- /unikernel/vote OPTION_A=Tea OPTION_B=it's --verbose";
    let guest = serves(&[Q35, &["-cpu", "max"], CARD], line);
    let page = curl(&guest.url(), &[]).body;
    assert!(page.contains("Tea") && page.contains("it&#39;s"), "{page}");
}

#[test]
fn linux_s_address_and_words_for_other_kernels() {
    let line = "reboot=k panic=1 pci=off console=ttyS0 root=/dev/vda ro quiet \
                ip=10.0.2.15::10.0.2.2:255.255.255.0:vote:eth0:off dyndbg=\"file a.c +p\"";
    serves(&[Q35, &["-cpu", "max"], CARD], line);
}

#[test]
fn an_address_that_is_none_is_told_with_its_setting() {
    let guest = Guest::with_line(&[Q35, &["-cpu", "max"], CARD], "ip=10.0.2.300/24 gateway=10.0.2.2");
    guest.says("IP=\"10.0.2.300/24\" is no IPv4 address: give one such as 10.0.2.15/24");
}

#[test]
fn devices_are_looked_for_where_the_line_says() {
    let machine = ["-M", "microvm,auto-kernel-cmdline=off", "-cpu", "max"];
    let card = ["-global", "virtio-mmio.force-legacy=false", "-device", "virtio-net-device,netdev=n0"];
    let line = |device: &str| format!("ip=10.0.2.15/24 virtio_mmio.device={device}");
    // The first device of a microvm is in its last place.
    serves(&[&machine, &card], &line("512@0xfeb02e00:47"));
    Guest::with_line(&[&machine, &card], &line("512@0xfeb00000:24")).says("no virtio-net device");
}
