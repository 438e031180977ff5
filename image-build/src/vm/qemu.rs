//! The command line with which QEMU runs a machine. `guest` starts it.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::tool::packages::table::QEMU;
use crate::tool::{packages, process};
use crate::vm::machine::{
    ETHERNET_MTU, Firmware, Forward, Launch, Machine, Network, Serial, hardware_address,
};
use crate::vm::refusal;

/// A PC with PCI Express, and little else.
const Q35: &str = "q35,sata=off,smbus=off,i8042=off,vmport=off";
/// I/O port of the device through which a guest ends QEMU with a status of its own.
const EXIT_PORT: &str = "isa-debug-exit,iobase=0xf4,iosize=4";

/// No obsolete calls, no other user, no other program, no other scheduling: what none of the networks, disks
/// and accelerators here needs, and a guest that has broken out of its machine would.
const SANDBOX: &str = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";
/// See [`disk_arguments`].
const DISK_OPTIONS: &str = "cache=writeback,aio=threads,werror=report,rerror=report";
/// Of a disk whose file several machines use at once, and none changes.
const SHARED_DISK_OPTIONS: &str = "snapshot=on";

/// The command that starts QEMU.
///
/// # Errors
/// When the memory is out of range, or the command line cannot be passed to a guest.
pub fn command(launch: &Launch) -> Result<Command> {
    refusal::check_memory(launch.vmm, &launch.name, launch.memory_mib)?;
    let words = match &launch.other_kernel {
        None => launch.command_line_now().render(launch.accelerator.mhz())?,
        Some(kernel) => kernel.words.clone(),
    };
    let mut command = Command::new(&launch.program);
    command.args(["-name", &launch.name]);
    let firmware = launch.other_kernel.as_ref().map(|kernel| kernel.firmware).unwrap_or_default();
    command.args(launch.machine.arguments(firmware)).args(launch.accelerator.arguments());
    command.args(["-m", &format!("{}M", launch.memory_mib)]);
    if matches!(launch.network, Network::Link { shares_queues: true, .. }) {
        let memory = format!("memory-backend-memfd,id=memory,share=on,size={}M", launch.memory_mib);
        command.args(["-object", &memory, "-machine", "memory-backend=memory"]);
    }
    command.args(["-display", "none", "-nodefaults", "-no-user-config", "-no-reboot"]);
    if launch.sandbox {
        command.args(["-sandbox", SANDBOX]);
    }
    command.args(["-device", EXIT_PORT]);
    command.args(launch.serial.arguments()?);
    command.arg("-kernel").arg(&launch.image).arg("-append").arg(words);
    let kernel = launch.other_kernel.as_ref();
    if let Some(initramfs) = kernel.and_then(|kernel| kernel.initramfs.as_ref()) {
        command.arg("-initrd").arg(initramfs);
    }
    let card = kernel.and_then(|kernel| kernel.card.clone()).unwrap_or_else(|| launch.machine.virtio("net"));
    command.args(launch.network.arguments(&card, launch.vhost)?);
    let shared = kernel.and_then(|kernel| kernel.disk.as_ref()).map(|disk| (disk, SHARED_DISK_OPTIONS));
    let own = launch.disks.iter().map(|disk| (disk, DISK_OPTIONS));
    for (index, (disk, options)) in shared.into_iter().chain(own).enumerate() {
        command.args(disk_arguments(launch.machine, index, disk, options)?);
    }
    if launch.accelerator.lacks_entropy() {
        command.args(["-device", &launch.machine.virtio("rng")]);
    }
    if let Some(socket) = &launch.debugger {
        let path = option_value(socket)?;
        command.args(["-gdb", &format!("unix:{path},server=on,wait=off")]);
    }
    command.args(&launch.extra);
    Ok(command)
}

