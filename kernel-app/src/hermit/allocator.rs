//! The global allocator: two-level segregated fit, in constant time, on memory from the kernel's heap.
//!
//! The kernel's own allocator walks its free chunks: in a store with some ten thousand votes, a push took 129,000
//! instructions, nearly all of them there. This allocator enforces no limits: the services' buffers and tables have
//! limits, and ask here whether memory is short. Memory is never returned to the kernel, because nothing else needs
//! it.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::Relaxed};

use rlsf::Tlsf;

use crate::connections::HeapUsage;

/// Least memory that is taken from the kernel at once.
const GROWTH_BYTES: usize = 256 * 1024;
/// Room for the allocator's own words around a block that is larger than that.
const OVERHEAD_BYTES: usize = 4 * 1024;
const PAGE_BYTES: usize = 4 * 1024;

/// Into how many a class of sizes is divided.
const DIVISIONS: usize = 16;

/// Blocks of up to 128 MiB in 22 classes of size.
type Blocks = Tlsf<'static, u32, u16, 22, DIVISIONS>;

/// The steps in which the kernel's memory is looked for: the first one finds the 4 GiB that the loader maps, each
/// further one is a digit smaller, and the last one is a page.
const BLOCK_STEP_MAX: usize = 1 << 28;
const BLOCK_STEP_RATIO: usize = 16;
/// What the kernel keeps of its heap.
const KERNEL_BYTES: usize = 128 * 1024;
/// The last reserve, enough for the steps between two looks at [`is_short`]: pieces for a buffer each.
/// Of one large piece, a heap in use for long might never be able to set it aside again.
/// Larger than a buffer of 64 KiB by a division of its class, from which on a block is looked for.
const RESERVE_PIECE_BYTES: usize = 72 * 1024;
const RESERVE_PIECES_MAX: usize = 4;
/// The part of the heap that the reserve may be.
const RESERVE_DIVISOR: usize = 16;

const RESERVE_PIECE: Layout = Layout::new::<[u64; RESERVE_PIECE_BYTES / 8]>();

struct Heap {
    blocks: UnsafeCell<Blocks>,
    /// Bytes that the kernel gave, and bytes that the program has asked for and not given back.
    total: AtomicUsize,
    used: AtomicUsize,
    /// Null where a piece is in use, and before there are any.
    reserve: [AtomicPtr<u8>; RESERVE_PIECES_MAX],
    /// How many of the pieces there are when all is well.
    reserve_pieces: AtomicUsize,
    /// Something of the reserve was given, and it has not been set aside in full again.
    reserve_given: AtomicBool,
}

// SAFETY: the program is the kernel's only task and runs on one processor. Interrupt handlers are the
// kernel's and use its own allocator; its symbols are separate from ours.
unsafe impl Sync for Heap {}

impl Heap {
    /// # Safety
    /// The reference must be gone before the next call; no method below keeps it.
    #[expect(clippy::mut_from_ref, reason = "one task, and the caller keeps the reference for one call")]
    unsafe fn blocks(&self) -> &mut Blocks {
        // SAFETY: see `Sync` above, and the caller's promise.
        unsafe { &mut *self.blocks.get() }
    }

    /// Takes more memory from the kernel; whether it had any.
    fn grow(&self, bytes: usize) -> bool {
        // A block is looked for from the next division of its class on, which may be that much larger.
        let bytes = bytes + bytes / DIVISIONS;
        self.add((bytes + OVERHEAD_BYTES).max(GROWTH_BYTES).next_multiple_of(PAGE_BYTES))
    }

    fn add(&self, bytes: usize) -> bool {
        // SAFETY: neither size nor alignment is zero.
        let start = unsafe { hermit_abi::alloc(bytes, PAGE_BYTES) };
        let Some(block) = NonNull::new(core::ptr::slice_from_raw_parts_mut(start, bytes)) else {
            return false;
        };
        // SAFETY: the kernel has just given this memory to us alone, and it is never given back.
        let added = !start.is_null() && unsafe { self.blocks().insert_free_block_ptr(block) }.is_some();
        if added {
            count(&self.total, 0, bytes);
        }
        added
    }

    /// Adds the reserve to what is free; whether there was anything of it.
    #[cold]
    fn give_reserve(&self) -> bool {
        self.reserve_given.store(true, Relaxed);
        let mut given = false;
        for piece in &self.reserve {
            if let Some(block) = NonNull::new(piece.swap(core::ptr::null_mut(), Relaxed)) {
                // SAFETY: `take_reserve` has allocated it so, and nobody has it any more.
                unsafe { self.blocks().deallocate(block, RESERVE_PIECE.align()) }
                given = true;
            }
        }
        given
    }

