//! A device that is as strict as the strictest monitors: what the standard does not ask for stops the test.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use core::cell::RefCell;

use super::*;

const COMMON: usize = 0x1000;
const NOTIFY: usize = 0x2000;
const CONFIG: usize = 0x3000;
const INTERRUPT: usize = 0x4000;
const AREAS: [u64; 3] = [0x1_0000_1000, 0x2_0000_2000, 0x3000];

/// What a device has of its own.
#[derive(Clone, Copy)]
struct Kind {
    offered: u64,
    queue_size: u16,
    /// It keeps its queues' size, whatever is written.
    is_fixed: bool,
    /// Features without which it takes none.
    insists_on: u64,
    status: u8,
    never_resets: bool,
}

const MODERN: Kind = Kind {
    offered: VERSION_1 | 1 << 5 | 1 << 15,
    queue_size: 256,
    is_fixed: false,
    insists_on: 0,
    status: 0,
    never_resets: false,
};

struct Device {
    kind: Kind,
    status: u8,
    select: [u32; 2],
    accepted: u64,
    queue: u16,
    sizes: BTreeMap<u16, u16>,
    halves: BTreeMap<(u16, usize), u32>,
    enabled: BTreeMap<u16, u16>,
    acknowledged: usize,
    generation: u32,
    unsteady: bool,
}

impl Device {
    fn new(kind: Kind) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self {
            kind,
            status: kind.status,
            select: [0; 2],
            accepted: 0,
            queue: 0,
            sizes: BTreeMap::new(),
            halves: BTreeMap::new(),
            enabled: BTreeMap::new(),
            acknowledged: 0,
            generation: 0,
            unsteady: false,
        }))
    }

    /// Section 3.1.1: one bit after the other, and queues only between FEATURES_OK and DRIVER_OK.
    fn set_status(&mut self, status: u8) {
        match (self.status, status) {
            (_, 0) if self.kind.never_resets => {}
            (_, 0) | (0, 1) | (1, 3) => self.status = status,
            (3, 11) if self.accepted & self.kind.insists_on == self.kind.insists_on => self.status = status,
            (3, 11) => {}
            (11, 15) => self.status = status,
            (from, to) => panic!("status {to:#x} after {from:#x}"),
        }
    }

    fn feature(&self) -> u32 {
        (self.kind.offered >> (32 * self.select[0])) as u32
    }

    fn accept(&mut self, half: u32) {
        assert_eq!(self.status, 3, "features are chosen before FEATURES_OK");
        let shift = 32 * self.select[1];
        self.accepted = self.accepted & !(0xffff_ffff << shift) | u64::from(half) << shift;
        assert_eq!(self.accepted & !self.kind.offered, 0, "a feature that was not offered");
    }

    fn size(&self) -> u16 {
        let exists = self.queue < 2;
        if exists { self.sizes.get(&self.queue).copied().unwrap_or(self.kind.queue_size) } else { 0 }
    }

    fn set_size(&mut self, size: u16) {
        assert!(size.is_power_of_two() && size <= self.kind.queue_size, "size {size}");
        if !self.kind.is_fixed {
            self.sizes.insert(self.queue, size);
        }
    }

    fn enable(&mut self, value: u16) {
        assert_eq!((self.status, value), (11, 1));
        self.enabled.insert(self.queue, self.size());
    }

    fn areas(&self, queue: u16, offsets: [usize; 3]) -> [u64; 3] {
        offsets.map(|offset| {
            let half = |offset: usize| u64::from(self.halves[&(queue, offset)]);
            half(offset) | half(offset + 4) << 32
        })
    }
}

/// The device's registers on one of the two buses.
#[derive(Clone)]
struct Bus {
    device: Rc<RefCell<Device>>,
    is_pci: bool,
}

impl Registers for Bus {
    fn read_u8(&self, address: usize) -> u8 {
        let mut device = self.device.borrow_mut();
        assert!(self.is_pci || address >= COMMON + mmio::CONFIG, "MMIO has registers of 32 bits");
        match address {
            INTERRUPT => {
                device.acknowledged += 1;
                1
            }
            _ if address == COMMON + pci::STATUS && self.is_pci => device.status,
            _ if address == COMMON + pci::GENERATION && self.is_pci => {
                device.generation += u32::from(device.unsteady);
                device.generation as u8
            }
            _ => (address & 0xff) as u8,
        }
    }

