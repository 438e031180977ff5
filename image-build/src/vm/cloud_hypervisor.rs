//! The command line with which cloud-hypervisor runs a machine.
//!
//! It has a device for random numbers in any case, and its serial line is its standard output.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::vm::machine::{Launch, Network, Serial, hardware_address};

/// The command that starts cloud-hypervisor.
///
/// # Errors
/// When the settings cannot be passed to a guest, or a path cannot be passed to cloud-hypervisor.
pub(super) fn command(launch: &Launch) -> Result<Command> {
    let line = launch.command_line_now().render(launch.accelerator.mhz())?;
    let mut command = Command::new(&launch.program);
    command.arg("--kernel").arg(&launch.image);
    // In one word: it begins with a hyphen.
    command.arg(format!("--cmdline={line}"));
    command.args(["--cpus", "boot=1", "--memory", &format!("size={}M", launch.memory_mib)]);
    command.args(["--console", "off", "--serial", &serial(&launch.serial)?]);
    if let Network::Tap { interface, mac, .. } = &launch.network {
        command.args(["--net", &format!("tap={interface},mac={}", hardware_address(*mac))]);
    }
    if !launch.disks.is_empty() {
        command.arg("--disk");
    }
    for disk in &launch.disks {
        command.arg(format!("path={},image_type=raw", value(disk)?));
    }
    Ok(command)
}

fn serial(serial: &Serial) -> Result<String> {
    Ok(match serial {
        Serial::Stdout => "tty".to_owned(),
        Serial::File(path) => format!("file={}", value(path)?),
        Serial::None => "off".to_owned(),
    })
}

/// A path as the value of an option, where a comma ends a value.
fn value(path: &Path) -> Result<&str> {
    let text = path.to_str().with_context(|| format!("the path {} is not UTF-8", path.display()))?;
    ensure!(
        !text.contains([',', '"', '[', ']']),
        "cloud-hypervisor takes no path with a comma, quote or bracket, as {text} has: use another folder"
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::accelerator::Accelerator;
    use crate::vm::machine::Machine;
    use crate::vm::vmm::Vmm;

    fn launch() -> Launch {
        Launch {
            vmm: Vmm::CloudHypervisor,
            ..Launch::new("store", "/i/store.img".into(), Machine::Q35, Accelerator::Kvm { mhz: 2000 })
        }
    }

    #[test]
    fn card_disk_and_serial_line_are_options_and_the_settings_are_one_word() {
        let network = Network::Tap { interface: "station1".to_owned(), mac: [2, 0, 0, 0, 0, 1], mtu: 1500 };
        let launch = Launch { network, disks: vec!["/d/store-1.img".into()], ..launch() };
        let command = command(&launch).expect("a launch that can be made");
        let words: Vec<&str> = command.get_args().filter_map(|word| word.to_str()).collect();
        for pair in [
            ["--kernel", "/i/store.img"],
            ["--memory", "size=32M"],
            ["--net", "tap=station1,mac=02:00:00:00:00:01"],
            ["--disk", "path=/d/store-1.img,image_type=raw"],
            ["--serial", "tty"],
            ["--console", "off"],
        ] {
            assert!(words.windows(2).any(|words| words == pair), "{pair:?}: {words:?}");
        }
        assert!(words.iter().any(|word| word.starts_with("--cmdline=-freq 2000 ")), "{words:?}");
    }

    #[test]
    fn a_path_that_it_would_take_apart_is_refused() {
        let error = command(&Launch { disks: vec!["/a,b".into()], ..launch() }).expect_err("refused");
        assert!(error.to_string().contains("/a,b"), "{error}");
    }
}
