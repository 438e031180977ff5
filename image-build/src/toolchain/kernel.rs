//! The Hermit kernel as one library: fetched and verified by cargo, edited, built, and closed.
//!
//! Closed means that only the system calls and the entry stay visible of all its symbols. Otherwise a program could
//! be linked with the kernel's soft-float `memcpy` or its allocator.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::MetadataCommand;
use object::{Object, ObjectSymbol};

use crate::tool::process;
use crate::tool::workspace::Workspace;
use crate::toolchain::pinned;
use crate::toolchain::pinned::Profile;
use crate::toolchain::{BARE_TARGET, Toolchain, kernel_memory};

/// Name of the library in a program's `#[link]`.
pub const LIBRARY: &str = "libhermit.a";
/// What the kernel is built with: ACPI to switch off, fast thread pointers. Its own network, file systems from the
/// host and second processor stay out; and PCI, for a program finds its devices itself: the kernel would look at 1,024
/// places for some, and use none.
/// And of its log, which it shares with nobody, only errors are compiled in: serial bytes cost boot time,
/// and the rest is an eighth of the kernel.
const FEATURES: &str = "acpi,fsgsbase,log/release_max_level_error";
/// The environment of its build. Log level and colour are fixed at compile time. The kernel's code is
/// cold next to the program's, so it is built for size.
const ENVIRONMENT: [(&str, &str); 7] = [
    ("RUSTFLAGS", "-Zmutable-noalias=no"),
    ("HERMIT_LOG_LEVEL_FILTER", "error"),
    ("NO_COLOR", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "z"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
];
/// The same as a profile, where a user's configuration does not reach it.
const PROFILE: Profile = Profile {
    name: "release",
    opt_level: "\"z\"",
    lto: "\"fat\"",
    codegen_units: 1,
    debug: "false",
    strip: "\"none\"",
    rust_flags: &["-Zmutable-noalias=no"],
};
/// What is changed in the kernel's sources besides [`kernel_memory::EDITS`], old text and new.
const EDITS: [[&str; 2]; 14] = [
    // The attribute as compilers since 1.88 want it.
    ["#[naked]", "#[unsafe(naked)]"],
    // How long the kernel measures the APIC timer at boot. Only its scheduler uses that timer, and a
    // program here is its only task; the 30 ms are longer than the rest of a boot.
    ["let microseconds = 30_000;", "let microseconds = 100;"],
    // The kernel reads the RTC until it is not being updated: for ever where there is none, as on QEMU's microvm
    // under KVM. Nobody asks the kernel what time it is; a program reads the clocks itself. Any time will do from
    // which the ticks of the next line can be taken away.
    [
        "let current_time = without_interrupts(|| Rtc::new().get_microseconds_since_epoch());",
        "let current_time = processor::get_timer_ticks() + 1_000_000_000;",
    ],
    // It waits for a serial line that takes no more, for ever; 16 bytes take 4 ms at its speed.
    ["s.send(data);", "let _ = (0..10_000).find(|_| s.try_send_raw(data).is_ok());"],
    // It counts three ticks of the PIT to learn the time-stamp counter's rate, for ever where the PIT stops after
    // the first. Ticks come every 10 ms: a counter that has gone this far has no rate that could be learnt.
    [
        "if tick - start_tick >= tick_count {",
        "if get_timestamp() - start > 4_000_000_000 {
\t\t\t\tinterrupts::disable();
\t\t\t\tpit::deinit();
\t\t\t\treturn Err(());
\t\t\t}
\t\t\tif tick - start_tick >= tick_count {",
    ],
    // It has room for one I/O APIC and panics at a second one, as microvm has it. That serves the virtio devices
    // there, and is set up by their driver.
    [
        "fn init_ioapic_address(phys_addr: PhysAddr) {",
        "fn init_ioapic_address(phys_addr: PhysAddr) {
\tif IOAPIC_ADDRESS.get().is_some() {
\t\treturn;
\t}",
    ],
    // It makes a handler for each of 224 interrupts, of which each looks for drivers of the kernel's own and calls its
    // scheduler. One serves them all until a program installs its own: it ends the interrupt.
    ["set_general_handler!(&mut *idt, handle_interrupt, 32..);", ""],
    [
        "let addr = idt[i].handler_addr();",
        "let addr = x86_64::VirtAddr::new(end_interrupt as *const () as u64);",
    ],
    [
        "fn handle_interrupt(",
        "extern \"x86-interrupt\" fn end_interrupt(_: ExceptionStackFrame) {
\tapic::eoi();
}

#[expect(dead_code)]
fn handle_interrupt(",
    ],
    // Bytes on the serial line are the program's, also those that come before it looks.
    [
        "idt[SERIAL_IRQ]\n\t\t\t.set_handler_fn(serial_interrupt)\n\t\t\t.set_stack_index(0);",
        "let _ = &mut idt[SERIAL_IRQ];",
    ],
    // Each register of the I/O APIC takes two exits of a virtual machine. When that starts, a pin is masked and leads
    // to processor 0.
    [
        "ioapic_set_interrupt(i, 0, enabled);",
        "if enabled {
\t\t\tioapic_set_interrupt(i, 0, enabled);
\t\t}",
    ],
    ["ioapic_write(IOAPIC_REG_TABLE + off + 1, ioredirect_upper);", "let _ = ioredirect_upper;"],
    // It asks for the machine to be switched off, and resets it at once: whichever QEMU notices first is what its
    // monitor tells. So long it waits for the first, which takes a moment.
    [
        "acpi::poweroff();",
        "acpi::poweroff();
\t\tlet asked = get_timestamp();
\t\twhile get_timestamp() - asked < 1_000_000_000 {}",
    ],
    // uhyve gives a card only to kernels whose driver for it is as new as this. Here the driver is the program's.
    [
        "hermit_entry::define_abi_tag!();",
        "#[used]
#[unsafe(link_section = \".note.ABI-tag\")]
static ABI_TAG: hermit_entry::_AbiTag =
\thermit_entry::_AbiTag::new(hermit_entry::HermitVersion { major: 0, minor: 13, patch: 2 });",
    ],
];

