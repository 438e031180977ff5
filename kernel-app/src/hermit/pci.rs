//! virtio on PCI: discovery, doorbells and MSI-X.
//!
//! Looks at function 0 of bus 0's devices only, where QEMU puts its virtio devices. References: PCI Local Bus 3.0 section 6.8 (MSI-X),
//! virtio 1.2 section 4.1.

use virtio_drivers::transport::pci::PciTransport;
use virtio_drivers::transport::pci::bus::{Command, ConfigurationAccess, DeviceFunction, PciRoot};
use virtio_drivers::transport::{DeviceType, SomeTransport};

use super::dma::IdentityMapped;
use super::machine::{read_port_u32, write_port_u32};

const CONFIG_ADDRESS: u16 = 0xcf8;
const CONFIG_DATA: u16 = 0xcfc;
const CONFIG_ENABLE: u32 = 1 << 31;

/// Devices that a bus has room for.
const DEVICES_MAX: u8 = 32;
/// The first register, which holds vendor and device, of a place without a device.
const NO_DEVICE: u32 = 0xffff_ffff;
const VENDOR_VIRTIO: u16 = 0x1af4;
/// Device number of a modern device, less its kind (section 4.1.2.1).
const DEVICE_MODERN: u16 = 0x1040;
/// Transitional devices that these drivers know.
const TRANSITIONAL: [(u16, DeviceType); 2] = [(0x1000, DeviceType::Network), (0x1001, DeviceType::Block)];

const CAPABILITY_VENDOR: u8 = 0x09;
const CAPABILITY_MSIX: u8 = 0x11;
/// `cfg_type` of a virtio capability (section 4.1.4).
const COMMON_CONFIG: u8 = 1;
const NOTIFY_CONFIG: u8 = 2;

/// Offsets in the common configuration (section 4.1.4.3).
const QUEUE_SELECT: usize = 0x16;
const QUEUE_MSIX_VECTOR: usize = 0x1a;
const QUEUE_NOTIFY_OFFSET: usize = 0x1e;

/// Message control, in the upper half of the capability's first word.
const MSIX_ENABLE: u32 = 1 << 31;
const MSIX_MASK_ALL: u32 = 1 << 30;
/// The local APIC of processor 0.
const MESSAGE_ADDRESS: u32 = 0xfee0_0000;
/// A vector that the kernel has no handler for: it acknowledges it, which is all a wake-up needs.
const MESSAGE_VECTOR: u32 = 0x90;

/// Configuration space through the two ports that every PC has.
struct Ports;

impl Ports {
    fn select(function: DeviceFunction, register: u8) {
        let DeviceFunction { bus, device, function } = function;
        let place = u32::from(bus) << 16 | u32::from(device) << 11 | u32::from(function) << 8;
        // SAFETY: selecting a register has no effect beyond the next access to the data port.
        unsafe { write_port_u32(CONFIG_ADDRESS, CONFIG_ENABLE | place | u32::from(register & !3)) }
    }
}

impl ConfigurationAccess for Ports {
    fn read_word(&self, function: DeviceFunction, register: u8) -> u32 {
        Self::select(function, register);
        // SAFETY: reading configuration space has no side effects.
        unsafe { read_port_u32(CONFIG_DATA) }
    }

    fn write_word(&mut self, function: DeviceFunction, register: u8, value: u32) {
        Self::select(function, register);
        // SAFETY: callers write what sets a device up; its DMA addresses come from virtqueues of ours.
        unsafe { write_port_u32(CONFIG_DATA, value) }
    }

    unsafe fn unsafe_clone(&self) -> Self {
        Self
    }
}

/// Where the device's notification structures are.
pub struct Notifications {
    function: DeviceFunction,
    common: usize,
    notify: usize,
    notify_multiplier: usize,
    msix: Option<Msix>,
}

struct Msix {
    capability: u8,
    table: usize,
}

