//! A request's budget, and a vote's: which layers of a service's guest their instructions are spent in.
//!
//! The same guest and the same turns as the instruction check's, so that it adds up to what is checked. Says nothing
//! of time, and nothing of the host.

pub mod layer;
pub mod symbols;

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use image_build::image::{self, Image};
use image_build::say;
use image_build::tool::output::Unwritable;
use image_build::vm::accelerator::Choice;
use image_build::vm::machine::Machine;
use image_build::vm::qemu;

use crate::context::Context;
use crate::instruction_check::{Guest, Workload};
use crate::substrate::Program;
use layer::{LAYERS, Layer};
use symbols::{Origin, Symbols};

/// The services whose guests are traced.
const PROGRAMS: [Program; 3] = [Program::Vote, Program::Worker, Program::Store];

/// Instructions for one request or vote, by where they are spent.
struct Budget {
    of: Workload,
    layers: BTreeMap<Layer, f64>,
    functions: BTreeMap<String, f64>,
}

/// `cargo compare budget`: traces each kind of request or vote on q35, and prints what it is spent on.
///
/// # Errors
/// When the guest cannot be built, started or traced.
pub fn run(functions: usize) -> Result<()> {
    qemu::require()?;
    let context = Context::find(Choice::Tcg, None, false)?;
    let images = image::build(&context.workspace, &PROGRAMS.map(Program::package))?;
    let mut budgets = Vec::new();
    for (program, image) in PROGRAMS.into_iter().zip(images) {
        budgets.extend(of_program(&context, program, image)?);
    }
    print_layers(&budgets)?;
    if functions > 0 {
        budgets.iter().try_for_each(|budget| print_functions(budget, functions))?;
    }
    Ok(())
}

fn of_program(context: &Context, program: Program, image: Image) -> Result<Vec<Budget>> {
    let symbols = Symbols::open(&image.program)?;
    let mut guest = Guest::boot(context, program, image.path, Machine::Q35)?;
    let mut origins = HashMap::new();
    let mut budgets = Vec::new();
    for workload in Workload::of(program) {
        let (trace, units) = guest.trace(workload)?;
        let mut budget = Budget { of: workload, layers: BTreeMap::new(), functions: BTreeMap::new() };
        for (address, times) in trace {
            let origin: &Origin = origins.entry(address).or_insert_with(|| symbols.origin(address));
            budget.add(origin, times as f64 / units as f64);
        }
        budgets.push(budget);
    }
    Ok(budgets)
}

impl Budget {
    fn add(&mut self, origin: &Origin, instructions: f64) {
        *self.layers.entry(origin.layer).or_default() += instructions;
        *self.functions.entry(origin.function.clone()).or_default() += instructions;
    }

    fn layer(&self, layer: Layer) -> f64 {
        self.layers.get(&layer).copied().unwrap_or_default()
    }
}

/// A table in Markdown, for a terminal as for a page.
fn print_layers(budgets: &[Budget]) -> Result<(), Unwritable> {
    let cells = |first: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!(" {cell:>16} |")).collect();
        say!("| {first:<24} |{cells}")
    };
    cells("instructions per unit", budgets.iter().map(|budget| budget.of.label().to_owned()).collect())?;
    cells("---", budgets.iter().map(|_| "---:".to_owned()).collect())?;
    let row = |count: f64, all: f64| format!("{count:.0} ({:.0}%)", 100.0 * count / all.max(1.0));
    for (layer, _) in LAYERS {
        let of = |budget: &Budget| row(budget.layer(layer), budget.layers.values().sum());
        cells(layer, budgets.iter().map(of).collect())?;
    }
    cells("all", budgets.iter().map(|budget| format!("{:.0}", budget.layers.values().sum::<f64>())).collect())
}

fn print_functions(budget: &Budget, most: usize) -> Result<(), Unwritable> {
    say!("\n{}", budget.of.label())?;
    let mut functions: Vec<(&String, &f64)> = budget.functions.iter().collect();
    functions.sort_by(|one, other| other.1.total_cmp(one.1));
    functions.into_iter().take(most).try_for_each(|(name, count)| say!("{count:>8.0}  {name}"))
}
