//! The configuration file and the command line with which Firecracker runs a machine.
//!
//! The serial line is its standard output, on which it also writes errors of its own. It gives each device a place on
//! MMIO and names it on the guest's command line.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::vm::machine::{Launch, Network, hardware_address};

/// Longest command line of a guest, with its final zero.
const COMMAND_LINE_BYTES: usize = 2048;
/// What it adds itself: ` pci=off`, and the end.
const OWN_BYTES: usize = 9;
/// What it adds for each device, such as ` virtio_mmio.device=4K@0xc0001000:5`.
const DEVICE_BYTES: usize = 37;

/// The command that starts Firecracker; writes its configuration.
///
/// # Errors
/// When the settings cannot be passed to a guest, or the configuration cannot be written.
pub(super) fn command(launch: &Launch) -> Result<Command> {
    let path = configuration_path(launch);
    let text = serde_json::to_vec(&configuration(launch)?)?;
    write_private(&path, &text).with_context(|| format!("{} cannot be written", path.display()))?;
    let mut command = Command::new(&launch.program);
    command.args(["--no-api", "--level", "Error", "--config-file"]).arg(path);
    Ok(command)
}

fn configuration_path(launch: &Launch) -> PathBuf {
    launch.folder.join(format!("{}.firecracker.json", launch.name))
}

/// It names secrets of the guest.
fn write_private(path: &Path, text: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all(text)?)
}

/// What the file says.
///
/// # Errors
/// When the settings cannot be passed to a guest.
pub(super) fn configuration(launch: &Launch) -> Result<Value> {
    let devices = 1 + launch.disks.len() + usize::from(launch.accelerator.lacks_entropy());
    let line = launch.command_line_now().render(launch.accelerator.mhz())?;
    let bytes_max = COMMAND_LINE_BYTES - OWN_BYTES - devices * DEVICE_BYTES;
    ensure!(
        line.len() <= bytes_max,
        "the settings of {} take {} bytes of the {bytes_max} that Firecracker passes to a guest: make them shorter",
        launch.name,
        line.len()
    );
    let mut configuration = json!({
        "boot-source": { "kernel_image_path": launch.image, "boot_args": line },
        "machine-config": { "vcpu_count": 1, "mem_size_mib": launch.memory_mib },
        "drives": launch.disks.iter().enumerate().map(|(index, path)| drive(index, path)).collect::<Vec<_>>(),
        "network-interfaces": cards(&launch.network),
    });
    if launch.accelerator.lacks_entropy() {
        configuration["entropy"] = json!({});
    }
    Ok(configuration)
}

/// With `Writeback`, a guest's flush becomes `fsync`; otherwise the guest is not offered any.
fn drive(index: usize, path: &Path) -> Value {
    json!({
        "drive_id": format!("disk{index}"),
        "path_on_host": path,
        "is_root_device": false,
        "is_read_only": false,
        "cache_type": "Writeback",
    })
}

fn cards(network: &Network) -> Vec<Value> {
    let Network::Tap { interface, mac, .. } = network else { return Vec::new() };
    let mac = hardware_address(*mac);
    vec![json!({ "iface_id": "net0", "host_dev_name": interface, "guest_mac": mac })]
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::vm::accelerator::Accelerator;
    use crate::vm::command_line::CommandLine;
    use crate::vm::machine::Machine;
    use crate::vm::vmm::Vmm;

    fn launch(folder: &Path) -> Launch {
        Launch {
            vmm: Vmm::Firecracker,
            folder: folder.to_owned(),
            ..Launch::new("store-1", "/i/store.img".into(), Machine::Q35, Accelerator::Kvm { mhz: 2000 })
        }
    }

    #[test]
    fn the_configuration_is_a_private_file_with_disk_and_card() {
        let folder = tempfile::tempdir().expect("a folder");
        let network = Network::Tap { interface: "station1".to_owned(), mac: [2, 0, 0, 0, 0, 1], mtu: 1500 };
        let disks = vec!["/d/a,b.img".into()];
        let launch = Launch { network, disks, ..launch(folder.path()) };
        let command = command(&launch).expect("a launch that can be made");
        let path = folder.path().join("store-1.firecracker.json");
        let words: Vec<_> = command.get_args().collect();
        assert!(words.contains(&"--no-api".as_ref()) && words.ends_with(&[path.as_os_str()]), "{words:?}");
        let rights = fs::metadata(&path).expect("a file").permissions().mode() & 0o777;
        assert_eq!(rights, 0o600, "it has the guest's secrets");
        let text = fs::read_to_string(path).expect("a file");
        let written: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(written["machine-config"]["mem_size_mib"], 32);
        assert_eq!(written["drives"][0]["path_on_host"], "/d/a,b.img");
        assert_eq!(written["drives"][0]["cache_type"], "Writeback");
        assert_eq!(written["network-interfaces"][0]["host_dev_name"], "station1");
        assert_eq!(written["network-interfaces"][0]["guest_mac"], "02:00:00:00:00:01");
        let words = written["boot-source"]["boot_args"].as_str().expect("a line");
        assert!(words.starts_with("-freq 2000 ") && words.contains("env=STARTED_AT="), "{words}");
    }

    #[test]
    fn a_command_line_that_firecracker_would_refuse_is_refused_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let with = |bytes: usize| Launch {
            command_line: CommandLine::from_environment([("A", "x".repeat(bytes))]),
            ..launch(folder.path())
        };
        assert!(command(&with(1500)).is_ok());
        let error = command(&with(2000)).expect_err("too long").to_string();
        assert!(error.contains("store-1") && error.contains("Firecracker passes"), "{error}");
    }
}
