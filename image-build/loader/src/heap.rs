//! Memory for the device tree and the boot information: a fixed area that is never freed.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Room for it all. The device tree takes some hundred bytes and a command line, which at most 4 KiB of text become
/// 12 KiB of; each vector that grows leaves as much behind at each doubling.
const HEAP_BYTES: usize = 128 * 1024;

#[repr(align(16))]
struct Memory(UnsafeCell<[u8; HEAP_BYTES]>);

// SAFETY: the allocator hands out each byte once, and there is one processor.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new([0; HEAP_BYTES]));
static USED_BYTES: AtomicUsize = AtomicUsize::new(0);

struct Bump;

#[global_allocator]
static ALLOCATOR: Bump = Bump;

// SAFETY:
// - every block lies in MEMORY, begins after the one before it ended, and is aligned as asked;
// - blocks are never handed out again, so `dealloc` has nothing to do.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let memory = MEMORY.0.get().cast::<u8>();
        let start = memory.addr() + USED_BYTES.load(Ordering::Relaxed);
        let offset = start.next_multiple_of(layout.align()) - memory.addr();
        let Some(end) = offset.checked_add(layout.size()).filter(|end| *end <= HEAP_BYTES) else {
            return ptr::null_mut();
        };
        USED_BYTES.store(end, Ordering::Relaxed);
        memory.wrapping_add(offset)
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}
}
