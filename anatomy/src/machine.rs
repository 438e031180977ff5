//! A guest that is followed from its first instruction on: its boot, its memory, and its requests, for the models.
//!
//! Counts nothing itself: `compare` drives the guest, QEMU tells what it executes.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use compare::Method;
use compare::budget::layer::{self, Layer};
use compare::budget::symbols::Symbols;
use compare::context::Context;
use compare::instruction_check::{Party, TracedGuest, Turn};
use image_build::image::Image;
use image_build::vm::accelerator::Choice;
use image_build::vm::machine::Machine as Model;
use image_build::vm::qmp::Monitor;

use crate::model::boot::Boot;
use crate::model::loader::Loader;
use crate::model::memory::Machine;
use crate::model::program::{Program, Span};
use crate::model::request::{CLOCK, Passage, Request};

/// Memory of the machine: what images are given unless they say otherwise.
const MEMORY_BYTES: u64 = 32 << 20;
/// Where the search for devices is, and the network stack.
const DEVICES: [&str; 2] = ["kernel-app/src/virtio/", "kernel-app/src/hermit/transport"];
const STACK: &str = "kernel-app/src/stack/";
/// Files that are neither driver nor event loop, although they lie beside them.
const CLOCKS: [&str; 8] = [
    "hermit/clock",
    "hermit/counter",
    "hermit/entropy",
    "hermit/kvm_clock",
    "hermit/rtc",
    "hermit/timekeeper",
    "src/timekeeping/",
    "/rand_",
];
/// How often a request is followed. The shortest one had nothing else to do beside it, such as a look at the clock.
const TRIES: usize = 3;
/// Services whose requests are followed: the others need a peer that they talk to.
const FOLLOWED: &str = "vote-service";

/// What was seen of a guest.
pub struct Followed {
    /// Its boot.
    pub boot: Boot,
    /// Its memory after that; none of a machine that has ended.
    pub machine: Option<Machine>,
    /// Its requests; none of those that are not followed.
    pub requests: Vec<Request>,
}

/// Boots an image and follows it.
///
/// # Errors
/// When it does not boot, or QEMU does not tell what it executes.
pub fn follow(image: &Image, program: &Program, loader: &Loader) -> Result<Followed> {
    let context = Context::find(Choice::Tcg, None, false)?;
    let mut code = Code::open(image)?;
    let mut guest = TracedGuest::boot(&context, &image.name, image.path.clone(), Model::Q35)?;
    let copy = guest.folder().join("memory");
    let machine = guest.monitor().map(|monitor| read(monitor, &copy)).transpose()?;
    let (mut requests, mut answer) = (Vec::new(), None);
    if image.name == FOLLOWED {
        answer = Some(guest.first_answer()?.iter().map(|turn| turn.trace.len() as u64).sum());
        for (name, method) in [("GET", Method::Get), ("POST", Method::Post)] {
            let tries: Result<Vec<Vec<Turn>>> = (0..TRIES).map(|_| guest.request(method)).collect();
            let length = |turns: &Vec<Turn>| turns.iter().map(|turn| turn.trace.len()).sum::<usize>();
            let turns = tries?.into_iter().min_by_key(length).unwrap_or_default();
            let passages = turns.iter().map(|turn| code.passage(turn)).collect();
            requests.push(Request { method: name, passages });
        }
    }
    let (trace, counted) = guest.boot_trace();
    let runtime_entry = program.symbol("runtime_entry").map_or(0, |span| span.start);
    let (is_loader, is_kernel) = (|at: u64| at == loader.entry, |at: u64| at == program.entry);
    let is_program = |at: u64| at == runtime_entry;
    let places = code.places(trace);
    let is_device = |at: u64| places.get(&at).is_some_and(|place| *place == Place::Devices);
    let is_network = |at: u64| places.get(&at).is_some_and(|place| *place == Place::Network);
    let boot =
        Boot::of(trace, [&is_loader, &is_kernel, &is_program, &is_device, &is_network], answer, counted);
    Ok(Followed { boot, machine, requests })
}

/// What stages of a boot are known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Devices,
    Network,
}

/// Where instructions come from, each looked up once.
struct Code {
    symbols: Symbols,
    origins: HashMap<u64, (Layer, String)>,
}

