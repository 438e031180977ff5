//! The kernel's heap as Rust's global allocator.
//!
//! Has no limits of its own: the services' buffers and tables have theirs.

use core::alloc::{GlobalAlloc, Layout};

struct KernelHeap;

// SAFETY: the kernel's allocator takes and gives memory exactly by the contract of `GlobalAlloc`: it
// honours size and alignment, answers null when it has none, and never unwinds.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller gives a layout of non-zero size.
        unsafe { hermit_abi::alloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller gives a pointer of ours with the layout it was allocated with.
        unsafe { hermit_abi::dealloc(pointer, layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as for `dealloc`, and the new size is not zero.
        unsafe { hermit_abi::realloc(pointer, layout.size(), layout.align(), new_size) }
    }
}

#[global_allocator]
static HEAP: KernelHeap = KernelHeap;
