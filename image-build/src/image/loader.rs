//! The host side of the loader: it builds the loader when its sources change, and fills in the parameters.
//!
//! The package `image-build/loader` contains the guest side.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSegment, ObjectSymbol};
use sha2::{Digest, Sha256};

use crate::image::program::Program;
use crate::tool::files::{hex, write_whole};
use crate::tool::process;
use crate::tool::progress::Step;
use crate::tool::workspace::Workspace;
use crate::toolchain::pinned;
use crate::toolchain::pinned::Profile;
use crate::toolchain::{BARE_TARGET, Toolchain};

/// First word of the handoff; `loader/src/handoff.rs` has the layout.
const HANDOFF_MAGIC: u64 = 0x4845_524d_4954_0001;
/// Words of the handoff.
const HANDOFF_WORDS: usize = 8;

/// How it is built, as its `Cargo.toml` and its own configuration have it.
const PROFILE: Profile = Profile {
    name: "release",
    opt_level: "\"s\"",
    lto: "true",
    codegen_units: 1,
    debug: "false",
    strip: "\"debuginfo\"",
    rust_flags: &["-Crelocation-model=static"],
};
/// The loader's sources, relative to its package. Build outputs never lie there.
const SOURCES: [&str; 8] = [
    "Cargo.toml",
    "Cargo.lock",
    "build.rs",
    "link.ld",
    ".cargo/config.toml",
    "src",
    "../command-line/Cargo.toml",
    "../command-line/src",
];

/// Path of the built loader; it is built when its sources or the compiler have changed.
///
/// # Errors
/// When the build fails.
pub fn ensure(workspace: &Workspace, toolchain: &Toolchain) -> Result<PathBuf> {
    let package = workspace.package().join("loader");
    let mut hash = Sha256::new_with_prefix(&toolchain.version);
    for source in SOURCES {
        hash_sources(&package.join(source), &mut hash)?;
    }
    let state = workspace.state()?;
    let path = state.join(format!("loader-{}.elf", &hex(&hash.finalize())[..16]));
    if !path.is_file() {
        let step = Step::start("Building the loader");
        toolchain.complete(workspace)?;
        let built = build(toolchain, &package, &state.join("loader-target"))?;
        write_whole(&path, &fs::read(built)?)?;
        step.done();
    }
    Ok(path)
}

fn hash_sources(path: &Path, hash: &mut Sha256) -> Result<()> {
    let unreadable = || format!("cannot read {}", path.display());
    if !path.is_dir() {
        hash.update(fs::read(path).with_context(unreadable)?);
        return Ok(());
    }
    let mut entries: Vec<PathBuf> =
        path.read_dir().with_context(unreadable)?.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries.iter().try_for_each(|entry| hash_sources(entry, hash))
}

fn build(toolchain: &Toolchain, package: &Path, target: &Path) -> Result<PathBuf> {
    let mut cargo = toolchain.cargo();
    pinned::build_with(&mut cargo, &PROFILE);
    cargo.current_dir(package).args(["--target", BARE_TARGET, "--locked", "--target-dir"]).arg(target);
    // The loader uses nothing unstable.
    process::output(cargo.env_remove("RUSTC_BOOTSTRAP"), "building the loader")?;
    Ok(target.join(BARE_TARGET).join("release/loader"))
}

/// The loader as the bytes that QEMU puts into memory.
#[derive(Debug)]
pub struct Loader {
    /// Address of the first byte.
    pub start: u64,
    /// Address of the PVH entry.
    pub entry: u64,
    /// The bytes from there on.
    pub bytes: Vec<u8>,
    /// How much memory it takes, with what is zero at first.
    pub memory_bytes: u64,
    handoff_at: usize,
}

impl Loader {
    /// Reads a built loader.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(elf: &[u8]) -> Result<Self> {
        let file = object::File::parse(elf).context("the loader is not an ELF file")?;
        let mut segments = file.segments();
        let segment = segments.next().context("the loader has no segment")?;
        ensure!(segments.next().is_none(), "the loader has more than one segment");
        let bytes = segment.data().context("the loader is cut off")?.to_vec();
        let symbol = file.symbol_by_name("HANDOFF").context("the loader has no HANDOFF")?;
        let handoff_at = usize::try_from(symbol.address().wrapping_sub(segment.address()))?;
        ensure!(handoff_at + HANDOFF_WORDS * 8 <= bytes.len(), "the loader's HANDOFF lies outside of it");
        let (start, memory_bytes) = (segment.address(), segment.size());
        Ok(Self { start, entry: file.entry(), bytes, memory_bytes, handoff_at })
    }

    /// The loader's bytes with what it has to know about the program beside it.
    pub fn handed_over(&self, program: &Program) -> Vec<u8> {
        let tls = program.tls.map_or([0; 4], |tls| [tls.start, tls.file_bytes, tls.memory_bytes, tls.align]);
        let words = [HANDOFF_MAGIC, program.entry, program.start, program.end].into_iter().chain(tls);
        let mut bytes = self.bytes.clone();
        for (place, word) in bytes[self.handoff_at..].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    #[cfg(test)]
    pub(crate) fn for_tests(start: u64, bytes: Vec<u8>, memory_bytes: u64) -> Self {
        Self { start, entry: start, bytes, memory_bytes, handoff_at: 64 }
    }
}