impl Code {
    fn open(image: &Image) -> Result<Self> {
        Ok(Self { symbols: Symbols::open(&image.program)?, origins: HashMap::new() })
    }

    fn passage(&mut self, turn: &Turn) -> Passage {
        for address in &turn.trace {
            if !self.origins.contains_key(address) {
                self.origins.insert(*address, self.origin(*address));
            }
        }
        let origins = turn.trace.iter().filter_map(|address| self.origins.get(address));
        let told = origins.map(|(layer, function)| (*layer, function.as_str()));
        Passage::of(turn.heard == Party::Store, told)
    }

    fn origin(&self, address: u64) -> (Layer, String) {
        let origin = self.symbols.origin(address);
        let files = self.symbols.frames(address).into_iter().filter_map(|frame| frame.file);
        let deciding = files.into_iter().find(|file| layer::of_file(file).is_some());
        let is_clock = deciding.is_some_and(|file| CLOCKS.iter().any(|place| file.contains(place)));
        let function = format!("{:#}", rustc_demangle::demangle(&origin.function));
        (if is_clock { CLOCK } else { origin.layer }, function)
    }

    /// The instructions that are in one of the places, by the files that they are from.
    fn places(&self, trace: &[u64]) -> HashMap<u64, Place> {
        let mut places = HashMap::new();
        let mut seen = HashSet::new();
        for address in trace.iter().filter(|address| seen.insert(**address)) {
            let frames = self.symbols.frames(*address);
            let is_in = |place: &str| {
                frames.iter().any(|frame| frame.file.as_ref().is_some_and(|file| file.contains(place)))
            };
            if DEVICES.iter().any(|place| is_in(place)) {
                places.insert(*address, Place::Devices);
            } else if is_in(STACK) {
                places.insert(*address, Place::Network);
            }
        }
        places
    }
}

/// Reads a machine that is held.
fn read(monitor: &mut Monitor, path: &Path) -> Result<Machine> {
    let registers = monitor.human("info registers")?;
    let register = |name: &str| {
        let (_, after) = registers.split_once(&format!("{name}="))?;
        u64::from_str_radix(after.split_whitespace().next()?, 16).ok()
    };
    let unknown = |name: &str| format!("QEMU does not tell the register {name}");
    let cr3 = register("CR3").with_context(|| unknown("CR3"))?;
    let rsp = register("RSP").with_context(|| unknown("RSP"))?;
    let windows = windows(&monitor.human("info mtree -f")?);
    let refusal = monitor.human(&format!("pmemsave 0 {MEMORY_BYTES} \"{}\"", path.display()))?;
    anyhow::ensure!(refusal.is_empty(), "QEMU does not save the memory: {refusal}");
    let memory = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Machine { memory, cr3, rsp, windows })
}

/// What answers at physical addresses, out of QEMU's lists of them (`info mtree -f`): the one of all memory.
fn windows(lists: &str) -> Vec<Span> {
    let list = lists.split("FlatView #").find(|list| list.contains("AS \"memory\"")).unwrap_or_default();
    list.lines().filter_map(window).collect()
}

/// `  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic`.
fn window(line: &str) -> Option<Span> {
    let (range, rest) = line.trim().split_once(" (")?;
    let (start, last) = range.split_once('-')?;
    let (_, name) = rest.split_once("): ")?;
    let address = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let name = name.split(" @").next().unwrap_or(name).to_owned();
    Some(Span { name, start: address(start)?, end: address(last)?.checked_add(1)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_those_of_the_machine_s_memory() {
        let lists = "FlatView #0\n AS \"I/O\", root: io\n  0000000000000020-0000000000000021 (prio 0, i/o): pic\n\n\
                     FlatView #1\n AS \"memory\", root: system\n Root memory region: system\n\
                     \x20 0000000000000000-0000000001ffffff (prio 0, ram): pc.ram\n\
                     \x20 00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic @0000000000000000\n";
        let span = |name: &str, start, end| Span { name: name.to_owned(), start, end };
        assert_eq!(windows(lists), [span("pc.ram", 0, 32 << 20), span("ioapic", 0xfec0_0000, 0xfec0_1000)]);
    }
}
