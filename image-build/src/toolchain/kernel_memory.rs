//! How the kernel divides the machine's memory: the edits of its sources that leave a program more of it.
//!
//! As it is, the kernel keeps 4 MiB and a tenth of the rest to itself, and makes its heap of whole 2 MiB. In a machine
//! of 12 MiB that leaves a program 2, in one of 11 none.

/// Old text and new, in the order of the sources (`mm/mod.rs`, then `arch/x86_64/kernel/scheduler.rs`).
pub const EDITS: [[&str; 2]; 9] = [
    // What the kernel takes besides its heap, once that is there: the stacks of its one task, and pages for tables.
    [
        "+ 2 * LargePageSize::SIZE as usize;",
        "+ TASK_STACKS_SIZE + SPARE_SIZE;
\tconst TASK_STACKS_SIZE: usize =
\t\tcrate::config::USER_STACK_SIZE + crate::config::DEFAULT_STACK_SIZE + arch::kernel::interrupts::IST_SIZE;
\tconst SPARE_SIZE: usize = 0x1_0000;
\tconst SMALL_HEAP_SIZE: usize = 4 * LargePageSize::SIZE as usize;",
    ],
    // No machine here has more than 2 GiB, and pages of 2 MiB map those in a thousand steps. The code for pages of
    // 1 GiB would be in every image.
    ["let has_1gib_pages = arch::processor::supports_1gib_pages();", "let has_1gib_pages = false;"],
    // Small pages for the end of a small heap: in a larger one, what is left of 2 MiB is not worth the time that
    // mapping it takes at boot. And the stacks are one piece of memory, taken after the heap: its place is kept free at
    // the end of memory, where the host has given some for the ACPI tables already.
    [
        ".align_down(LargePageSize::SIZE as usize);

\tlet mut map_addr;",
        ".align_down(BasePageSize::SIZE as usize);
\tlet avail_mem = if avail_mem < SMALL_HEAP_SIZE {
\t\tavail_mem
\t} else {
\t\tavail_mem.align_down(LargePageSize::SIZE as usize)
\t};
\tlet memory_end = env::boot_info().hardware_info.phys_addr_range.end as usize;
\tlet memory_end = memory_end.align_down(BasePageSize::SIZE as usize);
\tlet stacks = free_list::PageRange::from_start_len(memory_end - TASK_STACKS_SIZE, TASK_STACKS_SIZE).ok();
\tlet stacks = stacks.filter(|stacks| physicalmem::PHYSICAL_FREE_LIST.lock().allocate_at(*stacks).is_ok());

\tlet mut map_addr;",
    ],
    ["let stack_reserve: usize = (avail_mem * 10) / 100;", "let stack_reserve: usize = 0;"],
    ["(avail_mem - stack_reserve).align_down(LargePageSize::SIZE as usize);", "avail_mem - stack_reserve;"],
    // Addresses are given out in multiples of what they are aligned to.
    [
        "arch::mm::virtualmem::allocate_aligned(virt_size, LargePageSize::SIZE as usize)",
        "arch::mm::virtualmem::allocate_aligned(
\t\t\t\tvirt_size.align_up(LargePageSize::SIZE as usize),
\t\t\t\tLargePageSize::SIZE as usize,
\t\t\t)",
    ],
    [
        "if map_size > BasePageSize::SIZE as usize && map_addr.is_aligned_to(BasePageSize::SIZE) {",
        "if avail_mem < SMALL_HEAP_SIZE && map_size > BasePageSize::SIZE as usize {",
    ],
    [
        "let heap_end_addr = map_addr;",
        "let heap_end_addr = map_addr;
\tif let Some(stacks) = stacks {
\t\t// SAFETY: it was taken from the list above, and nobody has been told of it.
\t\tlet _ = unsafe { physicalmem::PHYSICAL_FREE_LIST.lock().deallocate(stacks) };
\t}",
    ],
    // Nobody reads what a stack begins with. Written, it is a megabyte that the host has to find memory for.
    [
        "0,
\t\t\t\tuser_stack_size,
\t\t\t);",
        "0,
\t\t\t\t0,
\t\t\t);",
    ],
];