/// What decides the library's contents besides the compiler and the locked sources.
pub fn recipe() -> String {
    let source = include_str!("../../kernel/Cargo.lock");
    format!("{source}\n{FEATURES}\n{ENVIRONMENT:?}\n{EDITS:?}\n{:?}\nsys_* _start\n", kernel_memory::EDITS)
}

/// Builds the library and returns where it lies in `scratch`.
///
/// # Errors
/// When a tool fails, or the built kernel has none of the symbols that programs need.
pub fn build(workspace: &Workspace, toolchain: &Toolchain, scratch: &Path) -> Result<PathBuf> {
    let copy = scratch.join("kernel");
    copy_sources(&source_directory(workspace, toolchain)?, &copy)?;
    adapt(&copy)?;
    close(toolchain, &compile(toolchain, &copy, scratch)?, scratch)
}

/// Where cargo unpacked the kernel, fetched first when it is not there.
fn source_directory(workspace: &Workspace, toolchain: &Toolchain) -> Result<PathBuf> {
    let metadata = MetadataCommand::new()
        .cargo_path(toolchain.cargo().get_program())
        .manifest_path(workspace.package().join("kernel/Cargo.toml"))
        .other_options(["--locked", "--filter-platform", BARE_TARGET].map(str::to_owned))
        .exec()
        .context(
            "cargo cannot fetch the kernel (hermit-kernel): check that cargo can reach a package registry",
        )?;
    let package = metadata.packages.iter().find(|package| package.name.as_str() == "hermit-kernel");
    let manifest = &package.context("cargo fetched no hermit-kernel")?.manifest_path;
    Ok(manifest.parent().context("a manifest without a directory")?.as_std_path().to_owned())
}