impl Machine {
    fn arguments(self, firmware: Firmware) -> &'static [&'static str] {
        match self {
            // Without controllers that no program drives: the firmware would look for disks and keys. And with
            // microvm's firmware, which comes with QEMU as well. The usual one takes four fifths of a boot's
            // instructions and 1,100 of its exits, most of them for PCI; guests give addresses to their devices
            // themselves, Linux too.
            Self::Q35 if firmware == Firmware::Small => &["-M", Q35, "-bios", "bios-microvm.bin"],
            Self::Q35 => &["-M", Q35],
            // The kernel finds one I/O APIC through ACPI; the second one confuses it. The guest scans
            // for its devices itself, so QEMU need not write them on the command line. These would be of
            // the legacy kind that came before virtio 1.0, which our drivers refuse.
            Self::Microvm => &[
                "-M",
                "microvm,ioapic2=off,auto-kernel-cmdline=off",
                "-global",
                "virtio-mmio.force-legacy=false",
            ],
        }
    }

    /// Name of a virtio device model on this machine.
    fn virtio(self, kind: &str) -> String {
        match self {
            // No option ROM: the firmware must not look for one to boot the network from.
            Self::Q35 if kind == "net" => "virtio-net-pci,disable-legacy=on,romfile=".to_owned(),
            Self::Q35 => format!("virtio-{kind}-pci,disable-legacy=on"),
            Self::Microvm => format!("virtio-{kind}-device"),
        }
    }
}

impl Network {
    fn arguments(&self, card: &str, vhost: bool) -> Result<Vec<String>> {
        let mut arguments = Vec::new();
        let (backend, mac) = match self {
            Self::None => return Ok(vec!["-nic".to_owned(), "none".to_owned()]),
            Self::User { forwards, outgoing, range } => {
                let mut backend = "user,id=net0".to_owned();
                backend += &range.map(|range| format!(",net={range}")).unwrap_or_default();
                backend += if *outgoing { "" } else { ",restrict=on" };
                for Forward { host, guest_port } in forwards {
                    backend += &format!(",hostfwd=tcp:{}:{}-:{guest_port}", host.ip(), host.port());
                }
                (backend, None)
            }
            Self::Tap { interface, mac, .. } => {
                let vhost = if vhost { ",vhost=on" } else { "" };
                (format!("tap,id=net0,ifname={interface},script=no,downscript=no{vhost}"), Some(mac))
            }
            Self::Link { socket, mac, shares_queues: false } => {
                let path = option_value(socket)?;
                (format!("stream,id=net0,server=off,addr.type=unix,addr.path={path}"), Some(mac))
            }
            Self::Link { socket, mac, shares_queues: true } => {
                let orders = format!("socket,id=switch,path={}", option_value(socket)?);
                arguments.extend(["-chardev".to_owned(), orders]);
                ("vhost-user,id=net0,chardev=switch".to_owned(), Some(mac))
            }
            Self::Datagrams { own, peer } => (format!("socket,id=net0,udp={peer},localaddr={own}"), None),
        };
        let mut device = format!("{card},netdev=net0");
        if let Some(mac) = mac {
            device += &format!(",mac={}", hardware_address(*mac));
        }
        if let Self::Tap { mtu, .. } = self
            && *mtu != ETHERNET_MTU
        {
            device += &format!(",host_mtu={mtu}");
        }
        arguments.extend(["-netdev".to_owned(), backend, "-device".to_owned(), device]);
        Ok(arguments)
    }
}

impl Serial {
    fn arguments(&self) -> Result<Vec<String>> {
        let backend = match self {
            Self::Stdout => "stdio,id=serial0,signal=off".to_owned(),
            Self::File(path) => format!("file,id=serial0,path={}", option_value(path)?),
            Self::None => "null,id=serial0".to_owned(),
        };
        let words = ["-chardev", &backend, "-serial", "chardev:serial0"];
        Ok(words.map(str::to_owned).to_vec())
    }
}