    /// Sets aside what is missing of the reserve; whether it is complete.
    #[cold]
    fn take_reserve(&self) -> bool {
        let pieces = self.reserve_pieces.load(Relaxed);
        let complete = self.reserve.iter().take(pieces).all(|piece| {
            if piece.load(Relaxed).is_null() {
                // SAFETY: the reference lives for this expression.
                let block = unsafe { self.blocks() }.allocate(RESERVE_PIECE);
                piece.store(block.map_or(core::ptr::null_mut(), NonNull::as_ptr), Relaxed);
            }
            !piece.load(Relaxed).is_null()
        });
        self.reserve_given.store(!complete, Relaxed);
        complete
    }
}

// SAFETY: TLSF honours size and alignment, gives each byte to one owner at a time, and never unwinds.
unsafe impl GlobalAlloc for Heap {
    // Not inlined, like the two below: there are too many places for that, and few are met per request.
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the reference lives for this expression.
        let allocate = || unsafe { self.blocks() }.allocate(layout);
        let grown = || self.grow(layout.size() + layout.align()).then(allocate).flatten();
        let reserved = || self.give_reserve().then(allocate).flatten();
        let block = allocate().or_else(grown).or_else(reserved);
        count(&self.used, 0, if block.is_some() { layout.size() } else { 0 });
        block.map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    #[inline(never)]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(pointer) = NonNull::new(pointer) {
            count(&self.used, layout.size(), 0);
            // SAFETY: the caller gives a pointer of ours with the layout it was allocated with.
            unsafe { self.blocks().deallocate(pointer, layout.align()) }
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let (Some(old), Ok(wanted)) =
            (NonNull::new(pointer), Layout::from_size_align(new_size, layout.align()))
        else {
            return core::ptr::null_mut();
        };
        // SAFETY: the caller gives a pointer of ours with the layout it was allocated with; the
        // reference lives for this expression.
        let reallocate = || unsafe { self.blocks().reallocate(old, wanted) };
        let grown = || self.grow(new_size + layout.align()).then(reallocate).flatten();
        let reserved = || self.give_reserve().then(reallocate).flatten();
        let block = reallocate().or_else(grown).or_else(reserved);
        if block.is_some() {
            count(&self.used, layout.size(), new_size);
        }
        block.map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }
}

#[global_allocator]
static HEAP: Heap = Heap {
    blocks: UnsafeCell::new(Blocks::new()),
    total: AtomicUsize::new(0),
    used: AtomicUsize::new(0),
    reserve: [const { AtomicPtr::new(core::ptr::null_mut()) }; RESERVE_PIECES_MAX],
    reserve_pieces: AtomicUsize::new(0),
    reserve_given: AtomicBool::new(false),
};

/// Takes what the kernel has, in one piece so that large blocks are found in it, and sets the reserve
/// aside. Returns how many bytes there are.
pub fn claim() -> usize {
    let bytes = largest_block().saturating_sub(KERNEL_BYTES) & !(PAGE_BYTES - 1);
    // Without it, allocations take small pieces from the kernel as they come.
    let claimed = bytes > 0 && HEAP.add(bytes);
    let pieces = bytes / RESERVE_DIVISOR / RESERVE_PIECE_BYTES;
    HEAP.reserve_pieces.store(pieces.min(RESERVE_PIECES_MAX), Relaxed);
    if claimed && HEAP.take_reserve() { bytes } else { 0 }
}

/// The largest block that the kernel has, digit by digit from above. A block that it gives makes it write down what is
/// left behind it, and the host gives memory to what is written, 2 MiB of it where it has large pages. So a half is not
/// asked for first, nor a quarter: what is refused is not written.
fn largest_block() -> usize {
    let (mut found, mut step) = (0, BLOCK_STEP_MAX);
    while step >= PAGE_BYTES {
        let mut wanted = found + (BLOCK_STEP_RATIO - 1) * step;
        while wanted > found && !has_block(wanted) {
            wanted -= step;
        }
        (found, step) = (wanted, step / BLOCK_STEP_RATIO);
    }
    found
}

/// Whether the kernel has a block of this size.
#[inline(never)]
fn has_block(bytes: usize) -> bool {
    // SAFETY: neither size nor alignment is zero.
    let start = unsafe { hermit_abi::alloc(bytes, PAGE_BYTES) };
    if !start.is_null() {
        // SAFETY: this is the block of the line above, which nobody else knows of.
        unsafe { hermit_abi::dealloc(start, bytes, PAGE_BYTES) };
    }
    !start.is_null()
}

/// Takes `gone` from a number and adds `come`. Not in one atomic step, which would cost more: the program is
/// the only task.
fn count(bytes: &AtomicUsize, gone: usize, come: usize) {
    bytes.store(bytes.load(Relaxed).wrapping_sub(gone).wrapping_add(come), Relaxed);
}

/// How much of the heap is in use, without what the allocator itself takes for each block.
pub fn usage() -> HeapUsage {
    let used_bytes = HEAP.used.load(Relaxed);
    HeapUsage { used_bytes, free_bytes: HEAP.total.load(Relaxed).saturating_sub(used_bytes) }
}

/// Whether only the reserve was left at some time, and is still not free again.
pub fn is_short() -> bool {
    HEAP.reserve_given.load(Relaxed) && !HEAP.take_reserve()
}
