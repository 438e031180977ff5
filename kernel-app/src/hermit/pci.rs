//! virtio over PCI: configuration space, doorbells and MSI-X.
//!
//! `pci_scan` finds the functions. References: PCI Local Bus 3.0 section 6.8 (MSI-X), PCI Express section 7.2.2
//! (configuration space in memory), virtio 1.2 section 4.1.

use core::cell::Cell;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use virtio_drivers::PAGE_SIZE;
use virtio_drivers::transport::pci::PciTransport;
use virtio_drivers::transport::pci::bus::{
    BarInfo, Command, ConfigurationAccess, DeviceFunction, MemoryBarType, PciRoot,
};
use virtio_drivers::transport::{DeviceType, SomeTransport};

use super::dma::IdentityMapped;
use super::page_tables::map_device;
use super::x86::{read_port_u32, write_port_u32};
use crate::pci_scan::{self, Id, Place, ReadConfig};

const CONFIG_ADDRESS: u16 = 0xcf8;
const CONFIG_DATA: u16 = 0xcfc;
const CONFIG_ENABLE: u32 = 1 << 31;
/// Where QEMU's microvm has its configuration space (hw/i386/microvm.c).
const MICROVM_MEMORY: u64 = 0xe000_0000;
/// Configuration space in memory: 256 buses.
const MEMORY_BYTES: u64 = 256 << 20;

const VENDOR_VIRTIO: u16 = 0x1af4;
/// Device number of a modern device, less its kind (section 4.1.2.1).
const DEVICE_MODERN: u16 = 0x1040;
/// Transitional devices that these drivers know.
const TRANSITIONAL: [(u16, DeviceType); 3] =
    [(0x1000, DeviceType::Network), (0x1001, DeviceType::Block), (0x1005, DeviceType::EntropySource)];

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

/// Configuration space: through the two ports that every PC has, or in memory.
#[derive(Clone, Copy)]
pub enum Access {
    /// `0xcf8` and `0xcfc`.
    Ports,
    /// From this address on, 4 KiB for each function.
    Memory(usize),
}

impl Access {
    /// The machine's, if it has PCI; `root` is where its ACPI tables begin.
    pub fn find(root: Option<u64>) -> Option<Self> {
        if pci_scan::exists(&Self::Ports) {
            return Some(Self::Ports);
        }
        // A machine with ACPI may leave its table out; the place is then looked at where microvm has it.
        let base = pci_scan::memory_mapped(root?, firmware_memory).unwrap_or(MICROVM_MEMORY);
        let memory = Self::Memory(map_device(base, MEMORY_BYTES)?.addr().get());
        pci_scan::exists(&memory).then_some(memory)
    }

    fn select(function: DeviceFunction, register: u8) {
        // SAFETY: selecting a register has no effect beyond the next access to the data port.
        unsafe {
            write_port_u32(CONFIG_ADDRESS, CONFIG_ENABLE | offset(function, 8) | u32::from(register & !3))
        }
    }

    fn register(base: usize, function: DeviceFunction, register: u8) -> *mut u32 {
        core::ptr::with_exposed_provenance_mut(
            base + offset(function, 12) as usize + usize::from(register & !3),
        )
    }
}

/// The offset of a function's registers; each function has a space of 2^`bits` bytes.
fn offset(DeviceFunction { bus, device, function }: DeviceFunction, bits: u32) -> u32 {
    (u32::from(bus) << 8 | u32::from(device) << 3 | u32::from(function)) << bits
}

/// Bytes that the firmware has left below 4 GiB: its tables.
fn firmware_memory(address: u64, bytes: usize) -> Option<&'static [u8]> {
    let end = address.checked_add(bytes as u64)?;
    if address < PAGE_SIZE as u64 || end > 1 << 32 {
        return None;
    }
    // SAFETY: the loader maps it to itself but for page 0, and nobody writes what the firmware has reserved; what
    // is no table reads as something else, and nothing is believed before its name is found.
    Some(unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(address as usize), bytes) })
}

impl ConfigurationAccess for Access {
    fn read_word(&self, function: DeviceFunction, register: u8) -> u32 {
        match *self {
            Self::Ports => {
                Self::select(function, register);
                // SAFETY: reading configuration space has no side effects.
                unsafe { read_port_u32(CONFIG_DATA) }
            }
            // SAFETY: configuration space was mapped for all functions of all buses.
            Self::Memory(base) => unsafe { Self::register(base, function, register).read_volatile() },
        }
    }

