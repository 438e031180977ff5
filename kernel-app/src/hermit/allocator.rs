//! The global allocator: two-level segregated fit, in constant time, on memory from the kernel's heap.
//!
//! The kernel's own allocator walks its free chunks: with a store of some ten thousand votes a push
//! cost 129,000 instructions, nearly all of them there. It has no limits of its own: the services'
//! buffers and tables have theirs. Memory is not given back to the kernel, nobody else wants it.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::NonNull;

use rlsf::Tlsf;

/// Least memory that is taken from the kernel at once.
const GROWTH_BYTES: usize = 256 * 1024;
/// Room for the allocator's own words around a block that is larger than that.
const OVERHEAD_BYTES: usize = 4 * 1024;
const PAGE_BYTES: usize = 4 * 1024;

/// Into how many a class of sizes is divided.
const DIVISIONS: usize = 16;

/// Blocks of up to 128 MiB in 22 classes of size.
type Blocks = Tlsf<'static, u32, u16, 22, DIVISIONS>;

struct Heap(UnsafeCell<Blocks>);

// SAFETY: the program is the kernel's only task and runs on one processor. Interrupt handlers are the
// kernel's and use its own allocator; its symbols are separate from ours.
unsafe impl Sync for Heap {}

impl Heap {
    /// # Safety
    /// The reference must be gone before the next call; no method below keeps it.
    #[expect(clippy::mut_from_ref, reason = "one task, and the caller keeps the reference for one call")]
    unsafe fn blocks(&self) -> &mut Blocks {
        // SAFETY: see `Sync` above, and the caller's promise.
        unsafe { &mut *self.0.get() }
    }

    /// Takes more memory from the kernel; whether it had any.
    fn grow(&self, bytes: usize) -> bool {
        // A block is looked for from the next division of its class on, which may be that much larger.
        let bytes = bytes + bytes / DIVISIONS;
        let bytes = (bytes + OVERHEAD_BYTES).max(GROWTH_BYTES).next_multiple_of(PAGE_BYTES);
        // SAFETY: neither size nor alignment is zero.
        let start = unsafe { hermit_abi::alloc(bytes, PAGE_BYTES) };
        let Some(block) = NonNull::new(core::ptr::slice_from_raw_parts_mut(start, bytes)) else {
            return false;
        };
        // SAFETY: the kernel has just given this memory to us alone, and it is never given back.
        !start.is_null() && unsafe { self.blocks().insert_free_block_ptr(block) }.is_some()
    }
}

// SAFETY: TLSF honours size and alignment, gives each byte to one owner at a time, and never unwinds.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the reference lives for this expression.
        let allocate = || unsafe { self.blocks() }.allocate(layout);
        let grown = || self.grow(layout.size() + layout.align()).then(allocate).flatten();
        allocate().or_else(grown).map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(pointer) = NonNull::new(pointer) {
            // SAFETY: the caller gives a pointer of ours with the layout it was allocated with.
            unsafe { self.blocks().deallocate(pointer, layout.align()) }
        }
    }

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
        reallocate().or_else(grown).map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }
}

#[global_allocator]
static HEAP: Heap = Heap(UnsafeCell::new(Blocks::new()));
