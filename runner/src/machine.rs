//! The machine that a unikernel gets in a container.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use image_build::oci::description::{Description, PROBE, Port, QEMU};
use image_build::vm::accelerator::Accelerator;
use image_build::vm::command_line::CommandLine;
use image_build::vm::machine::{Forward, Launch, MEMORY_MIB_MAX, MEMORY_MIB_MIN, Machine, Network};
use image_build::vm::probe;

use crate::network::InPlace;
use crate::settings::{ACCELERATOR, DATA, MEMORY, Settings};

/// The port of health and metrics, if it is one of its own.
const HEALTH_PORT: &str = "HEALTH_PORT";
/// Of the limit of a container's memory, what QEMU takes beside the guest's, as measured with room for more.
const QEMU_MIB: u64 = 64;
/// Addresses between the guest and QEMU. Engines give their containers any private ones, QEMU's usual ones among them;
/// nobody has those of examples (RFC 5737, section 3).
const USER_NETWORK: &str = "192.0.2.0/24";
/// Where the kernel tells a container's limit of memory, by the version of cgroups.
const MEMORY_LIMITS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// The machine, with the container's settings.
///
/// # Errors
/// When a variable cannot be used, or QEMU does not run here.
pub fn launch(description: &Description, settings: &Settings, in_place: Option<&InPlace>) -> Result<Launch> {
    let mut launch = Launch::new(
        &description.name,
        description.image.clone(),
        Machine::Q35,
        accelerator(settings.get(ACCELERATOR))?,
    );
    launch.program = QEMU.into();
    launch.memory_mib = memory_mib(description.memory_mib, settings.get(MEMORY))?;
    check_limit(launch.memory_mib, MEMORY_LIMITS.iter().find_map(|path| fs::read_to_string(path).ok()))?;
    let forwards = forwards(&description.ports, settings)?;
    launch.network =
        in_place.map_or(Network::User { forwards, outgoing: true, range: Some(USER_NETWORK) }, InPlace::card);
    launch.disks.extend(disk(description, settings.get(DATA))?);
    launch.command_line =
        CommandLine::from_environment(settings.of_guest(in_place.map(InPlace::settings).unwrap_or_default()));
    Ok(launch)
}

/// KVM where it runs a guest, else QEMU's translator; said in a line, since the one is much faster than the other.
fn accelerator(asked: Option<&str>) -> Result<Accelerator> {
    let is_kvm_tried = match asked {
        None | Some("auto" | "kvm") => true,
        Some("tcg") => false,
        Some(other) => bail!("{ACCELERATOR}={other:?} cannot be used: give auto, kvm or tcg"),
    };
    if !is_kvm_tried {
        return Ok(Accelerator::Tcg { mhz: probe::counter_mhz() });
    }
    let (accelerator, obstacle) = probe::try_here(Path::new(PROBE))?;
    match obstacle {
        None => note!("runs on KVM"),
        Some(obstacle) => {
            ensure!(
                asked != Some("kvm"),
                "KVM cannot be used here: {obstacle}; give {ACCELERATOR}=auto or the device /dev/kvm"
            );
            note!("runs emulated, which is slower: {obstacle}");
        }
    }
    Ok(accelerator)
}

fn memory_mib(usual: u32, asked: Option<&str>) -> Result<u32> {
    let Some(text) = asked else { return Ok(usual) };
    let found = text.parse().ok().filter(|mib| (MEMORY_MIB_MIN..=MEMORY_MIB_MAX).contains(mib));
    found.with_context(|| {
        format!("{MEMORY}={text:?} cannot be used: give MiB from {MEMORY_MIB_MIN} to {MEMORY_MIB_MAX}")
    })
}

/// Whether the guest and QEMU have room below the container's limit. A machine without would be killed in the middle of
/// its work.
fn check_limit(memory_mib: u32, limit: Option<String>) -> Result<()> {
    let limit_mib = limit.and_then(|text| text.trim().parse::<u64>().ok()).map(|bytes| bytes >> 20);
    let needed_mib = u64::from(memory_mib) + QEMU_MIB;
    ensure!(
        limit_mib.is_none_or(|limit_mib| needed_mib <= limit_mib),
        "the container may use {} MiB; a guest of {memory_mib} MiB takes {needed_mib} with QEMU: raise the limit, or set \
         {MEMORY}",
        limit_mib.unwrap_or_default()
    );
    Ok(())
}