    fn write_word(&mut self, function: DeviceFunction, register: u8, value: u32) {
        match *self {
            Self::Ports => {
                Self::select(function, register);
                // SAFETY: callers write what sets a device up; its DMA addresses come from virtqueues of ours.
                unsafe { write_port_u32(CONFIG_DATA, value) }
            }
            // SAFETY: as for both of the above.
            Self::Memory(base) => unsafe { Self::register(base, function, register).write_volatile(value) },
        }
    }

    unsafe fn unsafe_clone(&self) -> Self {
        *self
    }
}

impl ReadConfig for Access {
    fn read(&self, Place { bus, device, function }: Place, register: u8) -> u32 {
        self.read_word(DeviceFunction { bus, device, function }, register)
    }
}

/// Where the device's notification structures are.
pub struct Notifications {
    access: Access,
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

/// Why a function with a virtio device cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It has none of the structures of virtio 1.0.
    Legacy,
    /// The firmware has given this base address register no address.
    NoAddress(u8),
    /// Its registers lie beyond what can be mapped.
    NoRoom(u8),
    /// Its structures make no sense.
    Malformed,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Legacy => f.write_str(
                "it is a legacy device: start QEMU with disable-legacy=on, or without disable-modern=on",
            ),
            Self::NoAddress(bar) => {
                write!(f, "the firmware has given its base address register {bar} no address")
            }
            Self::NoRoom(bar) => write!(f, "its base address register {bar} is too large to be mapped"),
            Self::Malformed => f.write_str("its virtio capabilities make no sense"),
        }
    }
}

/// What was found for a kind of device.
pub enum Search {
    /// A device that is ready to be initialised.
    Found(SomeTransport<'static>, Notifications),
    /// One that cannot be used.
    Unusable(Place, Unusable),
    /// None.
    Missing,
}

/// The first usable device of each kind. Where the first kind is on no bus that a bridge leads to, other host
/// bridges are looked at as well; the other kinds need not be there.
pub fn find<const KINDS: usize>(access: Access, kinds: [DeviceType; KINDS]) -> [Search; KINDS] {
    let mut found = [const { Search::Missing }; KINDS];
    let first_is_there = Cell::new(false);
    let mut look = |place: Place, id: Id| {
        let kind = kinds.iter().position(|kind| is_virtio(id, *kind));
        first_is_there.set(first_is_there.get() || kind == Some(0));
        if let Some(slot) =
            kind.map(|kind| &mut found[kind]).filter(|slot| !matches!(slot, Search::Found(..)))
        {
            *slot = match open(access, place) {
                Ok((transport, notifications)) => Search::Found(transport, notifications),
                Err(reason) => Search::Unusable(place, reason),
            };
        }
        !found.iter().all(|search| matches!(search, Search::Found(..)))
    };
    pci_scan::behind_bridges(&access, &mut look);
    if !first_is_there.get() {
        pci_scan::everywhere(&access, &mut look);
    }
    found
}

fn is_virtio(id: Id, kind: DeviceType) -> bool {
    let is_kind = id.device == DEVICE_MODERN + kind as u16 || TRANSITIONAL.contains(&(id.device, kind));
    id.vendor == VENDOR_VIRTIO && is_kind
}

#[cold]
fn open(access: Access, place: Place) -> Result<(SomeTransport<'static>, Notifications), Unusable> {
    let Place { bus, device, function } = place;
    let function = DeviceFunction { bus, device, function };
    let mut root = PciRoot::new(access);
    root.set_command(function, Command::MEMORY_SPACE | Command::BUS_MASTER);
    let notifications = Notifications::new(access, &mut root, function)?;
    let transport = PciTransport::new::<IdentityMapped, _>(&mut root, function);
    Ok((transport.map_err(|_| Unusable::Malformed)?.into(), notifications))
}

impl Notifications {
    fn new(access: Access, root: &mut PciRoot<Access>, function: DeviceFunction) -> Result<Self, Unusable> {
        let (mut common, mut notify, mut msix) = (None, None, None);
        // Few devices have more than this; the list is read before BARs are, which borrows the root.
        let mut found = [None; 16];
        root.capabilities(function).zip(&mut found).for_each(|(capability, slot)| *slot = Some(capability));
        for capability in found.into_iter().flatten() {
            let word = |offset: u8| access.read_word(function, capability.offset + offset);
            match (capability.id, (capability.private_header >> 8) as u8) {
                (CAPABILITY_VENDOR, COMMON_CONFIG) if common.is_none() => {
                    common = Some(address(access, root, function, word(4) as u8, word(8))?);
                }
                (CAPABILITY_VENDOR, NOTIFY_CONFIG) if notify.is_none() => {
                    let multiplier = word(16) as usize;
                    notify = Some((address(access, root, function, word(4) as u8, word(8))?, multiplier));
                }
                (CAPABILITY_MSIX, _) => {
                    let table = word(4);
                    let table = address(access, root, function, (table & 7) as u8, table & !7)?;
                    msix = Some(Msix { capability: capability.offset, table });
                }
                _ => {}
            }
        }
        let (notify, notify_multiplier) = notify.ok_or(Unusable::Legacy)?;
        Ok(Self {
            access,
            function,
            common: common.ok_or(Unusable::Legacy)?,
            notify,
            notify_multiplier,
            msix,
        })
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
            // SAFETY: the table's first entry lies in the device's BAR, which `address` has mapped.
            unsafe { entry.write_volatile(word) }
        }
        let control = self.access.read_word(self.function, capability);
        self.access.write_word(self.function, capability, (control & !MSIX_MASK_ALL) | MSIX_ENABLE);
        self.write_common(QUEUE_SELECT, queue);
        self.write_common(QUEUE_MSIX_VECTOR, 0);
        // A device that has no room for the vector says 0xffff (virtio 1.2, section 4.1.5.1.2).
        self.read_common(QUEUE_MSIX_VECTOR) == 0
    }

