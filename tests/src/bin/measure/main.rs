//! The figures of `docs/measurements.md`, taken on this machine: `cargo run --package tests --bin measure`.
//!
//! Compares with nothing: it says what this application does here, now. Takes about three minutes.
#![cfg(not(target_os = "hermit"))]

mod boot;
mod load;

use anyhow::Result;
use image_build::image;
use image_build::image::manifest;
use image_build::tool::workspace::Workspace;
use image_build::vm::accelerator::Choice;
use image_build::vm::machine::Machine;
use image_build::vm::probe;

/// Starts that are timed for each machine.
const STARTS: usize = 11;

fn main() -> Result<()> {
    let workspace = Workspace::find()?;
    image::set_up(&workspace)?;
    let accelerator = probe::choose(&workspace, Choice::Auto)?;
    println!("Accelerator: {}\n\n| what | figure |\n|---|---|", accelerator.name());

    let names: Vec<String> = manifest::read(&workspace)?.into_keys().collect();
    let images = image::build(&workspace, &names)?;
    for (name, image) in names.iter().zip(&images) {
        row(&format!("image size, {name}"), &format!("{:.0} KB", image.bytes as f64 / 1000.0));
    }
    let vote = workspace.state()?.join("vote-service.img");
    for machine in [Machine::Q35, Machine::Microvm] {
        let guest = boot::Guests { image: &vote, machine, accelerator };
        let name = boot::name(machine);
        row(&format!("start to first 200, vote on {name}, median (p95) of {STARTS}"), &guest.starts(STARTS)?);
        row(&format!("least memory that boots and answers, vote on {name}"), &guest.least_memory()?);
    }
    for machine in [Machine::Q35, Machine::Microvm] {
        load::measure(boot::name(machine), row)?;
    }
    Ok(())
}

fn row(what: &str, figure: &str) {
    println!("| {what} | {figure} |");
}
