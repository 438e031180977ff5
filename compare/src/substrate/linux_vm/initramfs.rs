//! The initial file system: a cpio archive of the "newc" format (Linux, initramfs/buffer-format).
//!
//! Not compressed: unpacking costs an emulated processor more than reading. Carries no owner and no time,
//! so the same files make the same archive.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use image_build::vm::machine::Machine;

use super::packages::Packages;

/// Modules in the order in which they depend on each other.
const PCI_MODULES: [&str; 5] = [
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
];
/// The device itself is found through ACPI.
const MMIO_MODULES: [&str; 3] =
    ["drivers/virtio/virtio_ring", "drivers/virtio/virtio", "drivers/virtio/virtio_mmio"];
const NET_MODULES: [&str; 3] = ["net/core/failover", "drivers/net/net_failover", "drivers/net/virtio_net"];

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_777;
const CHARACTER_DEVICE: u32 = 0o020_600;
/// Numbers of the console device.
const CONSOLE: (u32, u32) = (5, 1);

/// The archive that makes a machine of this kind run `service`.
///
/// # Errors
/// When a module or program is not there.
pub fn archive(packages: &Packages, machine: Machine, service: &Path) -> Result<Vec<u8>> {
    let bus: &[&str] = if machine == Machine::Q35 { &PCI_MODULES } else { &MMIO_MODULES };
    let modules: Vec<&str> = bus.iter().chain(&NET_MODULES).copied().collect();
    let mut archive = Archive::default();
    for directory in ["bin", "dev", "modules"] {
        archive.entry(directory, DIRECTORY, (0, 0), &[]);
    }
    archive.entry("dev/console", CHARACTER_DEVICE, CONSOLE, &[]);
    archive.entry("bin/busybox", PROGRAM, (0, 0), &read(&packages.busybox()?)?);
    archive.entry("bin/sh", LINK, (0, 0), b"busybox");
    for module in &modules {
        let path = format!("modules/{}.ko", file_name(module));
        archive.entry(&path, FILE, (0, 0), &read(&packages.module(module)?)?);
    }
    archive.entry("init", PROGRAM, (0, 0), init(&modules).as_bytes());
    archive.entry("service", PROGRAM, (0, 0), &read(service)?);
    Ok(archive.finish())
}

/// The first program: a script of busybox's shell that becomes the service.
fn init(modules: &[&str]) -> String {
    let mut lines = vec!["#!/bin/sh".to_owned()];
    for module in modules.iter().map(|module| file_name(module)) {
        lines.push(format!("insmod /modules/{module}.ko"));
    }
    for command in ["link set lo up", "addr add 10.0.2.15/24 dev eth0", "link set eth0 up"] {
        lines.push(format!("ip {command}"));
    }
    lines.push("ip route add default via 10.0.2.2".to_owned());
    lines.push("exec /service".to_owned());
    lines.join("\n") + "\n"
}

fn file_name(module: &str) -> &str {
    module.rsplit('/').next().unwrap_or(module)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        // inode, mode, uid, gid, links, time, size, device of the file (2), device number (2), name, check
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes().chain([0]));
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    /// Names and contents end on a boundary of four bytes.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_head_of_110_bytes_a_name_and_a_content_each_padded_to_four() {
        let mut archive = Archive::default();
        archive.entry("init", PROGRAM, (0, 0), b"hello");
        let text = String::from_utf8(archive.bytes.clone()).expect("ASCII");
        assert_eq!(&text[..14], "07070100000001");
        assert_eq!(&text[14..22], "000081ed", "a regular file that may be run");
        assert_eq!(&text[54..62], "00000005", "its size");
        assert_eq!(&text[110..], "init\0\0hello\0\0\0");
        let whole = archive.finish();
        assert!(whole.len().is_multiple_of(4) && whole.ends_with(b"TRAILER!!!\0\0\0\0"));
    }

    #[test]
    fn the_script_loads_the_modules_in_order_and_becomes_the_service() {
        let script = init(&["a/virtio_ring", "b/virtio_mmio"]);
        let expected = "#!/bin/sh\ninsmod /modules/virtio_ring.ko\n\
                        insmod /modules/virtio_mmio.ko\nip link set lo up\n";
        assert!(script.starts_with(expected), "{script}");
        assert!(script.ends_with("\nexec /service\n"), "{script}");
    }
}
