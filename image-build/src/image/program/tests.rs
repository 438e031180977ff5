//! Programs made byte by byte: what is placed, what is relocated, and what is refused.

use object::elf::{
    ELFCLASS64, ELFDATA2LSB, ELFMAG, ELFOSABI_NONE, EV_CURRENT, FileFlags, FileHeader64, Ident, Machine,
    PF_R, PT_DYNAMIC, PT_NOTE, ProgramType, SHN_UNDEF,
};
use object::pod::bytes_of;

use crate::image::program::*;

const START: u64 = 0x20_0000;
/// Where the contents begin in the file; addresses in memory are the same.
const NOTE_AT: usize = 0x400;
const DYNAMIC_AT: usize = 0x500;
const RELOCATIONS_AT: usize = 0x600;
const DATA_AT: usize = 0x700;
const FILE_BYTES: usize = 0x800;
const MEMORY_BYTES: u64 = 0x3000;
const TLS_AT: u64 = 0x710;

/// What a test changes in a well-formed program.
struct Parts {
    machine: Machine,
    entry: u64,
    note_version: u8,
    relocation_kind: u32,
    relocated_at: u64,
    addend: i64,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            machine: EM_X86_64,
            entry: DATA_AT as u64,
            note_version: 4,
            relocation_kind: R_X86_64_RELATIVE.0,
            relocated_at: DATA_AT as u64 + 8,
            addend: 0x1234,
        }
    }
}

impl Parts {
    fn elf(&self) -> Vec<u8> {
        let mut file = vec![0; FILE_BYTES];
        let header = self.header();
        let segments = [
            segment(PT_LOAD, 0, FILE_BYTES as u64, MEMORY_BYTES),
            segment(PT_NOTE, NOTE_AT as u64, 24, 24),
            segment(PT_DYNAMIC, DYNAMIC_AT as u64, 48, 48),
            segment(PT_TLS, TLS_AT, 4, 12),
        ];
        put(&mut file, 0, bytes_of(&header));
        for (index, segment) in segments.iter().enumerate() {
            put(&mut file, size_of_val(&header) + index * size_of_val(segment), bytes_of(segment));
        }
        put(&mut file, NOTE_AT, &words32(&[7, 1, 0x5a00]));
        put(&mut file, NOTE_AT + 12, b"HERMIT\0\0");
        file[NOTE_AT + 20] = self.note_version;
        put(&mut file, DYNAMIC_AT, &words64(&[7, RELOCATIONS_AT as u64, 8, 24, 0, 0]));
        let kind = u64::from(self.relocation_kind);
        put(&mut file, RELOCATIONS_AT, &words64(&[self.relocated_at, kind, self.addend as u64]));
        put(&mut file, DATA_AT, &words64(&[0x1111, 0, 0x2222]));
        file
    }

    fn header(&self) -> FileHeader64<Endianness> {
        let little = Endianness::Little;
        let ident = Ident {
            magic: ELFMAG,
            class: ELFCLASS64,
            data: ELFDATA2LSB,
            version: EV_CURRENT,
            os_abi: ELFOSABI_NONE,
            abi_version: 0,
            padding: [0; 7],
        };
        let half = |value: u16| object::U16::new(little, value);
        let word = |value: u64| object::U64::new(little, value);
        FileHeader64 {
            e_ident: ident,
            e_type: object::U16::new(little, ET_DYN),
            e_machine: object::U16::new(little, self.machine),
            e_version: object::U32::new(little, 1),
            e_entry: word(self.entry),
            e_phoff: word(64),
            e_shoff: word(0),
            e_flags: object::U32::new(little, FileFlags(0)),
            e_ehsize: half(64),
            e_phentsize: half(56),
            e_phnum: half(4),
            e_shentsize: half(0),
            e_shnum: half(0),
            e_shstrndx: object::U16::new(little, SHN_UNDEF),
        }
    }

    fn place(&self) -> Result<Program> {
        Program::place(&self.elf(), START)
    }

    fn refusal(&self) -> String {
        self.place().expect_err("it must be refused").to_string()
    }
}

fn segment(kind: ProgramType, at: u64, file_bytes: u64, memory_bytes: u64) -> Segment {
    let little = Endianness::Little;
    let word = |value: u64| object::U64::new(little, value);
    ProgramHeader64 {
        p_type: object::U32::new(little, kind),
        p_flags: object::U32::new(little, PF_R),
        p_offset: word(at),
        p_vaddr: word(at),
        p_paddr: word(at),
        p_filesz: word(file_bytes),
        p_memsz: word(memory_bytes),
        p_align: word(4),
    }
}

fn words32(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn words64(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

#[test]
fn addresses_are_moved_to_where_the_program_lies() {
    let program = Parts::default().place().expect("well formed");
    assert_eq!((program.start, program.end), (START, START + MEMORY_BYTES));
    assert_eq!(program.entry, START + DATA_AT as u64);
    assert_eq!(program.bytes[DATA_AT..], words64(&[0x1111, START + 0x1234, 0x2222])[..18]);
    let tls = Tls { start: START + TLS_AT, file_bytes: 4, memory_bytes: 12, align: 4 };
    assert_eq!(program.tls, Some(tls));
}

#[test]
fn relocations_are_not_kept() {
    let program = Parts::default().place().expect("well formed");
    assert_eq!(program.bytes[RELOCATIONS_AT..DATA_AT], [0; DATA_AT - RELOCATIONS_AT]);
}

#[test]
fn what_cannot_run_is_refused_with_the_reason() {
    let aarch64 = Parts { machine: object::elf::EM_AARCH64, ..Parts::default() };
    assert_eq!(aarch64.refusal(), "it is not for x86-64");
    let old = Parts { note_version: 3, ..Parts::default() };
    assert_eq!(old.refusal(), "its kernel's entry protocol is Some(3), not 4");
    let symbolic = Parts { relocation_kind: 6, ..Parts::default() };
    assert_eq!(symbolic.refusal(), "it has a relocation of type 6 that is not relative");
    let entry = Parts { entry: MEMORY_BYTES, ..Parts::default() };
    assert_eq!(entry.refusal(), "its entry point lies outside of it");
}

#[test]
fn places_outside_of_the_program_are_refused() {
    for at in [MEMORY_BYTES - 7, MEMORY_BYTES, u64::MAX - 3, u64::MAX] {
        let parts = Parts { relocated_at: at, ..Parts::default() };
        assert_eq!(parts.refusal(), "a relocation lies outside of it", "{at:#x}");
    }
    let last = Parts { relocated_at: MEMORY_BYTES - 8, ..Parts::default() };
    assert_eq!(last.place().expect("well formed").bytes.len() as u64, MEMORY_BYTES - 5);
}

#[test]
fn no_damage_makes_it_panic() {
    let elf = Parts::default().elf();
    for length in 0..elf.len() {
        let _ = Program::place(&elf[..length], START);
    }
    // Every byte of the headers and tables, at both extremes.
    for at in 0..DATA_AT {
        for value in [0x00, 0x7f, 0xff] {
            let mut damaged = elf.clone();
            damaged[at] = value;
            let _ = Program::place(&damaged, START);
        }
    }
}

#[test]
fn a_program_of_the_host_is_refused() {
    let own = std::fs::read(std::env::current_exe().expect("this test")).expect("readable");
    let error = Program::place(&own, START).expect_err("no unikernel").to_string();
    assert!(
        error.contains("not linked with the Hermit kernel") || error.contains("not for x86-64"),
        "{error}"
    );
}
