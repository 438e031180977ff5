//! The processor's page tables after the kernel's start: where memory is mapped, which of it is code, and mappings
//! for devices that the loader has not mapped.
//!
//! The loader maps the memory below 4 GiB to equal virtual and physical addresses. Reference: Intel SDM volume 3,
//! section 5.5 (4-level paging).

use core::arch::asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Levels of the page tables, and how many bits of an address choose an entry of each.
const TABLE_LEVELS: u32 = 4;
const TABLE_BITS: u32 = 9;
const PAGE_BITS: u32 = 12;
const ENTRIES: usize = 1 << TABLE_BITS;
/// Bytes of a page.
pub const PAGE_BYTES: u64 = 1 << PAGE_BITS;
const LARGE_PAGE_BYTES: u64 = PAGE_BYTES << TABLE_BITS;
/// An entry's table or page, without the flags around it.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
/// A device's registers: neither cached nor written later.
const UNCACHED: u64 = 1 << 3 | 1 << 4;
/// The entry is not of a table but of a large page.
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;

/// Below it, what is mapped is mapped to itself: by the loader all of it, by uhyve the machine's memory.
const IDENTITY_END: u64 = 1 << 32;
/// Where devices above it appear: far below the kernel's own addresses, which begin at 64 TiB.
const WINDOW: u64 = 32 << 40;

/// One table.
#[repr(C, align(4096))]
struct Table(UnsafeCell<[u64; ENTRIES]>);

// SAFETY: the program is the kernel's only task on the one processor; whoever else reads a table is the processor.
unsafe impl Sync for Table {}

impl Table {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; ENTRIES]))
    }

    /// Its physical address, which equals the virtual one.
    fn address(&self) -> u64 {
        self.0.get().expose_provenance() as u64
    }
}

/// Tables of the window: one of 1 GiB pieces, one of large pages.
static WINDOW_POINTERS: Table = Table::new();
static WINDOW_PAGES: Table = Table::new();
static WINDOW_USED: AtomicUsize = AtomicUsize::new(0);

/// Tables for the large pages in which the image has code or constants.
const IMAGE_TABLES: usize = 4;
static IMAGE: [Table; IMAGE_TABLES] = [const { Table::new() }; IMAGE_TABLES];

unsafe extern "C" {
    /// First byte of the image, from the linker: its ELF header.
    static __executable_start: u8;
}

/// The table that the processor uses.
fn root() -> u64 {
    let root: u64;
    // SAFETY: reading the register changes nothing, and the program runs in the kernel's ring.
    unsafe { asm!("mov {}, cr3", out(reg) root, options(nomem, nostack, preserves_flags)) }
    root & ADDRESS
}

/// Forgets what the processor remembers of the tables.
fn flush() {
    // SAFETY: the same tables stay in use, and none of the pages is global.
    unsafe { asm!("mov {0}, cr3", "mov cr3, {0}", out(reg) _, options(nostack, preserves_flags)) }
}

/// An entry of a table.
fn entry(table: u64, index: usize) -> &'static AtomicU64 {
    let entries = core::ptr::with_exposed_provenance::<AtomicU64>((table & ADDRESS) as usize);
    // SAFETY: the kernel's tables and ours lie in memory below 4 GiB, which the loader maps to itself and which stays
    // a table's. The processor's accesses are atomic.
    unsafe { &*entries.add(index % ENTRIES) }
}

fn index(address: u64, level: u32) -> usize {
    (address >> (PAGE_BITS + TABLE_BITS * level)) as usize % ENTRIES
}

/// Whether there is memory, or a device, at an address.
pub fn is_mapped(address: u64) -> bool {
    let mut table = root();
    for level in (0..TABLE_LEVELS).rev() {
        let entry = entry(table, index(address, level)).load(Ordering::Relaxed);
        if entry & PRESENT == 0 {
            return false;
        }
        if level > 0 && entry & LARGE != 0 {
            break;
        }
        table = entry;
    }
    true
}

/// Where a device's registers can be reached; none when the window is full.
pub fn map_device(physical: u64, bytes: u64) -> Option<usize> {
    let end = physical.checked_add(bytes)?;
    if end <= IDENTITY_END && is_mapped(physical) && is_mapped(end - 1) {
        return Some(physical as usize);
    }
    let first = physical & !(LARGE_PAGE_BYTES - 1);
    let pages = usize::try_from((end - first).div_ceil(LARGE_PAGE_BYTES)).ok()?;
    let start = mapped_already(first, pages).or_else(|| map_pages(first, pages))?;
    Some((WINDOW + start as u64 * LARGE_PAGE_BYTES + (physical - first)) as usize)
}

/// The window's first page of these, if it has them in a row.
fn mapped_already(first: u64, pages: usize) -> Option<usize> {
    let used = WINDOW_USED.load(Ordering::Relaxed);
    let is_page = |page: usize, address: u64| {
        entry(WINDOW_PAGES.address(), page).load(Ordering::Relaxed) & ADDRESS == address
    };
    (0..used.saturating_sub(pages - 1))
        .find(|start| (0..pages).all(|page| is_page(start + page, first + page as u64 * LARGE_PAGE_BYTES)))
}

fn map_pages(first: u64, pages: usize) -> Option<usize> {
    let start = WINDOW_USED.load(Ordering::Relaxed);
    let end = start.checked_add(pages).filter(|end| *end <= ENTRIES)?;
    WINDOW_USED.store(end, Ordering::Relaxed);
    for page in 0..pages {
        let address = first + page as u64 * LARGE_PAGE_BYTES;
        let flags = PRESENT | WRITABLE | UNCACHED | LARGE | NO_EXECUTE;
        entry(WINDOW_PAGES.address(), start + page).store(address | flags, Ordering::Relaxed);
    }
    let link = |table: &Table| table.address() | PRESENT | WRITABLE;
    entry(WINDOW_POINTERS.address(), index(WINDOW, 2)).store(link(&WINDOW_PAGES), Ordering::Relaxed);
    entry(root(), index(WINDOW, 3)).store(link(&WINDOW_POINTERS), Ordering::Relaxed);
    flush();
    Some(start)
}