/// Every port that is reached from outside, at the same number.
fn forwards(ports: &[Port], settings: &Settings) -> Result<Vec<Forward>> {
    let own = ports.iter().map(|port| number(port, settings));
    let numbers: BTreeSet<u16> = own.chain([health_port(ports, settings)]).collect::<Result<_>>()?;
    let forward =
        |number| Forward { host: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, number), guest_port: number };
    Ok(numbers.into_iter().map(forward).collect())
}

/// Where health is asked for: a port of its own if there is one, else the first.
///
/// # Errors
/// When a setting is no port.
pub fn health_port(ports: &[Port], settings: &Settings) -> Result<u16> {
    if let Some(number) = moved(HEALTH_PORT, settings)? {
        return Ok(number);
    }
    let own = ports.iter().find(|port| port.setting == HEALTH_PORT);
    number(own.or(ports.first()).context("it has no port")?, settings)
}

fn number(port: &Port, settings: &Settings) -> Result<u16> {
    Ok(moved(&port.setting, settings)?.unwrap_or(port.number))
}

fn moved(setting: &str, settings: &Settings) -> Result<Option<u16>> {
    let Some(text) = settings.get(setting) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| *number != 0);
    let number = number
        .with_context(|| format!("{setting}={text:?} cannot be used: give a TCP port from 1 to 65535"))?;
    Ok(Some(number))
}

/// The file of the disk in the volume, for those who keep data.
fn disk(description: &Description, folder: Option<&str>) -> Result<Option<PathBuf>> {
    let Some(folder) = folder else { return Ok(None) };
    ensure!(description.disk_mib.is_some(), "{} keeps no data: leave out {DATA}", description.name);
    ensure!(Path::new(folder).is_dir(), "{DATA}={folder:?} is no folder: mount a volume there");
    Ok(Some(Path::new(folder).join(format!("{}.img", description.name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(number: u16, setting: &str) -> Port {
        Port { number, setting: setting.to_owned() }
    }

    #[test]
    fn ports_are_the_containers_and_move_with_their_settings() {
        let ports = [port(8080, "PORT")];
        let numbers = |pairs: &[(&'static str, &str)]| -> Vec<u16> {
            let forwards = forwards(&ports, &Settings::of(pairs)).expect("usable");
            assert!(forwards.iter().all(|forward| forward.host.port() == forward.guest_port));
            forwards.iter().map(|forward| forward.guest_port).collect()
        };
        assert_eq!(numbers(&[]), [8080]);
        assert_eq!(numbers(&[("PORT", "90"), ("HEALTH_PORT", "8084")]), [90, 8084]);
        let health =
            |pairs: &[(&'static str, &str)]| health_port(&ports, &Settings::of(pairs)).expect("usable");
        assert_eq!(
            [health(&[]), health(&[("PORT", "90")]), health(&[("HEALTH_PORT", "8084")])],
            [8080, 90, 8084]
        );
        for wrong in ["0", "x", "70000"] {
            let error = forwards(&ports, &Settings::of(&[("PORT", wrong)])).expect_err(wrong).to_string();
            assert_eq!(error, format!("PORT={wrong:?} cannot be used: give a TCP port from 1 to 65535"));
        }
    }

    #[test]
    fn a_guest_that_does_not_fit_into_its_container_is_not_started() {
        assert!(check_limit(32, Some("max\n".to_owned())).is_ok());
        assert!(check_limit(32, None).is_ok());
        assert!(check_limit(32, Some("134217728\n".to_owned())).is_ok());
        let error = check_limit(32, Some("67108864\n".to_owned())).expect_err("too little").to_string();
        let expected = "the container may use 64 MiB; a guest of 32 MiB takes 96 with QEMU: raise the limit, or set MEMORY_MIB";
        assert_eq!(error, expected);
        assert!(memory_mib(32, Some("3")).is_err());
        assert_eq!(memory_mib(32, Some("48")).expect("usable"), 48);
    }

    #[test]
    fn data_needs_a_volume_and_a_service_that_keeps_some() {
        let store = Description {
            name: "store-service".to_owned(),
            image: "/unikernel/store-service".into(),
            memory_mib: 64,
            disk_mib: Some(128),
            ports: Vec::new(),
        };
        let folder = std::env::temp_dir();
        let path = disk(&store, folder.to_str()).expect("a volume");
        assert_eq!(path, Some(folder.join("store-service.img")));
        assert!(disk(&store, Some("/no/such/volume")).is_err());
        let vote = Description { name: "vote-service".to_owned(), disk_mib: None, ..store };
        let error = disk(&vote, Some("/")).expect_err("no data").to_string();
        assert_eq!(error, "vote-service keeps no data: leave out DATA");
    }
}
