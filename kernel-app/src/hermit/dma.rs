//! Memory that virtio devices read and write.
//!
//! The image is loaded where virtual and physical addresses are equal, so devices that every guest has use static
//! memory. Devices that only some guests have use memory from the heap, where the addresses differ; its physical
//! addresses are found in the processor's page tables.

use alloc::alloc::{Layout, alloc_zeroed};
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::page_tables::{map_device, physical_address};
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

/// Pages for the rings of a disk's virtqueue; a card brings its own (see `packet_ring`).
const RING_PAGES: usize = 2;

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
// that the loader maps to itself; device memory is mapped where it is said to be.
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

    unsafe fn mmio_phys_to_virt(address: PhysAddr, size: usize) -> NonNull<u8> {
        // `pci` has looked at every base address before a transport is made of it.
        map_device(address, size as u64).expect("a device's registers were mapped before")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().expose_provenance().get() as PhysAddr
    }

    unsafe fn unshare(_address: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}

/// A page of memory for a device.
#[repr(C, align(4096))]
pub struct Page([u8; PAGE_SIZE]);

impl core::ops::Deref for Page {
    type Target = [u8; PAGE_SIZE];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl core::ops::DerefMut for Page {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// Zeroed pages of the heap that are never given back: a device may have them at any time. None when
/// there is not enough memory. For a device, each page stands alone: two neighbours may be far apart.
pub fn heap_pages<const PAGES: usize>() -> Option<&'static mut [Page; PAGES]> {
    const { assert!(PAGES > 0) };
    // SAFETY: the layout is not empty.
    let start = unsafe { alloc_zeroed(Layout::new::<[Page; PAGES]>()) };
    // SAFETY: it is null, or zeroed memory of this layout that nobody else has, and that stays.
    unsafe { start.cast::<[Page; PAGES]>().as_mut() }
}

/// [`IdentityMapped`] for queues whose buffers lie in the heap, none of them across pages.
pub struct HeapMapped;

// SAFETY: rings are `IdentityMapped`'s; a buffer's address is what the processor itself would use.
unsafe impl Hal for HeapMapped {
    fn dma_alloc(pages: usize, direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        IdentityMapped::dma_alloc(pages, direction)
    }

    unsafe fn dma_dealloc(address: PhysAddr, start: NonNull<u8>, pages: usize) -> i32 {
        // SAFETY: the caller's promise is the same.
        unsafe { IdentityMapped::dma_dealloc(address, start, pages) }
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, size: usize) -> NonNull<u8> {
        // SAFETY: the caller's promise is the same.
        unsafe { IdentityMapped::mmio_phys_to_virt(address, size) }
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        let start = buffer.cast::<u8>().expose_provenance().get();
        debug_assert!(start / PAGE_SIZE == (start + buffer.len() - 1) / PAGE_SIZE);
        physical_address(start as u64)
    }

    unsafe fn unshare(_address: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}