/// Takes the rights away that no memory needs: code and constants cannot be written, nothing else can be executed,
/// and page 0 is no memory, so that a null pointer faults. Whether the image's own headers could be read.
#[cold]
pub fn protect() -> bool {
    let image = (&raw const __executable_start).expose_provenance() as u64;
    let Some(segments) = Segments::of(image) else { return false };
    let pointers = entry(root(), 0).load(Ordering::Relaxed);
    let own = index(image, 2);
    let directory = entry(pointers, own).load(Ordering::Relaxed);
    (0..4).filter(|piece| *piece != own).for_each(|piece| forbid(entry(pointers, piece)));
    let read_only = segments.read_only_end().next_multiple_of(LARGE_PAGE_BYTES);
    let (first, last) = (index(image, 1), index(read_only - 1, 1));
    if last - first >= IMAGE_TABLES {
        return false;
    }
    for large in 0..ENTRIES {
        match large.checked_sub(first).filter(|_| large <= last) {
            None => forbid(entry(directory, large)),
            Some(table) => {
                let table = &IMAGE[table];
                segments.fill(table, large as u64 * LARGE_PAGE_BYTES);
                entry(directory, large).store(table.address() | PRESENT | WRITABLE, Ordering::Relaxed);
            }
        }
    }
    let lowest = entry(directory, 0).load(Ordering::Relaxed);
    if own == 0 && lowest & PRESENT != 0 && lowest & LARGE == 0 {
        entry(lowest, 0).store(0, Ordering::Relaxed);
    }
    flush();
    true
}

/// Nothing in what the entry maps can be executed.
fn forbid(entry: &AtomicU64) {
    entry.store(entry.load(Ordering::Relaxed) | NO_EXECUTE, Ordering::Relaxed);
}

/// The image's segments, from its ELF header in memory.
struct Segments {
    image: u64,
    headers: &'static [[u64; 7]],
}

/// Offsets in the ELF header: of the program headers' place, and of their size and number.
const ELF_HEADERS: usize = 32;
const ELF_HEADER_BYTES: usize = 54;
const ELF_BYTES: usize = 64;
/// Program header: types of memory, and of memory that is constant once it is relocated, which the host tool has
/// done. Flags are in the upper half of the first word.
const LOAD: u32 = 1;
const RELOCATED: u32 = 0x6474_e552;
const FLAG_EXECUTE: u64 = 1 << 32;
const FLAG_WRITE: u64 = 2 << 32;

impl Segments {
    fn of(image: u64) -> Option<Self> {
        let start = core::ptr::with_exposed_provenance::<u8>(image as usize);
        // SAFETY: the image is longer than an ELF header, and nothing writes its first page.
        let header = unsafe { core::slice::from_raw_parts(start, ELF_BYTES) };
        let number = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let offset = usize::from(header[ELF_HEADERS]);
        let fits = header.starts_with(b"\x7fELF") && number(ELF_HEADER_BYTES) == size_of::<[u64; 7]>();
        let in_place =
            offset.is_multiple_of(8) && offset + number(ELF_HEADER_BYTES + 2) * 56 <= PAGE_BYTES as usize;
        // SAFETY: the headers lie in the image's first page, aligned, as was just checked.
        (fits && in_place).then(|| unsafe {
            let headers = core::slice::from_raw_parts(start.add(offset).cast(), number(ELF_HEADER_BYTES + 2));
            Self { image, headers }
        })
    }

    /// First and last address behind each segment of a type, in whole pages, with its rights.
    fn ranges(&self, kind: u32) -> impl Iterator<Item = (u64, u64, u64)> {
        let loaded = self.headers.iter().filter(move |header| header[0] as u32 == kind);
        loaded.map(|[flags, _, address, _, _, bytes, _]| {
            let start = self.image + address;
            (start & !(PAGE_BYTES - 1), (start + bytes).next_multiple_of(PAGE_BYTES), *flags)
        })
    }

    /// The end of the last segment that is not to be written.
    fn read_only_end(&self) -> u64 {
        let read_only = self.ranges(LOAD).filter(|(_, _, flags)| flags & FLAG_WRITE == 0);
        let read_only = read_only.chain(self.ranges(RELOCATED));
        read_only.map(|(_, end, _)| end).max().unwrap_or(self.image)
    }

    /// The entries of a large page's pages: writable where memory is free, else by the segments, none of which
    /// shares a page with another.
    fn fill(&self, table: &Table, start: u64) {
        let set = |address: u64, rights: u64| {
            let writable = if rights & FLAG_WRITE != 0 { WRITABLE } else { 0 };
            let executable = if rights & FLAG_EXECUTE != 0 { 0 } else { NO_EXECUTE };
            let flags = PRESENT | writable | executable;
            entry(table.address(), index(address, 0)).store(address | flags, Ordering::Relaxed);
        };
        let pages = |start: u64, end: u64| (start..end).step_by(PAGE_BYTES as usize);
        let large_end = start + LARGE_PAGE_BYTES;
        pages(start, large_end).for_each(|page| set(page, FLAG_WRITE));
        let relocated = self.ranges(RELOCATED).map(|(start, end, _)| (start, end, 0));
        for (from, to, rights) in self.ranges(LOAD).chain(relocated) {
            pages(from.max(start), to.min(large_end)).for_each(|page| set(page, rights));
        }
    }
}
