//! Machines of all kinds, each as a list of its functions.

use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;

use super::*;

const VIRTIO_NET: u32 = 0x1041_1af4;
const BRIDGE: u32 = 0x000c_1b36;
const HOST: u32 = 0x29c0_8086;

/// Functions with their registers, and what is read where there is none.
struct Machine {
    functions: Vec<(Place, [u32; 4])>,
    nothing: u32,
    reads: Cell<usize>,
}

impl ReadConfig for Machine {
    fn read(&self, place: Place, register: u8) -> u32 {
        self.reads.set(self.reads.get() + 1);
        let Some((_, words)) = self.functions.iter().find(|(at, _)| *at == place) else {
            return self.nothing;
        };
        match register {
            ID => words[0],
            CLASS => words[1],
            HEADER => words[2],
            BUSES => words[3],
            _ => panic!("register {register:#x} is nobody's business"),
        }
    }
}

fn at(bus: u8, device: u8, function: u8) -> Place {
    Place { bus, device, function }
}

fn plain(place: Place, id: u32) -> (Place, [u32; 4]) {
    (place, [id, 0x0200_0000, 0, 0])
}

fn many(place: Place, id: u32) -> (Place, [u32; 4]) {
    (place, [id, 0x0200_0000, MULTI_FUNCTION, 0])
}

fn bridge(place: Place, secondary: u8) -> (Place, [u32; 4]) {
    (place, [BRIDGE, 0x0604_0000, 1 << 16, u32::from(secondary) << 8])
}

fn machine(functions: Vec<(Place, [u32; 4])>) -> Machine {
    Machine { functions, nothing: u32::MAX, reads: Cell::new(0) }
}

fn places(machine: &Machine) -> Vec<Place> {
    let mut places = Vec::new();
    let all = behind_bridges(machine, &mut |place, _| {
        places.push(place);
        true
    });
    assert!(all);
    places
}

#[test]
fn cards_are_found_at_any_device_and_function() {
    let functions = vec![
        plain(at(0, 0, 0), HOST),
        plain(at(0, 31, 0), VIRTIO_NET),
        many(at(0, 5, 0), HOST),
        plain(at(0, 5, 3), VIRTIO_NET),
        plain(at(0, 5, 7), VIRTIO_NET),
    ];
    for nothing in [u32::MAX, 0, 0xffff, 0xffff_0000] {
        let machine = Machine { nothing, ..machine(functions.clone()) };
        assert!(exists(&machine));
        let found = places(&machine);
        assert_eq!(found, [at(0, 0, 0), at(0, 5, 0), at(0, 5, 3), at(0, 5, 7), at(0, 31, 0)]);
    }
}

#[test]
fn functions_of_a_device_with_one_are_not_looked_at() {
    // Such devices may answer for every function as for the first.
    let machine = machine(vec![plain(at(0, 1, 0), VIRTIO_NET), plain(at(0, 1, 1), VIRTIO_NET)]);
    assert_eq!(places(&machine), [at(0, 1, 0)]);
}

#[test]
fn bridges_are_followed_however_deep() {
    let mut functions = vec![plain(at(0, 0, 0), HOST)];
    functions.extend((0..255).map(|bus| bridge(at(bus, 2, 0), bus + 1)));
    functions.push(plain(at(255, 0, 0), VIRTIO_NET));
    assert_eq!(places(&machine(functions)), [at(0, 0, 0), at(255, 0, 0)]);
}

#[test]
fn bridges_that_lead_in_circles_or_nowhere_end() {
    let functions = vec![
        bridge(at(0, 1, 0), 1),
        bridge(at(0, 2, 0), 0),
        bridge(at(0, 3, 0), 1),
        bridge(at(0, 4, 0), 9),
        bridge(at(1, 1, 0), 0),
        bridge(at(1, 2, 0), 1),
        plain(at(1, 3, 0), VIRTIO_NET),
    ];
    assert_eq!(places(&machine(functions)), [at(1, 3, 0)]);
}

#[test]
fn the_search_ends_when_all_is_found() {
    let machine =
        machine(vec![plain(at(0, 0, 0), HOST), plain(at(0, 1, 0), VIRTIO_NET), bridge(at(0, 2, 0), 1)]);
    let went_on = behind_bridges(&machine, &mut |_, id| id.device != 0x1041);
    assert!(!went_on && machine.reads.get() < 10, "{} reads", machine.reads.get());
}

#[test]
fn buses_of_other_host_bridges_are_found_by_looking_everywhere() {
    let machine = machine(vec![plain(at(0, 0, 0), HOST), plain(at(128, 3, 0), VIRTIO_NET)]);
    assert_eq!(places(&machine), [at(0, 0, 0)]);
    let mut found = Vec::new();
    everywhere(&machine, &mut |place, _| {
        found.push(place);
        true
    });
    assert_eq!(found, [at(0, 0, 0), at(128, 3, 0)]);
}

#[test]
fn a_machine_without_pci_has_none() {
    for nothing in [u32::MAX, 0] {
        assert!(!exists(&Machine { nothing, ..machine(vec![]) }));
    }
}
