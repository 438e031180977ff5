//! Bootable images: one ELF file with the loader and a placed program, which QEMU's `-kernel` starts.
//!
//! Making an image of a built program takes milliseconds. So images are made again on every request, and written only
//! if they differ.

mod bootable;
pub mod compile;
mod folder;
pub mod loader;
pub mod manifest;
mod program;
mod source;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::image::compile::Compilation;
use crate::image::loader::Loader;
use crate::image::program::Program;
use crate::tool::files::write_whole;
use crate::tool::workspace::Workspace;
use crate::toolchain::libraries;
use crate::toolchain::{HERMIT_TARGET, Toolchain};
pub use source::{Source, build_sources};

/// Where programs are placed: the first 2 MiB boundary above the loader.
pub const PROGRAM_START: u64 = 2 << 20;
/// The program of the probe: `mov edx, 0xf4; mov eax, 1; out dx, eax; hlt` ends QEMU with success.
const PROBE_CODE: [u8; 12] = [0xba, 0xf4, 0, 0, 0, 0xb8, 1, 0, 0, 0, 0xef, 0xf4];

/// With `never`, images are taken as they were built: cargo is not asked.
pub const BUILD: &str = "VOTING_APP_BUILD";

/// A bootable file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Name of the program's package.
    pub name: String,
    /// Path of the bootable file.
    pub path: PathBuf,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// The ELF file of the program in it, with its symbols.
    pub program: PathBuf,
}

/// Does whatever of the one-time work is missing: the libraries of the toolchain, and the loader.
///
/// # Errors
/// When a part cannot be fetched, built or installed; then nothing is changed.
pub fn set_up(workspace: &Workspace) -> Result<()> {
    loader::ensure(workspace, &libraries::ensure(workspace)?).map(drop)
}

/// Builds programs in the profile of images and makes an image of each, in the order of `names`.
///
/// # Errors
/// When setup, build or linking fails, or an image is larger than `images.toml` allows.
pub fn build(workspace: &Workspace, names: &[impl AsRef<str>]) -> Result<Vec<Image>> {
    let toolchain = libraries::ensure(workspace)?;
    let budgets = manifest::read(workspace)?;
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    for name in &names {
        let known: Vec<&str> = budgets.keys().map(String::as_str).collect();
        ensure!(budgets.contains_key(*name), "there is no image {name}: give one of {}", known.join(", "));
    }
    if is_building_forbidden() {
        return names.iter().map(|name| built(workspace, name).with_context(forbidden)).collect();
    }
    let loader = Loader::parse(&fs::read(loader::ensure(workspace, &toolchain)?)?)?;
    let compilation = Compilation {
        folder: &workspace.root,
        packages: &names,
        target: &workspace.target,
        profile: &compile::IMAGE,
    };
    let programs = compilation.run(&toolchain, &names.join(", "))?;
    let state = workspace.state()?;
    names
        .iter()
        .map(|name| {
            let program = programs.iter().find(|(built, _)| built == name);
            let (_, elf) =
                program.with_context(|| format!("the package {name} has no program of its name"))?;
            let image = make(&loader, elf, name, &state.join(format!("{name}.img")))?;
            let limit = budgets[*name].size_kib_max.saturating_mul(1024);
            ensure!(
                image.bytes <= limit,
                "the image {name} has {} bytes, {} more than its budget of {} KiB in images.toml",
                image.bytes,
                image.bytes - limit,
                limit / 1024
            );
            Ok(image)
        })
        .collect()
}

fn is_building_forbidden() -> bool {
    env::var_os(BUILD).is_some_and(|value| value == "never")
}

fn forbidden() -> String {
    format!("{BUILD}=never forbids to build it: unset {BUILD}")
}

/// An image that was built before.
///
/// # Errors
/// When it was not.
pub fn built(workspace: &Workspace, name: &str) -> Result<Image> {
    let path = workspace.state()?.join(format!("{name}.img"));
    let program = workspace.target.join(HERMIT_TARGET).join(compile::IMAGE.name).join(name);
    let file = fs::metadata(&path).with_context(|| format!("{name} has not been built"))?;
    Ok(Image { name: name.to_owned(), path, bytes: file.len(), program })
}

/// Makes an image of a built program.
///
/// # Errors
/// When the program cannot run on Hermit, or the image cannot be written.
pub fn from_program(workspace: &Workspace, elf: &Path, image: &Path) -> Result<Image> {
    let toolchain = Toolchain::find(workspace)?;
    let loader = Loader::parse(&fs::read(loader::ensure(workspace, &toolchain)?)?)?;
    let name = elf.file_stem().and_then(|name| name.to_str()).context("the program's name is not UTF-8")?;
    make(&loader, elf, name, image)
}

/// An image that ends QEMU with success as soon as it runs.
///
/// # Errors
/// When the loader cannot be built or the image not written.
pub fn probe_image(workspace: &Workspace) -> Result<PathBuf> {
    let toolchain = Toolchain::find(workspace)?;
    let loader = Loader::parse(&fs::read(loader::ensure(workspace, &toolchain)?)?)?;
    let path = workspace.state()?.join("probe.img");
    let program = Program {
        start: PROGRAM_START,
        end: PROGRAM_START + PROBE_CODE.len() as u64,
        entry: PROGRAM_START,
        tls: None,
        bytes: PROBE_CODE.to_vec(),
    };
    write_whole(&path, &bootable::assemble(&loader, &program))?;
    Ok(path)
}

fn make(loader: &Loader, elf: &Path, name: &str, path: &Path) -> Result<Image> {
    let bytes = fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))?;
    let program = Program::place(&bytes, PROGRAM_START)
        .with_context(|| format!("{} cannot be booted", elf.display()))?;
    let image = bootable::assemble(loader, &program);
    write_whole(path, &image)?;
    Ok(Image {
        name: name.to_owned(),
        path: path.to_owned(),
        bytes: image.len() as u64,
        program: elf.to_owned(),
    })
}
