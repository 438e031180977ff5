//! Memory that virtio devices read and write.
//!
//! The image is loaded where virtual and physical addresses are the same, so statics serve as they
//! are. The heap is elsewhere and is never given to a device.

use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

/// Pages for the rings of all virtqueues.
const RING_PAGES: usize = 16;

/// Zeroed, page-aligned memory that lives as long as the machine.
#[repr(C, align(4096))]
pub struct DmaMemory<const BYTES: usize>(UnsafeCell<[u8; BYTES]>);

// SAFETY: every piece of it is handed out at most once.
unsafe impl<const BYTES: usize> Sync for DmaMemory<BYTES> {}

impl<const BYTES: usize> DmaMemory<BYTES> {
    /// For a static.
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; BYTES]))
    }

    /// Its first byte.
    pub fn start(&self) -> *mut u8 {
        self.0.get().cast()
    }
}

static RINGS: DmaMemory<{ RING_PAGES * PAGE_SIZE }> = DmaMemory::new();
static RING_PAGES_USED: AtomicUsize = AtomicUsize::new(0);

/// The identity-mapped image as `virtio-drivers` wants to see it.
pub struct IdentityMapped;

// SAFETY: pages come from a static that is page-aligned, zeroed and handed out once, at an address
// that the loader maps to itself; device memory below 4 GiB is mapped to itself as well.
unsafe impl Hal for IdentityMapped {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let first = RING_PAGES_USED.fetch_add(pages, Ordering::Relaxed);
        assert!(first + pages <= RING_PAGES, "{pages} more pages of rings do not fit in {RING_PAGES}");
        // SAFETY: the assertion keeps the offset within the static.
        let start = unsafe { NonNull::new_unchecked(RINGS.start().add(first * PAGE_SIZE)) };
        (start.addr().get() as PhysAddr, start)
    }

    /// Rings live as long as the machine.
    unsafe fn dma_dealloc(_address: PhysAddr, _start: NonNull<u8>, _pages: usize) -> i32 {
        0
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, _size: usize) -> NonNull<u8> {
        let pointer = core::ptr::with_exposed_provenance_mut(address as usize);
        NonNull::new(pointer).expect("a device's registers are not at address 0")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().expose_provenance().get() as PhysAddr
    }

    unsafe fn unshare(_address: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}
