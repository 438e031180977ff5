//! Each recorded machine, and what each lacks or has in another way.

use alloc::vec;

use super::*;
use crate::virtio::recorded::{CLOUD_HYPERVISOR, FIRECRACKER, HOST, QEMU, ROOT_PORT, Recorded, UHYVE};
use crate::virtio::structures::{Msix, PciDevice, Unusable};

const Q35_CONFIG: u64 = 0xb000_0000;

fn card(machine: &Recorded) -> Search {
    let [card] = find(machine, machine.hints(), [Kind::Network]);
    card
}

fn on_pci(machine: &Recorded) -> PciDevice {
    match card(machine) {
        Search::Found(Location::Pci(device)) => device,
        other => panic!("{other:?}"),
    }
}

fn on_mmio(machine: &Recorded, list: Option<&str>) -> MmioDevice {
    match find(machine, Hints { mmio: list, ..machine.hints() }, [Kind::Network]) {
        [Search::Found(Location::Mmio(device))] => device,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pc_has_its_card_on_ports_and_a_q35_in_memory() {
    let functions = [((0, 0, 0), HOST), ((0, 2, 0), QEMU)];
    let pc = on_pci(&Recorded::new(&functions).with_acpi());
    let expected = PciDevice {
        access: Access::Ports,
        place: Place { bus: 0, device: 2, function: 0 },
        common: 0xfebf_8000,
        notify: 0xfebf_b000,
        notify_multiplier: 4,
        interrupt_status: Some(0xfebf_9000),
        config: Some(0xfebf_a000),
        msix: Some(Msix { capability: 0x98, table: 0xfebf_e000 }),
        line: 0,
    };
    assert_eq!(pc, expected);
    let q35 = on_pci(&Recorded::new(&functions).with_table(Q35_CONFIG));
    assert_eq!(q35, PciDevice { access: Access::Memory(Q35_CONFIG as usize), ..expected });
}

#[test]
fn registers_of_64_bits_are_whole() {
    let functions = [((0, 0, 0), HOST), ((0, 1, 0), &FIRECRACKER)];
    let machine = Recorded::new(&functions).with_table(0xeec0_0000);
    let device = on_pci(&machine);
    assert_eq!((device.common, device.notify), (0x40_0000_0000, 0x40_0000_6000));
    assert_eq!(device.msix, Some(Msix { capability: 0x98, table: 0x40_0000_8000 }));
    // Nothing has let it reach memory before.
    assert_eq!(machine.word((0, 1, 0), 4) & 0b110, 0b110);

    let functions = [((0, 0, 0), HOST), ((0, 1, 0), CLOUD_HYPERVISOR)];
    let device = on_pci(&Recorded::new(&functions).with_table(0xe800_0000));
    assert_eq!((device.common, device.config), (0xff_ff80_0000, Some(0xff_ff80_4000)));
}

#[test]
fn uhyve_has_its_card_as_device_0_with_a_line_and_nothing_else_is_touched() {
    let machine = Recorded { mapped: 0..0, ..Recorded::new(&[((0, 0, 0), UHYVE)]) };
    let device = on_pci(&machine);
    assert_eq!((device.common, device.notify), (0xfe00_0088, 0xfe00_00d0));
    assert_eq!((device.msix, device.line, device.interrupt_status), (None, 11, Some(0xfe00_00c8)));
}

#[test]
fn a_machine_whose_memory_ends_is_not_asked_where_nothing_is() {
    let machine = Recorded { mapped: 0..0, has_ports: false, ..Recorded::new(&[]) };
    assert_eq!(card(&machine), Search::Missing);
}

#[test]
fn cards_behind_ports_and_at_other_functions_are_found() {
    let mut first = ROOT_PORT.to_vec();
    first.iter_mut().filter(|(register, _)| *register == 0x0c).for_each(|(_, word)| *word |= 1 << 23);
    let port: &'static [(u8, u32)] = first.leak();
    let machine =
        Recorded::new(&[((0, 0, 0), HOST), ((0, 3, 0), port), ((0, 3, 3), ROOT_PORT), ((1, 0, 0), QEMU)]);
    assert_eq!(on_pci(&machine).place, Place { bus: 1, device: 0, function: 0 });
    let machine = Recorded::new(&[((0, 0, 0), HOST), ((0, 3, 0), port), ((0, 3, 3), QEMU)]);
    assert_eq!(on_pci(&machine).place, Place { bus: 0, device: 3, function: 3 });
}

#[test]
fn absent_functions_answer_zeros_or_ones() {
    for absent in [0, u32::MAX, 0xffff, 0xffff_0000] {
        let functions = [((0, 0, 0), HOST), ((0, 31, 0), QEMU)];
        let machine = Recorded { absent, ..Recorded::new(&functions) };
        assert_eq!(on_pci(&machine).place.device, 31, "{absent:#x}");
    }
}

#[test]
fn firmware_that_gives_no_addresses_is_made_up_for() {
    let without_addresses = |command: u32| -> &'static [(u8, u32)] {
        let words = QEMU.iter().copied().filter(|(register, _)| *register != 4);
        let words = words.map(|(register, word)| match register {
            0x14 => (register, 0),
            0x20 => (register, 0xc),
            _ => (register, word),
        });
        words.chain([(4, command)]).collect::<vec::Vec<_>>().leak()
    };
    let functions = |command| [((0, 0, 0), HOST), ((0, 1, 0), without_addresses(command))];
    // A microvm has no table of it, nor ports, and its firmware gives no addresses. It gives none on a q35 either.
    let q35 = Recorded::new(&functions(0));
    let microvm = Recorded::new(&functions(0)).with_acpi();
    let microvm = Recorded { has_ports: false, config_at: Some(0xe000_0000), ..microvm };
    for machine in [q35, microvm] {
        let device = on_pci(&machine);
        let tables = device.msix.map(|msix| msix.table);
        assert_eq!((tables, device.common), (Some(0xc000_0000), 0xc000_4000));
        assert_eq!(machine.word((0, 1, 0), 4) & 0b110, 0b110);
    }
    // One that has set the function up has no room for it.
    let reason = Search::Unusable(Place { bus: 0, device: 1, function: 0 }, Unusable::NoAddress(1));
    assert_eq!(card(&Recorded::new(&functions(0b111))), reason);
}

#[test]
fn what_is_no_modern_device_is_named() {
    let legacy: &'static [(u8, u32)] = &[(0, 0x1000_1af4), (0x10, 0xc001)];
    let place = Place { bus: 0, device: 1, function: 0 };
    let machine = Recorded::new(&[((0, 0, 0), HOST), ((0, 1, 0), legacy)]);
    assert_eq!(card(&machine), Search::Unusable(place, Unusable::Legacy));
    // With ports where memory should be.
    let odd: &'static [(u8, u32)] =
        &[(0, 0x1041_1af4), (0x10, 0xc001), (0x34, 0x40), (0x40, 0x0110_0009), (0x44, 0)];
    let machine = Recorded::new(&[((0, 0, 0), HOST), ((0, 1, 0), odd)]);
    assert_eq!(card(&machine), Search::Unusable(place, Unusable::Malformed));
}

#[test]
fn reasons_name_what_is_wrong() {
    let reasons = [
        (Unusable::Legacy, "disable-legacy=on"),
        (Unusable::NoAddress(4), "register 4"),
        (Unusable::NoRoom(0x40_0000_0000), "0x4000000000"),
        (Unusable::Malformed, "capabilities"),
    ];
    for (reason, named) in reasons {
        assert!(alloc::format!("{reason}").contains(named), "{reason}");
    }
}

#[test]
fn damaged_configuration_gives_an_answer_and_no_panic() {
    for (index, (register, _)) in QEMU.iter().enumerate().skip(1) {
        for value in [0, u32::MAX, 0x7f7f_7f7f, 0x40, 0x3ff, 0xfc00_0000 | u32::from(*register) << 8 | 9] {
            let mut words = QEMU.to_vec();
            words[index].1 = value;
            let machine = Recorded::new(&[((0, 0, 0), HOST), ((0, 1, 0), words.leak())]);
            let _ = card(&machine);
            assert!(machine.asked.get() < 70_000, "register {register:#x} = {value:#x}");
        }
    }
}

#[test]
fn devices_on_mmio_are_where_the_command_line_says() {
    let machine =
        Recorded { mmio: vec![(0xc000_1000, 2), (0xc000_2000, 1)], absent: 0, ..Recorded::new(&[]) };
    let device = on_mmio(&machine, Some("4K@0xc0001000:5,4K@0xc0002000:6"));
    assert_eq!((device.registers, device.interrupt), (0xc000_2000, 6));
}

#[test]
fn a_microvm_has_its_first_device_in_the_last_slot() {
    let machine =
        Recorded { mmio: vec![(0xfeb0_2e00, 1), (0xfeb0_2c00, 1)], ..Recorded::new(&[]).with_acpi() };
    let device = on_mmio(&machine, None);
    assert_eq!((device.registers, device.interrupt), (0xfeb0_2e00, 47));
    assert!(machine.asked.get() < 10, "{}", machine.asked.get());
}

#[test]
fn a_table_of_other_buses_leaves_the_ports() {
    let mut machine = Recorded::new(&[((0, 0, 0), HOST), ((0, 1, 0), QEMU)]).with_acpi();
    assert_eq!(on_pci(&machine).access, Access::Ports);
    // One that leads to where nothing is, as Firecracker's without PCI.
    machine = Recorded::new(&[((0, 0, 0), HOST), ((0, 1, 0), QEMU)]).with_table(0xeec0_0000);
    machine.config_at = None;
    assert_eq!(on_pci(&machine).access, Access::Ports);
}
