//! A program's ELF file as the bytes in memory when it runs: placed and relocated.
//!
//! Because the host does this and not the boot, the image needs no tables and the loader stays small, and a file that
//! cannot run is refused at build time. Read first: System V ABI, AMD64 supplement, chapter 4 (relocation) and 5
//! (program loading).

use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};
use object::elf::{DT_RELA, DT_RELASZ, EM_X86_64, ET_DYN, PT_LOAD, PT_TLS, R_X86_64_RELATIVE};
use object::elf::{ProgramHeader64, Rela64};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, pod};

/// Most memory that a program may take: it shares the first 4 GiB with devices.
const MEMORY_BYTES_MAX: u64 = 1 << 30;
/// A run of this many zero bytes is left out of the file; a shorter one costs less than its header.
const ZERO_RUN_BYTES_MIN: usize = 1024;
/// Name and type of the note with the version of the kernel's entry protocol, and that version.
const ENTRY_NOTE: (&[u8], u32, u8) = (b"HERMIT", 0x5a00, 4);

/// A program in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Address of the first byte.
    pub start: u64,
    /// Address where its zeroed memory ends.
    pub end: u64,
    /// Address where the kernel begins to run.
    pub entry: u64,
    /// The template of thread-local storage.
    pub tls: Option<Tls>,
    /// The bytes from `start` on; those up to `end` that are not here are zero.
    pub bytes: Vec<u8>,
}

/// The template of thread-local storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Start address of the segment in memory.
    pub start: u64,
    /// How much of it is initialized.
    pub file_bytes: u64,
    /// Size of the segment in memory, in bytes.
    pub memory_bytes: u64,
    /// Alignment of the segment in bytes, a power of two.
    pub align: u64,
}

type Segment = ProgramHeader64<Endianness>;

impl Program {
    /// Places a program at `start`.
    ///
    /// # Errors
    /// When the file is not a relocatable x86-64 program with a Hermit kernel, or is damaged.
    pub fn place(elf: &[u8], start: u64) -> Result<Self> {
        let file = ElfFile64::<Endianness>::parse(elf).context("it is not a 64-bit ELF file")?;
        let (header, endian) = (file.elf_header(), file.endian());
        ensure!(
            endian == Endianness::Little && header.e_machine(endian) == EM_X86_64,
            "it is not for x86-64"
        );
        ensure!(header.e_type(endian) == ET_DYN, "it is not position-independent");
        check_note(&file, elf)?;
        let segments = file.elf_program_headers();
        let memory_bytes = memory_bytes(segments, endian)?;
        let mut bytes = vec![0; usize::try_from(memory_bytes)?];
        for segment in segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD) {
            copy_segment(segment, endian, elf, &mut bytes)?;
        }
        relocate(&file, elf, start, &mut bytes)?;
        bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
        let entry = header.e_entry(endian);
        ensure!(entry < bytes.len() as u64, "its entry point lies outside of it");
        let tls = segments.iter().find(|segment| segment.p_type(endian) == PT_TLS).map(|segment| Tls {
            start: start + segment.p_vaddr(endian),
            file_bytes: segment.p_filesz(endian),
            memory_bytes: segment.p_memsz(endian),
            align: segment.p_align(endian).max(1),
        });
        Ok(Self { start, end: start + memory_bytes, entry: start + entry, tls, bytes })
    }

    /// The pieces of `bytes` that are worth storing: long runs of zeros lie between them.
    pub fn pieces(&self) -> Vec<Range<usize>> {
        let mut pieces: Vec<Range<usize>> = Vec::new();
        for (at, _) in self.bytes.iter().enumerate().filter(|(_, byte)| **byte != 0) {
            match pieces.last_mut() {
                Some(piece) if at - piece.end < ZERO_RUN_BYTES_MIN => piece.end = at + 1,
                _ => pieces.push(at..at + 1),
            }
        }
        pieces
    }
}