/// A device that is ready to be initialised.
type Found = (SomeTransport<'static>, Notifications);

/// The first device of each kind on bus 0; none when the machine has no PCI.
pub fn find<const KINDS: usize>(kinds: [DeviceType; KINDS]) -> Option<[Option<Found>; KINDS]> {
    let at = |device| DeviceFunction { bus: 0, device, function: 0 };
    // The host's bridge is always there.
    if Ports.read_word(at(0), 0) == NO_DEVICE {
        return None;
    }
    let mut found = [const { None }; KINDS];
    for function in (1..DEVICES_MAX).map(at) {
        let device = Ports.read_word(function, 0);
        let place = kinds.iter().position(|kind| is_virtio(device, *kind));
        if let Some(slot) = place.map(|place| &mut found[place]).filter(|slot| slot.is_none()) {
            *slot = open(function);
        }
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    Some(found)
}

fn is_virtio(device: u32, kind: DeviceType) -> bool {
    let (vendor, device) = (device as u16, (device >> 16) as u16);
    let is_kind = device == DEVICE_MODERN + kind as u16 || TRANSITIONAL.contains(&(device, kind));
    vendor == VENDOR_VIRTIO && is_kind
}

fn open(function: DeviceFunction) -> Option<Found> {
    let mut root = PciRoot::new(Ports);
    root.set_command(function, Command::MEMORY_SPACE | Command::BUS_MASTER);
    let notifications = Notifications::new(&mut root, function)?;
    let transport = PciTransport::new::<IdentityMapped, _>(&mut root, function).ok()?;
    Some((transport.into(), notifications))
}

impl Notifications {
    fn new(root: &mut PciRoot<Ports>, function: DeviceFunction) -> Option<Self> {
        let (mut common, mut notify, mut msix) = (None, None, None);
        // Few devices have more than this; the list is read before BARs are, which borrows the root.
        let mut found = [None; 16];
        root.capabilities(function).zip(&mut found).for_each(|(capability, slot)| *slot = Some(capability));
        for capability in found.into_iter().flatten() {
            let word = |offset: u8| Ports.read_word(function, capability.offset + offset);
            match (capability.id, (capability.private_header >> 8) as u8) {
                (CAPABILITY_VENDOR, COMMON_CONFIG) if common.is_none() => {
                    common = address(root, function, word(4) as u8, word(8));
                }
                (CAPABILITY_VENDOR, NOTIFY_CONFIG) if notify.is_none() => {
                    let multiplier = word(16) as usize;
                    notify = address(root, function, word(4) as u8, word(8)).map(|base| (base, multiplier));
                }
                (CAPABILITY_MSIX, _) => {
                    let table = word(4);
                    let table = address(root, function, (table & 7) as u8, table & !7);
                    msix = table.map(|table| Msix { capability: capability.offset, table });
                }
                _ => {}
            }
        }
        let (notify, notify_multiplier) = notify?;
        Some(Self { function, common: common?, notify, notify_multiplier, msix })
    }

    /// The notification register of a queue (section 4.1.4.4).
    pub fn doorbell(&self, queue: u16) -> usize {
        self.write_common(QUEUE_SELECT, queue);
        let offset = usize::from(self.read_common(QUEUE_NOTIFY_OFFSET));
        self.notify + offset * self.notify_multiplier
    }

    /// Sends a queue's interrupt to the processor as MSI-X table entry 0; whether the device can.
    pub fn enable_interrupt(&mut self, queue: u16) -> bool {
        let Some(Msix { capability, table }) = self.msix else { return false };
        for (index, word) in [MESSAGE_ADDRESS, 0, MESSAGE_VECTOR, 0].into_iter().enumerate() {
            let entry = core::ptr::with_exposed_provenance_mut::<u32>(table + 4 * index);
            // SAFETY: the table's first entry lies in the device's BAR, which is mapped to itself.
            unsafe { entry.write_volatile(word) }
        }
        let control = Ports.read_word(self.function, capability);
        Ports.write_word(self.function, capability, (control & !MSIX_MASK_ALL) | MSIX_ENABLE);
        self.write_common(QUEUE_SELECT, queue);
        self.write_common(QUEUE_MSIX_VECTOR, 0);
        // A device that has no room for the vector says 0xffff (virtio 1.2, section 4.1.5.1.2).
        self.read_common(QUEUE_MSIX_VECTOR) == 0
    }

    fn write_common(&self, offset: usize, value: u16) {
        let register = core::ptr::with_exposed_provenance_mut::<u16>(self.common + offset);
        // SAFETY: the common configuration lies in the device's BAR, which is mapped to itself.
        unsafe { register.write_volatile(value) }
    }

    fn read_common(&self, offset: usize) -> u16 {
        let register = core::ptr::with_exposed_provenance_mut::<u16>(self.common + offset);
        // SAFETY: as in `write_common`.
        unsafe { register.read_volatile() }
    }
}

/// The address of `offset` in a memory BAR below 4 GiB.
fn address(root: &mut PciRoot<Ports>, function: DeviceFunction, bar: u8, offset: u32) -> Option<usize> {
    let (base, size) = root.bar_info(function, bar).ok()??.memory_address_size()?;
    let fits = u64::from(offset) < size && base + size <= 1 << 32;
    fits.then(|| base as usize + offset as usize)
}
