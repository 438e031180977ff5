//! QEMU as this machine has it, with everything that it loads: its libraries and the firmware of our machines.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::description::QEMU as PLACE;
use super::layer::{Content, Files};
use crate::tool::packages;
use crate::tool::packages::table::QEMU;
use crate::tool::process;

/// What QEMU reads for a q35 whose firmware is microvm's: the firmware, and two ROMs that are
/// read and not needed: for a kernel, which this firmware boots itself, and for a processor's timer.
const FIRMWARE: [&str; 3] = ["bios-microvm.bin", "pvh.bin", "kvmvapic.bin"];
/// What distributions have taken out of the program and into files of their own: the translator of instructions.
const MODULES: [&str; 1] = ["accel-tcg-x86_64.so"];
/// Where they lie, by distribution.
const MODULE_FOLDERS: [&str; 4] =
    ["/usr/lib/x86_64-linux-gnu/qemu", "/usr/lib64/qemu", "/usr/lib64/qemu-kvm", "/usr/lib/qemu"];
/// Where QEMU looks for its firmware.
const FIRMWARE_FOLDER: &str = "/usr/share/qemu";

/// Adds QEMU to an image, at `/usr/bin`.
///
/// # Errors
/// When QEMU is missing, or its libraries cannot be listed.
pub fn add(files: &mut Files) -> Result<()> {
    packages::ensure(&QEMU)?;
    let program = process::find(QEMU.program).context("QEMU is not in PATH")?;
    add_file(files, &program, Path::new(PLACE))?;
    let modules = modules();
    let libraries =
        [program.clone()].iter().chain(&modules).map(|file| libraries(file)).collect::<Result<Vec<_>>>()?;
    for file in libraries.into_iter().flatten().chain(modules).collect::<BTreeSet<_>>() {
        add_file(files, &file, &file)?;
    }
    let folder = firmware_folder(&program)?;
    for name in FIRMWARE {
        add_file(files, &folder.join(name), &Path::new(FIRMWARE_FOLDER).join(name))?;
    }
    Ok(())
}

fn modules() -> Vec<PathBuf> {
    let paths = MODULE_FOLDERS.iter().flat_map(|folder| MODULES.map(|name| Path::new(folder).join(name)));
    paths.filter(|path| path.is_file()).collect()
}

/// A copy of a file, whatever links lead to it.
fn add_file(files: &mut Files, from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    let path = to.strip_prefix("/").ok().and_then(Path::to_str);
    files.add(
        path.with_context(|| format!("{} is no path for an image", to.display()))?,
        Content::Program(bytes),
    )
}

/// The libraries of a program and what loads them, as the loader itself finds them.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let mut ldd = Command::new("ldd");
    ldd.arg(program);
    let listed = process::output(&mut ldd, "listing QEMU's libraries")?;
    let found = parse(&listed)?;
    ensure!(
        !found.is_empty(),
        "{} has no libraries: an image needs an ordinary build of it",
        program.display()
    );
    Ok(found)
}

/// The paths in lines such as `libz.so.1 => /lib/libz.so.1 (0x7f12)` and `/lib64/ld-linux-x86-64.so.2 (0x7f34)`.
fn parse(listed: &str) -> Result<Vec<PathBuf>> {
    let missing = listed.lines().find(|line| line.contains("not found"));
    ensure!(missing.is_none(), "QEMU lacks a library here: {}", missing.unwrap_or_default().trim());
    let path = |line: &str| {
        let path = line.split_once(" => ").map_or(line, |(_, path)| path);
        let path = path.split_once(" (").map_or(path, |(path, _)| path).trim();
        // The kernel's own is no file.
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    Ok(listed.lines().filter_map(path).collect())
}

fn firmware_folder(program: &Path) -> Result<PathBuf> {
    let mut qemu = Command::new(program);
    let folders = process::output(qemu.args(["-L", "help"]), "asking QEMU for its firmware")?;
    let has_firmware = |folder: &&str| Path::new(folder).join(FIRMWARE[0]).is_file();
    let folder = folders.lines().map(str::trim).find(has_firmware);
    folder
        .map(PathBuf::from)
        .with_context(|| format!("QEMU's firmware {} is in none of its folders", FIRMWARE[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_what_the_loader_lists() {
        let listed = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f12)\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x00007f34)\n";
        let expected = ["/lib/x86_64-linux-gnu/libz.so.1", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(parse(listed).expect("whole"), expected);
        let error = parse("\tlibgone.so.1 => not found\n").expect_err("incomplete").to_string();
        assert_eq!(error, "QEMU lacks a library here: libgone.so.1 => not found");
    }
}