fn copy_sources(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    for entry in from.read_dir().with_context(|| format!("cannot read {}", from.display()))? {
        let (entry, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if entry.is_dir() {
            copy_sources(&entry, &target)?;
        } else {
            // Not `fs::copy`: cargo's copy is read-only on some systems, and this one is edited.
            fs::write(&target, fs::read(&entry)?)
                .with_context(|| format!("cannot write {}", target.display()))?;
        }
    }
    Ok(())
}

/// Makes the edits; and the toolchain is ours, not the one that the sources name.
fn adapt(sources: &Path) -> Result<()> {
    let toolchain_file = sources.join("rust-toolchain.toml");
    if toolchain_file.exists() {
        fs::remove_file(toolchain_file)?;
    }
    let manifest = sources.join("Cargo.toml");
    let text = fs::read_to_string(&manifest)?;
    if !text.contains("[workspace]") {
        // The copy may lie below the workspace of the programs, of which it is no member.
        fs::write(manifest, text + "\n[workspace]\n")?;
    }
    for [old, new] in EDITS.into_iter().chain(kernel_memory::EDITS) {
        let edited = replace_in_tree(&sources.join("src"), old, new)?;
        ensure!(edited > 0, "the kernel's sources have no `{old}` to replace");
    }
    Ok(())
}

/// Replaces a text in all Rust files and returns in how many.
fn replace_in_tree(directory: &Path, old: &str, new: &str) -> Result<usize> {
    let mut changed = 0;
    for entry in directory.read_dir()? {
        let path = entry?.path();
        if path.is_dir() {
            changed += replace_in_tree(&path, old, new)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            if text.contains(old) {
                fs::write(&path, text.replace(old, new))?;
                changed += 1;
            }
        }
    }
    Ok(changed)
}

fn compile(toolchain: &Toolchain, sources: &Path, scratch: &Path) -> Result<PathBuf> {
    let target = scratch.join("kernel-target");
    let mut cargo = toolchain.cargo();
    pinned::build_with(&mut cargo, &PROFILE);
    cargo.current_dir(sources).args(["--locked", "--no-default-features"]);
    cargo.args(["--features", FEATURES, "--target", BARE_TARGET, "--target-dir"]).arg(&target);
    process::output(cargo.envs(ENVIRONMENT), "building the kernel")?;
    Ok(target.join(BARE_TARGET).join("release").join(LIBRARY))
}

/// Links the library into one object, hides its symbols and archives it.
fn close(toolchain: &Toolchain, library: &Path, scratch: &Path) -> Result<PathBuf> {
    let [open, closed, list, archive] =
        ["kernel-open.o", "hermit.o", "keep.txt", LIBRARY].map(|name| scratch.join(name));
    let mut link = Command::new(toolchain.llvm_tool("rust-lld"));
    link.args(["-flavor", "gnu", "-r", "--whole-archive", "-o"]).arg(&open).arg(library);
    process::output(&mut link, "linking the kernel into one object")?;
    let keep = symbols_to_keep(&fs::read(&open)?)?;
    fs::write(&list, keep.join("\n"))?;
    let mut hide = Command::new(toolchain.llvm_tool("llvm-objcopy"));
    hide.arg(format!("--keep-global-symbols={}", list.display())).arg(&open).arg(&closed);
    process::output(&mut hide, "hiding the kernel's symbols")?;
    let mut pack = Command::new(toolchain.llvm_tool("llvm-ar"));
    process::output(pack.arg("rcs").arg(&archive).arg(&closed), "archiving the kernel")?;
    Ok(archive)
}

/// The names of an object that programs link with.
fn symbols_to_keep(object: &[u8]) -> Result<Vec<String>> {
    let file = object::File::parse(object).context("the linked kernel is not an object file")?;
    let mut keep: Vec<String> = file
        .symbols()
        .filter(|symbol| symbol.is_global() && symbol.is_definition())
        .filter_map(|symbol| symbol.name().ok().map(str::to_owned))
        .filter(|name| name.starts_with("sys_") || name == "_start")
        .collect();
    keep.sort();
    ensure!(
        keep.iter().any(|name| name == "_start"),
        "the built kernel has no entry: its objects are unreadable"
    );
    ensure!(keep.len() > 1, "the built kernel has no system calls: its objects are unreadable");
    Ok(keep)
}

#[cfg(test)]
mod tests {
    use object::write::{Object as Writer, Symbol, SymbolSection};
    use object::{Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope};

    use super::*;

    fn object_with(names: &[&str]) -> Vec<u8> {
        let mut writer = Writer::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        let section = writer.add_section(Vec::new(), b".text".to_vec(), SectionKind::Text);
        writer.append_section_data(section, &[0xc3], 1);
        for name in names {
            let scope =
                if name.starts_with("local") { SymbolScope::Compilation } else { SymbolScope::Dynamic };
            writer.add_symbol(Symbol {
                name: name.as_bytes().to_vec(),
                value: 0,
                size: 1,
                kind: SymbolKind::Text,
                scope,
                weak: false,
                section: SymbolSection::Section(section),
                flags: SymbolFlags::None,
            });
        }
        writer.write().expect("an object")
    }

    #[test]
    fn system_calls_and_the_entry_are_kept() {
        let object = object_with(&["sys_write", "memcpy", "_start", "sys_exit", "local_sys", "_start_x"]);
        assert_eq!(symbols_to_keep(&object).expect("a kernel"), ["_start", "sys_exit", "sys_write"]);
    }

    #[test]
    fn an_empty_list_is_an_error() {
        assert!(symbols_to_keep(&object_with(&["memcpy"])).is_err());
        assert!(symbols_to_keep(&object_with(&["_start"])).is_err());
        assert!(symbols_to_keep(b"BC\xc0\xdebitcode").is_err());
    }

    #[test]
    fn the_edit_reaches_every_rust_file_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let (inner, note) = (directory.path().join("a/b.rs"), directory.path().join("c.txt"));
        fs::create_dir(directory.path().join("a")).expect("a directory");
        fs::write(&inner, "#[naked]\nfn f() {}").expect("a file");
        fs::write(&note, "#[naked]").expect("a file");
        assert_eq!(replace_in_tree(directory.path(), EDITS[0][0], EDITS[0][1]).expect("edited"), 1);
        assert_eq!(fs::read_to_string(inner).expect("a file"), "#[unsafe(naked)]\nfn f() {}");
        assert_eq!(fs::read_to_string(note).expect("a file"), "#[naked]");
    }
}