/// A disk. A write has ended when the host's cache has it, from which the end of QEMU takes nothing, and a
/// guest's flush becomes `fdatasync`: that is `cache=writeback`. Threads do the input and output, since
/// they work on every file system. Errors are reported to the guest; otherwise QEMU would stop it when the host's
/// disk is full.
fn disk_arguments(
    machine: Machine,
    index: usize,
    path: &std::path::Path,
    options: &str,
) -> Result<Vec<String>> {
    let drive = format!("if=none,id=disk{index},format=raw,{options},file={}", option_value(path)?);
    let device = format!("{},drive=disk{index}", machine.virtio("blk"));
    Ok(vec!["-drive".to_owned(), drive, "-device".to_owned(), device])
}

/// A path as the value of a QEMU option, where a comma ends a value unless doubled.
pub(crate) fn option_value(path: &std::path::Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("the path {} is not UTF-8", path.display()))?;
    Ok(text.replace(',', ",,"))
}

/// Checks that QEMU is there.
///
/// # Errors
/// When it is not; the error says how to install it.
pub fn require() -> Result<()> {
    ensure!(process::is_installed(QEMU.program), "{} is not installed: {}", QEMU.program, packages::advice());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::vm::accelerator::Accelerator;
    use crate::vm::machine::OtherKernel;

    fn words(launch: &Launch) -> Vec<String> {
        let command = command(launch).expect("a launch that can be made");
        command.get_args().map(|word| word.to_str().expect("UTF-8").to_owned()).collect()
    }

    fn launch(machine: Machine) -> Launch {
        Launch::new("vote", "/i/vote.img".into(), machine, Accelerator::Tcg { mhz: 2500 })
    }

    /// The value after the option called `name`.
    fn value<'a>(words: &'a [String], name: &str) -> &'a str {
        let at = words.iter().position(|word| word == name).expect("the option is there");
        &words[at + 1]
    }

    #[test]
    fn q35_has_its_card_on_pci_without_an_option_rom() {
        let host = "127.0.0.1:8080".parse().expect("an address");
        let network =
            Network::User { forwards: vec![Forward { host, guest_port: 80 }], outgoing: true, range: None };
        let words = words(&Launch { network, ..launch(Machine::Q35) });
        assert!(value(&words, "-M").starts_with("q35,"));
        assert_eq!(value(&words, "-bios"), "bios-microvm.bin");
        assert_eq!(value(&words, "-netdev"), "user,id=net0,hostfwd=tcp:127.0.0.1:8080-:80");
        assert!(words.contains(&"virtio-net-pci,disable-legacy=on,romfile=,netdev=net0".to_owned()));
        let append = shell_words::split(value(&words, "-append")).expect("quotes match");
        assert_eq!(append[..2], ["-freq", "2500"]);
        let started = append[2].strip_prefix("env=STARTED_AT=").expect("the time");
        let micros: u64 = started.parse().expect("microseconds");
        assert!(SystemTime::UNIX_EPOCH + Duration::from_micros(micros) <= SystemTime::now(), "{append:?}");
        assert_eq!(value(&words, "-kernel"), "/i/vote.img");
    }

    #[test]
    fn microvm_has_its_card_on_mmio() {
        let words = words(&Launch { network: tap(ETHERNET_MTU), ..launch(Machine::Microvm) });
        assert_eq!(value(&words, "-netdev"), "tap,id=net0,ifname=tap3,script=no,downscript=no");
        assert_eq!(value(&words, "-global"), "virtio-mmio.force-legacy=false");
        let device = "virtio-net-device,netdev=net0,mac=52:54:00:00:00:03";
        assert!(words.contains(&device.to_owned()), "{words:?}");
    }

    fn tap(mtu: u16) -> Network {
        Network::Tap { interface: "tap3".to_owned(), mac: [0x52, 0x54, 0, 0, 0, 3], mtu }
    }

    #[test]
    fn a_card_tells_of_an_mtu_that_is_not_ethernet_s() {
        for (mtu, told) in [(ETHERNET_MTU, ""), (1_400, ",host_mtu=1400"), (9_000, ",host_mtu=9000")] {
            let words = words(&Launch { network: tap(mtu), ..launch(Machine::Microvm) });
            let device = format!("virtio-net-device,netdev=net0,mac=52:54:00:00:00:03{told}");
            assert!(words.contains(&device), "{words:?}");
        }
    }

    #[test]
    fn the_kernel_moves_packets_of_taps_where_it_can() {
        let backend = |network, vhost| {
            let words = words(&Launch { network, vhost, ..launch(Machine::Q35) });
            value(&words, "-netdev").to_owned()
        };
        let plain = "tap,id=net0,ifname=tap3,script=no,downscript=no";
        assert_eq!(backend(tap(ETHERNET_MTU), false), plain);
        assert_eq!(backend(tap(ETHERNET_MTU), true), format!("{plain},vhost=on"));
        assert!(!backend(link(false), true).contains("vhost"), "only taps are the kernel's");
        assert!(!launch(Machine::Q35).vhost, "under TCG there is nothing to gain");
    }

    fn link(shares_queues: bool) -> Network {
        Network::Link { socket: "vote-1.link".into(), mac: [2, 0, 0, 0, 0, 9], shares_queues }
    }

    #[test]
    fn a_machine_is_plugged_into_a_switch_by_a_socket() {
        let network = link(false);
        let words = words(&Launch { network, ..launch(Machine::Q35) });
        let backend = "stream,id=net0,server=off,addr.type=unix,addr.path=vote-1.link";
        assert_eq!(value(&words, "-netdev"), backend);
        let device = "virtio-net-pci,disable-legacy=on,romfile=,netdev=net0,mac=02:00:00:00:00:09";
        assert!(words.contains(&device.to_owned()), "{words:?}");
    }

    #[test]
    fn a_switch_that_works_on_the_queues_has_the_memory_shared() {
        let network = link(true);
        let words = words(&Launch { network, memory_mib: 12, ..launch(Machine::Microvm) });
        assert_eq!(value(&words, "-object"), "memory-backend-memfd,id=memory,share=on,size=12M");
        assert_eq!(value(&words, "-machine"), "memory-backend=memory");
        assert!(words.contains(&"socket,id=switch,path=vote-1.link".to_owned()), "{words:?}");
        assert_eq!(value(&words, "-netdev"), "vhost-user,id=net0,chardev=switch");
        let device = "virtio-net-device,netdev=net0,mac=02:00:00:00:00:09";
        assert!(words.contains(&device.to_owned()), "{words:?}");
    }

    #[test]
    fn a_guest_that_needs_to_reach_nothing_cannot() {
        let host = "127.0.0.1:6379".parse().expect("an address");
        let network = Network::User {
            forwards: vec![Forward { host, guest_port: 6379 }],
            outgoing: false,
            range: None,
        };
        let words = words(&Launch { network, ..launch(Machine::Microvm) });
        let backend = "user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:6379-:6379";
        assert_eq!(value(&words, "-netdev"), backend);
    }

    #[test]
    fn qemu_runs_without_monitor_and_default_devices_and_can_be_sandboxed() {
        for machine in [Machine::Q35, Machine::Microvm] {
            let bare = words(&launch(machine));
            for option in ["-nodefaults", "-no-user-config"] {
                assert!(bare.contains(&option.to_owned()), "{bare:?}");
            }
            assert_eq!(value(&bare, "-display"), "none");
            for option in ["-sandbox", "-monitor", "-mon", "-qmp", "-usb", "-vnc", "-drive"] {
                assert!(!bare.contains(&option.to_owned()), "{option}");
            }
            let devices: Vec<_> =
                bare.windows(2).filter(|pair| pair[0] == "-device").map(|pair| &pair[1]).collect();
            assert_eq!(devices, [EXIT_PORT]);
            let confined = words(&Launch { sandbox: true, ..launch(machine) });
            let denied = value(&confined, "-sandbox");
            for group in ["obsolete", "elevateprivileges", "spawn", "resourcecontrol"] {
                assert!(denied.contains(&format!(",{group}=deny")), "{denied}");
            }
        }
    }

    #[test]
    fn another_kernel_gets_its_own_words_on_the_same_machine() {
        let initramfs = Some("/i/initramfs".into());
        let kernel = OtherKernel { initramfs, words: "quiet A=b".to_owned(), ..OtherKernel::default() };
        let other = words(&Launch { other_kernel: Some(kernel), ..launch(Machine::Q35) });
        assert_eq!(value(&other, "-append"), "quiet A=b");
        assert_eq!(value(&other, "-initrd"), "/i/initramfs");
        let own = words(&launch(Machine::Q35));
        assert_eq!(value(&other, "-M"), value(&own, "-M"));
        assert_eq!(value(&other, "-cpu"), value(&own, "-cpu"));
    }

    #[test]
    fn another_kernel_can_have_its_own_card_firmware_and_disk() {
        let kernel = OtherKernel {
            disk: Some("/i/disk.raw".into()),
            card: Some("virtio-net-pci,event_idx=off".to_owned()),
            firmware: Firmware::Usual,
            ..OtherKernel::default()
        };
        let network = Network::User { forwards: Vec::new(), outgoing: true, range: None };
        let words = words(&Launch { other_kernel: Some(kernel), network, ..launch(Machine::Q35) });
        assert!(words.contains(&"virtio-net-pci,event_idx=off,netdev=net0".to_owned()), "{words:?}");
        assert_eq!(value(&words, "-drive"), "if=none,id=disk0,format=raw,snapshot=on,file=/i/disk.raw");
        assert!(!words.contains(&"-bios".to_owned()) && !words.contains(&"-initrd".to_owned()), "{words:?}");
    }

    #[test]
    fn another_program_has_the_other_end_of_the_cable() {
        let at = |text: &str| text.parse().expect("an address");
        let network = Network::Datagrams { own: at("127.0.0.1:7"), peer: at("127.0.0.1:9") };
        let words = words(&Launch { network, ..launch(Machine::Microvm) });
        assert_eq!(value(&words, "-netdev"), "socket,id=net0,udp=127.0.0.1:9,localaddr=127.0.0.1:7");
    }

    #[test]
    fn commas_in_paths_are_doubled() {
        let serial = Serial::File("/a,b/log".into());
        let words = words(&Launch { serial, disks: vec!["/c,d".into()], ..launch(Machine::Q35) });
        assert_eq!(value(&words, "-chardev"), "file,id=serial0,path=/a,,b/log");
        assert!(value(&words, "-drive").ends_with(",file=/c,,d"));
    }

    #[test]
    fn a_disk_honours_flushes_and_tells_the_guest_of_errors() {
        for (machine, device) in [
            (Machine::Q35, "virtio-blk-pci,disable-legacy=on,drive=disk0"),
            (Machine::Microvm, "virtio-blk-device,drive=disk0"),
        ] {
            let words = words(&Launch { disks: vec!["/d/store-1.img".into()], ..launch(machine) });
            let drive = "if=none,id=disk0,format=raw,cache=writeback,aio=threads,werror=report,rerror=report,\
                         file=/d/store-1.img";
            assert_eq!(value(&words, "-drive"), drive);
            assert!(words.contains(&device.to_owned()), "{words:?}");
        }
    }

    #[test]
    fn memory_out_of_range_is_refused_with_the_range() {
        let error = command(&Launch { memory_mib: 3, ..launch(Machine::Q35) }).expect_err("too little");
        assert_eq!(error.to_string(), "3 MiB of memory cannot be used for vote: give 4 to 2048");
    }
}