    fn read_u16(&self, address: usize) -> u16 {
        let device = self.device.borrow();
        match address.wrapping_sub(COMMON) {
            pci::QUEUE_SIZE if self.is_pci => device.size(),
            pci::QUEUE_NOTIFY_OFFSET if self.is_pci => device.queue * 3,
            pci::QUEUE_VECTOR if self.is_pci => 0,
            other => panic!("16 bits at {other:#x}"),
        }
    }

    fn read_u32(&self, address: usize) -> u32 {
        let mut device = self.device.borrow_mut();
        match address.wrapping_sub(COMMON) {
            pci::DEVICE_FEATURE if self.is_pci => device.feature(),
            mmio::DEVICE_FEATURE if !self.is_pci => device.feature(),
            mmio::STATUS if !self.is_pci => device.status.into(),
            mmio::QUEUE_SIZE_MAX if !self.is_pci => device.size().into(),
            mmio::GENERATION if !self.is_pci => {
                device.generation += u32::from(device.unsteady);
                device.generation
            }
            _ => address as u32,
        }
    }

    fn write_u8(&self, address: usize, value: u8) {
        assert!(self.is_pci && address == COMMON + pci::STATUS, "8 bits to {address:#x}");
        self.device.borrow_mut().set_status(value);
    }

    fn write_u16(&self, address: usize, value: u16) {
        assert!(self.is_pci);
        let mut device = self.device.borrow_mut();
        match address - COMMON {
            pci::QUEUE_SELECT => device.queue = value,
            pci::QUEUE_SIZE => device.set_size(value),
            pci::QUEUE_ENABLE => device.enable(value),
            pci::QUEUE_VECTOR => assert_eq!(value, 0),
            other => panic!("16 bits to {other:#x}"),
        }
    }

    fn write_u32(&self, address: usize, value: u32) {
        let mut device = self.device.borrow_mut();
        let queue = device.queue;
        match (self.is_pci, address - COMMON) {
            (true, pci::DEVICE_FEATURE_SELECT) | (false, mmio::DEVICE_FEATURE_SELECT) => {
                device.select[0] = value
            }
            (true, pci::DRIVER_FEATURE_SELECT) | (false, mmio::DRIVER_FEATURE_SELECT) => {
                device.select[1] = value
            }
            (true, pci::DRIVER_FEATURE) | (false, mmio::DRIVER_FEATURE) => device.accept(value),
            (true, offset @ 0x20..0x38) | (false, offset @ 0x80..0xa8) => {
                device.halves.insert((queue, offset), value);
            }
            (false, mmio::STATUS) => device.set_status(value as u8),
            (false, mmio::QUEUE_SELECT) => device.queue = value as u16,
            (false, mmio::QUEUE_SIZE) => device.set_size(value as u16),
            (false, mmio::QUEUE_READY) => device.enable(value as u16),
            (false, mmio::INTERRUPT_ACKNOWLEDGE) => device.acknowledged += 1,
            (_, other) => panic!("32 bits to {other:#x}"),
        }
    }
}

/// The same device on both buses.
fn both(kind: Kind) -> [(Transport<Bus>, Rc<RefCell<Device>>); 2] {
    [true, false].map(|is_pci| {
        let device = Device::new(kind);
        let layout = if is_pci {
            Layout::Pci {
                common: COMMON,
                notify: NOTIFY,
                notify_multiplier: 4,
                interrupt_status: Some(INTERRUPT),
                config: Some(CONFIG),
            }
        } else {
            Layout::Mmio(COMMON)
        };
        (Transport::new(Bus { device: device.clone(), is_pci }, layout), device)
    })
}

fn once(is_done: &dyn Fn() -> bool) -> bool {
    is_done()
}

#[test]
fn a_device_is_initialised_step_by_step() {
    for (transport, device) in both(MODERN) {
        assert_eq!(transport.begin(1 << 5 | 1 << 9, once), Ok(VERSION_1 | 1 << 5));
        assert_eq!(transport.set_queue(0, 256, AREAS), Ok(256));
        transport.finish();
        let device = device.borrow();
        assert_eq!((device.status, device.accepted), (15, VERSION_1 | 1 << 5));
        let offsets = if transport.registers.is_pci { pci::QUEUE_AREAS } else { mmio::QUEUE_AREAS };
        assert_eq!(device.areas(0, offsets), AREAS);
    }
}

