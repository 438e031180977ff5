//! The start of a program, from the kernel's entry to the event loop, in the order in which each step needs the
//! previous one.
//!
//! Before this: the VMM loaded a file with a PVH note and jumped to the loader (`image-build/loader/src/boot.s`). The
//! loader switched the processor to 64 bits and placed the program. The kernel set up its interrupt table, its timer
//! and its memory management, and called `runtime_entry`, which is [`run`]. Then:
//!
//! 1. **Faults**: from here on, an exception ends the machine with a line that names it. Before this it would be
//!    silent.
//! 2. **Pages**: code becomes read-only, and data becomes non-executable ([`page_tables`]).
//! 3. **Heap**: the allocator gets all memory that the kernel has left. Nothing may allocate before this.
//! 4. **Settings** from the kernel's command line; then the **clock** and the **logger**, so that later messages have
//!    the time of day.
//! 5. **Services** are built from the settings. A wrong setting ends the start here, before any device is used.
//! 6. **Entropy**, without which keys and sequence numbers could be guessed.
//! 7. **Devices**: the network card and, for a program that keeps data, the disk; then the TCP/IP stack on the card.
//! 8. **The event loop**: one turn for all events, then sleep until an interrupt or a deadline.
//!
//! This module never returns. If a program cannot start, the machine stops with a line that says why, and a failing
//! status.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char};
use core::fmt::{Display, Write};
use core::time::Duration;

use super::block_device::SharedBlockDevice;
use super::clock::Clock;
use super::console::Console;
use super::entropy::HermitEntropy;
use super::entropy_device::{EntropyDevice, EntropyDeviceError};
use super::idle::Idle;
use super::kvm_clock::KvmClock;
use super::machine::{self, ThisMachine};
use super::net_device::NetDevice;
use super::serial_line::{Message, SerialLine};
use super::stop_orders::StopOrders;
use super::timekeeper::Timekeeper;
use super::transport::{DeviceTransport, Search};
use super::{allocator, exit, fault, interrupt_table, logger, page_tables, uhyve};
use crate::acpi::{self, Power};
use crate::program::Program;
use crate::runtime::Runtime;
use crate::settings::Settings;
use crate::shutdown::NOTICE;
use crate::stack::{self, Address, Seeds, SmoltcpNetwork, StackConfig, sockets_max};
use crate::virtio::Kind;
use crate::virtio::search::Hints;
use wire::{Entropy, Instant};

/// Where the ACPI tables begin, as the loader was told, in decimal digits.
const ACPI: &str = "ACPI_ROOT";
/// Devices on MMIO, as the loader was told.
const MMIO: &str = "VIRTIO_MMIO";
/// Most environment variables that are read.
const VARIABLES_MAX: usize = 64;

/// Runs a program's services for as long as the machine lives. Without `HAS_DISK`, an image has no driver
/// for disks and does not look for one.
///
/// # Safety
/// `environment` must be what the kernel hands to `runtime_entry`: null, or an array of pointers to
/// NUL-terminated strings that ends with a null pointer.
pub unsafe fn run<const HAS_DISK: bool>(
    name: &'static str,
    program: Program,
    environment: *const *const u8,
) -> ! {
    fault::install();
    let idle = Idle::new();
    let protected = page_tables::protect();
    let heap_bytes = allocator::claim();
    // SAFETY: the caller vouches for the array.
    let settings = unsafe { read_environment(environment) };
    let acpi = settings.get(ACPI).and_then(|address| address.parse().ok());
    let power = acpi.map_or(Power::default(), |root| acpi::power(root, machine::firmware));
    exit::use_power(power);
    // Before anybody is asked for the time: the answer must not be taken away.
    let serial_line = SerialLine::new();
    let kvm = KvmClock::find();
    let clock = Clock::new(kvm.as_ref());
    let (timekeeper, no_clock) = Timekeeper::start(clock, kvm, &settings);
    logger::start(name, &settings, clock).unwrap_or_else(|error| stop(error));
    if !protected {
        log::warn!("the image's headers cannot be read: its code stays writable");
    }
    if let Some(reason) = no_clock {
        log::warn!("{reason}");
    }
    let services = program(&settings).unwrap_or_else(|error| stop(error));
    if services.is_empty() {
        // It has said what it had to say, and needs neither card nor entropy.
        exit::succeed()
    }
    let machine = ThisMachine::default();
    let devices = Devices { machine: &machine, hints: Hints { acpi, mmio: settings.get(MMIO) }, clock };
    let mut entropy = HermitEntropy::new(|| devices.find_entropy()).unwrap_or_else(|reason| stop(reason));
    let (card, disk) = devices.find_card_and_disk::<HAS_DISK>();
    let network = open_network(card, &settings, heap_bytes, &mut entropy, clock);
    let mut runtime = Runtime::new(network, services).unwrap_or_else(|error| stop(error));
    runtime.watch_memory(sockets_max(heap_bytes), allocator::is_short, allocator::usage);
    runtime.accept_stop_requests(settings.stop_token().unwrap_or_else(|error| stop(error)));
    if let Some(disk) = &disk {
        runtime = runtime.with_disk(Box::new(disk.clone()));
    }
    runtime.start(clock.now(), clock.unix_time(), &mut entropy).unwrap_or_else(|error| stop(error));
    log::info!(
        "{name} {} is up {} ms after power-on",
        env!("CARGO_PKG_VERSION"),
        clock.now().as_micros() / 1000
    );
    log::debug!("the heap has {} KiB, the time of day comes from {timekeeper}", heap_bytes / 1024);
    let idle = idle.calibrate(clock).unwrap_or_else(|error| stop(error));
    // uhyve has neither, and says so at each look.
    let stop_orders = (!uhyve::is_monitor()).then(|| StopOrders::new(power));
    event_loop(runtime, disk.as_ref(), (serial_line, stop_orders, timekeeper), &idle, &mut entropy)
}