    fn write_common(&self, offset: usize, value: u16) {
        let register = core::ptr::with_exposed_provenance_mut::<u16>(self.common + offset);
        // SAFETY: the common configuration lies in the device's BAR, which `address` has mapped.
        unsafe { register.write_volatile(value) }
    }

    fn read_common(&self, offset: usize) -> u16 {
        let register = core::ptr::with_exposed_provenance_mut::<u16>(self.common + offset);
        // SAFETY: as in `write_common`.
        unsafe { register.read_volatile() }
    }
}

/// Where `offset` in a memory BAR can be reached.
fn address(
    access: Access,
    root: &mut PciRoot<Access>,
    function: DeviceFunction,
    bar: u8,
    offset: u32,
) -> Result<usize, Unusable> {
    let info = root.bar_info(function, bar).ok().flatten().ok_or(Unusable::Malformed)?;
    let BarInfo::Memory { address_type, address, size, .. } = info else { return Err(Unusable::Malformed) };
    let base = match (address, access) {
        (0, Access::Memory(_)) => {
            let base = assign(size).ok_or(Unusable::NoAddress(bar))?;
            match address_type {
                MemoryBarType::Width64 => root.set_bar_64(function, bar, base.into()),
                _ => root.set_bar_32(function, bar, base),
            }
            base.into()
        }
        (0, Access::Ports) => return Err(Unusable::NoAddress(bar)),
        (address, _) => address,
    };
    if u64::from(offset) >= size {
        return Err(Unusable::Malformed);
    }
    let start = map_device(base, size).ok_or(Unusable::NoRoom(bar))?;
    Ok(start.addr().get() + offset as usize)
}

/// An address for registers that have none. QEMU's microvm, whose PCI has no ports, has no firmware that would give
/// them one; this is the window of its PCI (hw/i386/microvm.c).
fn assign(size: u64) -> Option<u32> {
    const WINDOW: core::ops::Range<u64> = 0xc000_0000..0xe000_0000;
    static NEXT: AtomicU64 = AtomicU64::new(WINDOW.start);
    let base = NEXT.load(Ordering::Relaxed).next_multiple_of(size.next_power_of_two());
    let end = base.checked_add(size).filter(|end| *end <= WINDOW.end)?;
    NEXT.store(end, Ordering::Relaxed);
    u32::try_from(base).ok()
}