#[test]
fn one_that_was_used_is_reset_and_one_that_does_not_reset_is_given_up() {
    for (transport, device) in both(Kind { status: 15, ..MODERN }) {
        assert!(transport.begin(0, once).is_ok());
        assert_eq!(device.borrow().status, 11);
    }
    for (transport, _) in both(Kind { status: 15, never_resets: true, ..MODERN }) {
        assert_eq!(transport.begin(0, once), Err(SetupError::Reset));
    }
}

#[test]
fn a_legacy_device_and_one_that_insists_are_refused() {
    for (transport, _) in both(Kind { offered: 1 << 5, ..MODERN }) {
        assert_eq!(transport.begin(0, once), Err(SetupError::Legacy));
    }
    for (transport, _) in both(Kind { insists_on: 1 << 15, ..MODERN }) {
        let (offered, accepted) = (MODERN.offered, VERSION_1);
        assert_eq!(transport.begin(0, once), Err(SetupError::Features { offered, accepted }));
    }
}

#[test]
fn a_queue_is_as_large_as_device_and_memory_allow() {
    for (queue_size, capacity, expected) in [(1024, 256, 256), (64, 256, 64), (100, 256, 64), (256, 4, 4)] {
        for (transport, device) in both(Kind { queue_size, ..MODERN }) {
            transport.begin(0, once).expect("it is modern");
            assert_eq!(transport.set_queue(1, capacity, AREAS), Ok(expected));
            assert_eq!(device.borrow().size(), expected);
        }
    }
}

#[test]
fn a_queue_of_fixed_size_is_used_as_it_is_or_refused() {
    let kind = Kind { is_fixed: true, ..MODERN };
    let [(on_pci, _), _] = both(kind);
    on_pci.begin(0, once).expect("it is modern");
    assert_eq!(on_pci.set_queue(0, 256, AREAS), Ok(256));
    assert_eq!(on_pci.set_queue(0, 128, AREAS), Err(SetupError::QueueSize(256)));
    for (transport, _) in both(kind) {
        transport.begin(0, once).expect("it is modern");
        assert_eq!(transport.set_queue(7, 256, AREAS), Err(SetupError::NoQueue(7)));
    }
}

#[test]
fn doorbells_and_interrupts_are_where_each_bus_has_them() {
    let [(on_pci, pci_device), (on_mmio, mmio_device)] = both(MODERN);
    for transport in [&on_pci, &on_mmio] {
        transport.begin(0, once).expect("it is modern");
        transport.set_queue(1, 256, AREAS).expect("it is there");
        transport.acknowledge();
    }
    assert_eq!(on_pci.notification(), Notification { address: NOTIFY + 12, is_wide: false });
    let address = COMMON + mmio::QUEUE_NOTIFY;
    assert_eq!(on_mmio.notification(), Notification { address, is_wide: true });
    assert!(on_pci.set_message() && !on_mmio.set_message());
    assert_eq!((pci_device.borrow().acknowledged, mmio_device.borrow().acknowledged), (1, 1));
}

#[test]
fn a_configuration_of_64_bits_is_whole_or_given_up() {
    let bases = [CONFIG, COMMON + mmio::CONFIG];
    for ((transport, device), base) in both(MODERN).into_iter().zip(bases) {
        assert_eq!(transport.config_u8(3), Ok((base + 3) as u8));
        let halves = (base as u64) | (base as u64 + 4) << 32;
        assert_eq!(transport.config_u64(0), Ok(halves));
        device.borrow_mut().unsteady = true;
        assert_eq!(transport.config_u64(0), Err(SetupError::Unsteady));
    }
    let bare = Layout::Pci {
        common: COMMON,
        notify: NOTIFY,
        notify_multiplier: 4,
        interrupt_status: None,
        config: None,
    };
    let transport = Transport::new(Bus { device: Device::new(MODERN), is_pci: true }, bare);
    assert_eq!(transport.config_u16(0), Err(SetupError::NoConfig));
}