fn event_loop(
    mut runtime: Runtime<SmoltcpNetwork<NetDevice>>,
    disk: Option<&SharedBlockDevice>,
    (mut serial_line, mut stop_orders, mut timekeeper): (SerialLine, Option<StopOrders>, Timekeeper),
    idle: &Idle,
    entropy: &mut dyn Entropy,
) -> ! {
    let clock = timekeeper.clock();
    while !runtime.has_stopped() {
        let now = clock.now();
        match serial_line.next(now) {
            Some(Message::Stop) => runtime.stop(None, now),
            Some(Message::Time(told)) => timekeeper.hear(told),
            None => {}
        }
        if stop_orders.as_mut().is_some_and(|orders| orders.has_come(now)) {
            runtime.stop(Some(NOTICE), now);
        }
        timekeeper.look(now);
        let deadline = runtime.turn(now, clock.unix_time(), entropy);
        if let Some(reason) = runtime.failure() {
            stop(reason);
        }
        let device = runtime.network_mut().device_mut();
        device.kick();
        if deadline.is_some_and(|deadline| deadline <= now) {
            // An order to stop comes by an interrupt, and there may be work for ever.
            interrupt_table::take_waiting();
            continue;
        }
        let deadline = Instant::earliest([deadline, timekeeper.wake_at()]);
        let duration = deadline.map_or(Duration::MAX, |deadline| deadline.since(clock.now()));
        // Interrupts are asked for, and then the rings are looked at once more: what came in between would wake nobody.
        // Both devices are armed, whichever has work already.
        idle.sleep(duration, || {
            let has_order = stop_orders.as_ref().is_some_and(StopOrders::has_work);
            serial_line.has_work() | has_order | device.arm() | disk.is_some_and(SharedBlockDevice::arm)
        });
        device.disarm();
    }
    log::info!("stopped on request");
    exit::succeed()
}

/// The machine's devices.
#[derive(Clone, Copy)]
struct Devices<'a> {
    machine: &'a ThisMachine,
    hints: Hints<'a>,
    clock: Clock,
}

impl Devices<'_> {
    fn find<const KINDS: usize>(self, kinds: [Kind; KINDS]) -> [Search; KINDS] {
        DeviceTransport::find(self.machine, self.hints, kinds)
    }

    /// The network card, and the disk if it is wanted and there.
    fn find_card_and_disk<const HAS_DISK: bool>(self) -> (DeviceTransport, Option<SharedBlockDevice>) {
        if !HAS_DISK {
            let [card] = self.find([Kind::Network]);
            return (expect_card(card), None);
        }
        let [card, disk] = self.find([Kind::Network, Kind::Block]);
        let open = |disk| SharedBlockDevice::open(disk, self.clock).unwrap_or_else(|error| stop(error));
        (expect_card(card), found(disk, "virtio-blk").map(open))
    }

    fn find_entropy(self) -> Result<Option<EntropyDevice>, EntropyDeviceError> {
        let [device] = self.find([Kind::Entropy]);
        found(device, "virtio-rng").map(|device| EntropyDevice::open(&device, self.clock)).transpose()
    }
}

fn expect_card(card: Search) -> DeviceTransport {
    found(card, "virtio-net").unwrap_or_else(|| {
        stop("no virtio-net device: start the machine with one (QEMU: -device virtio-net-pci,netdev=...)")
    })
}

/// The device, if there is one; one that cannot be used stops the machine.
fn found(search: Search, name: &str) -> Option<DeviceTransport> {
    match search {
        Search::Found(transport) => Some(transport),
        Search::Unusable { place, reason } => {
            stop(format_args!("{name} at {place} was found but cannot be used: {reason}"))
        }
        Search::Missing => None,
    }
}

fn open_network(
    card: DeviceTransport,
    settings: &Settings,
    heap_bytes: usize,
    entropy: &mut dyn Entropy,
    clock: Clock,
) -> SmoltcpNetwork<NetDevice> {
    let device = NetDevice::new(card, clock).unwrap_or_else(|error| stop(error));
    let config = StackConfig {
        hardware_address: device.address(),
        address: Address::from_settings(settings),
        mtu: stack::mtu(settings).unwrap_or_else(|error| stop(error)),
        sockets_max: sockets_max(heap_bytes),
        seeds: Seeds::draw(entropy),
    };
    SmoltcpNetwork::new(device, &config, clock.now()).unwrap_or_else(|error| stop(error))
}

/// Says why the machine cannot go on, and stops it.
fn stop(reason: impl Display) -> ! {
    // The console never fails.
    let _ = writeln!(Console, "ERROR: {reason}");
    exit::fail()
}

/// # Safety
/// As for [`run`].
unsafe fn read_environment(environment: *const *const u8) -> Settings {
    let mut pairs = Vec::new();
    for index in 0..VARIABLES_MAX {
        if environment.is_null() {
            break;
        }
        // SAFETY: the array goes on until its null pointer, which has not been met yet.
        let word = unsafe { *environment.add(index) };
        if word.is_null() {
            break;
        }
        // SAFETY: the kernel ends each string with a NUL and keeps it.
        let word = unsafe { CStr::from_ptr(word.cast::<c_char>()) };
        let word = String::from_utf8_lossy(word.to_bytes());
        if let Some((name, value)) = word.split_once('=') {
            pairs.push((String::from(name), String::from(value)));
        }
    }
    Settings::from_pairs(pairs)
}