/// The size of the program in memory. A position-independent program begins at address 0.
fn memory_bytes(segments: &[Segment], endian: Endianness) -> Result<u64> {
    let loaded = segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD);
    let ends = loaded.map(|segment| segment.p_vaddr(endian).saturating_add(segment.p_memsz(endian)));
    let end = ends.max().context("it has nothing to load")?;
    ensure!(end <= MEMORY_BYTES_MAX, "it takes {end} bytes of memory of at most {MEMORY_BYTES_MAX}");
    Ok(end)
}

fn copy_segment(segment: &Segment, endian: Endianness, elf: &[u8], bytes: &mut [u8]) -> Result<()> {
    let Ok(data) = segment.data(endian, elf) else { bail!("a segment reaches beyond the file") };
    ensure!(data.len() as u64 <= segment.p_memsz(endian), "a segment is longer in the file than in memory");
    let start = usize::try_from(segment.p_vaddr(endian))?;
    // In range: no segment ends beyond the memory, and none is longer in the file.
    bytes[start..start + data.len()].copy_from_slice(data);
    Ok(())
}

/// Writes the addresses that depend on where the program lies. A program that is linked as a whole
/// has only relative ones.
fn relocate(file: &ElfFile64<'_, Endianness>, elf: &[u8], start: u64, bytes: &mut [u8]) -> Result<()> {
    let endian = file.endian();
    let Some(table) = relocation_table(file, elf)? else { return Ok(()) };
    let table = bytes.get(table).context("its relocations lie outside of it")?.to_vec();
    let Ok(relocations) = pod::slice_from_all_bytes::<Rela64<Endianness>>(&table) else {
        bail!("its relocations end in the middle of one")
    };
    for relocation in relocations {
        let kind = relocation.r_type(endian, false);
        ensure!(kind == R_X86_64_RELATIVE, "it has a relocation of type {} that is not relative", kind.0);
        let at = usize::try_from(relocation.r_offset.get(endian))?;
        let value = start.wrapping_add_signed(relocation.r_addend.get(endian));
        let place = at.checked_add(8).and_then(|end| bytes.get_mut(at..end));
        place.context("a relocation lies outside of it")?.copy_from_slice(&value.to_le_bytes());
    }
    // They have served, and the kernel does not look at them.
    let range = relocation_table(file, elf)?.unwrap_or_default();
    bytes[range].fill(0);
    Ok(())
}

/// Where the relocations lie in memory.
fn relocation_table(file: &ElfFile64<'_, Endianness>, elf: &[u8]) -> Result<Option<Range<usize>>> {
    let endian = file.endian();
    let (mut address, mut length) = (None, 0);
    for segment in file.elf_program_headers() {
        for entry in segment.dynamic(endian, elf)?.unwrap_or_default() {
            match entry.d_tag.get(endian) {
                DT_RELA => address = Some(usize::try_from(entry.d_val.get(endian))?),
                DT_RELASZ => length = usize::try_from(entry.d_val.get(endian))?,
                _ => {}
            }
        }
    }
    let range = address.map(|address| Some(address..address.checked_add(length)?));
    range.map(|range| range.context("its relocations lie outside of it")).transpose()
}

/// Whether the program was linked with a Hermit kernel whose entry protocol the loader speaks.
fn check_note(file: &ElfFile64<'_, Endianness>, elf: &[u8]) -> Result<()> {
    let (endian, (name, kind, version)) = (file.endian(), ENTRY_NOTE);
    for segment in file.elf_program_headers() {
        let Some(mut notes) = segment.notes(endian, elf)? else { continue };
        while let Some(note) = notes.next()? {
            if note.name() == name && note.n_type(endian).0 == kind {
                let found = note.desc().first().copied();
                ensure!(found == Some(version), "its kernel's entry protocol is {found:?}, not {version}");
                return Ok(());
            }
        }
    }
    bail!("it was not linked with the Hermit kernel")
}

#[cfg(test)]
mod tests;
