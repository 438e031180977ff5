//! The layout of a bootable file: an ELF file with the loader, the parts of a program, and a PVH note.
//!
//! QEMU's `-kernel` reads it: it loads each segment to its physical address, and starts at the entry in the note. It
//! reads nothing else in the file.

use object::elf::{
    ELFCLASS64, ELFDATA2LSB, ELFMAG, ELFOSABI_NONE, EM_X86_64, ET_EXEC, EV_CURRENT, FileFlags, FileHeader64,
    Ident, PF_R, PF_W, PF_X, PT_LOAD, PT_NOTE, ProgramHeader64, ProgramType, SHN_UNDEF,
};
use object::{LittleEndian, pod};

use crate::image::loader::Loader;
use crate::image::program::Program;

type FileHeader = FileHeader64<LittleEndian>;
type SegmentHeader = ProgramHeader64<LittleEndian>;

/// Length of the loader's PVH note, which lies at its beginning: three words, a name and an address.
const NOTE_BYTES: usize = 20;

/// A part of the file: where it goes in memory, its bytes, and how much memory it takes.
#[derive(Clone, Copy)]
struct Piece<'a> {
    address: u64,
    bytes: &'a [u8],
    memory_bytes: u64,
}

/// The bootable file of a loader and a program.
pub fn assemble(loader: &Loader, program: &Program) -> Vec<u8> {
    let bytes = loader.handed_over(program);
    let mut pieces = vec![Piece { address: loader.start, bytes: &bytes, memory_bytes: loader.memory_bytes }];
    let stored = program.pieces();
    for (index, range) in stored.iter().enumerate() {
        // Up to the next piece the memory is zero, and QEMU sees to it.
        let end = stored.get(index + 1).map_or(program.end, |next| program.start + next.start as u64);
        let address = program.start + range.start as u64;
        pieces.push(Piece { address, bytes: &program.bytes[range.clone()], memory_bytes: end - address });
    }
    elf_file(loader.entry, &pieces)
}

fn elf_file(entry: u64, pieces: &[Piece<'_>]) -> Vec<u8> {
    let segments = pieces.len() + 1;
    let mut offset = (size_of::<FileHeader>() + segments * size_of::<SegmentHeader>()) as u64;
    let mut file = pod::bytes_of(&file_header(entry, segments as u16)).to_vec();
    let note_bytes = &pieces[0].bytes[..NOTE_BYTES.min(pieces[0].bytes.len())];
    let note = Piece { bytes: note_bytes, memory_bytes: note_bytes.len() as u64, ..pieces[0] };
    file.extend(pod::bytes_of(&segment_header(PT_NOTE, offset, 4, &note)));
    for piece in pieces {
        file.extend(pod::bytes_of(&segment_header(PT_LOAD, offset, 1, piece)));
        offset += piece.bytes.len() as u64;
    }
    pieces.iter().for_each(|piece| file.extend(piece.bytes));
    file
}

fn file_header(entry: u64, segments: u16) -> FileHeader {
    let e_ident = Ident {
        magic: ELFMAG,
        class: ELFCLASS64,
        data: ELFDATA2LSB,
        version: EV_CURRENT,
        os_abi: ELFOSABI_NONE,
        abi_version: 0,
        padding: [0; 7],
    };
    FileHeader {
        e_ident,
        e_type: ET_EXEC.into(),
        e_machine: EM_X86_64.into(),
        e_version: u32::from(EV_CURRENT.0).into(),
        e_entry: entry.into(),
        e_phoff: (size_of::<FileHeader>() as u64).into(),
        e_shoff: 0.into(),
        e_flags: FileFlags(0).into(),
        e_ehsize: (size_of::<FileHeader>() as u16).into(),
        e_phentsize: (size_of::<SegmentHeader>() as u16).into(),
        e_phnum: segments.into(),
        e_shentsize: 0.into(),
        e_shnum: 0.into(),
        e_shstrndx: SHN_UNDEF.into(),
    }
}

fn segment_header(kind: ProgramType, offset: u64, align: u64, piece: &Piece<'_>) -> SegmentHeader {
    SegmentHeader {
        p_type: kind.into(),
        p_flags: (PF_R | PF_W | PF_X).into(),
        p_offset: offset.into(),
        p_vaddr: piece.address.into(),
        p_paddr: piece.address.into(),
        p_filesz: (piece.bytes.len() as u64).into(),
        p_memsz: piece.memory_bytes.into(),
        p_align: align.into(),
    }
}

#[cfg(test)]
mod tests {
    use object::{Object, ObjectSegment};

    use super::*;

    fn program(bytes: Vec<u8>, memory_bytes: u64) -> Program {
        Program { start: 0x20_0000, end: 0x20_0000 + memory_bytes, entry: 0x20_0004, tls: None, bytes }
    }

    fn segments(file: &[u8]) -> Vec<(u64, Vec<u8>, u64)> {
        let file = object::File::parse(file).expect("an ELF file");
        let of = |segment: object::Segment<'_, '_>| {
            (segment.address(), segment.data().expect("in the file").to_vec(), segment.size())
        };
        file.segments().map(of).collect()
    }

    #[test]
    fn long_zeros_are_left_to_the_memory() {
        let mut bytes = vec![1; 10];
        bytes.resize(10_000, 0);
        bytes.extend([2; 5]);
        let loader = Loader::for_tests(0x10_0000, vec![9; 128], 0x3000);
        let file = assemble(&loader, &program(bytes, 20_000));
        let segments = segments(&file);
        assert_eq!(segments.len(), 3);
        assert_eq!((segments[0].0, segments[0].2), (0x10_0000, 0x3000));
        assert_eq!(segments[1], (0x20_0000, vec![1; 10], 10_000));
        assert_eq!(segments[2], (0x20_0000 + 10_000, vec![2; 5], 10_000));
        assert!(file.len() < 1000, "{}", file.len());
    }

    #[test]
    fn the_loader_learns_where_the_program_is() {
        let loader = Loader::for_tests(0x10_0000, vec![9; 128], 0x3000);
        let file = assemble(&loader, &program(vec![1; 8], 8));
        let loader = &segments(&file)[0].1;
        let word = |at: usize| u64::from_le_bytes(loader[at..at + 8].try_into().expect("eight bytes"));
        assert_eq!([word(72), word(80), word(88), word(96)], [0x20_0004, 0x20_0000, 0x20_0008, 0]);
        assert_eq!(loader[..64], [9; 64]);
    }
}
