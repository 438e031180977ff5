//! The parameters that the host tool writes into the loader: where the program is, next to it in the file.
//!
//! The host tool has placed and relocated the program; the loader neither copies nor parses it. `image/loader.rs` of
//! image-build knows this layout, and finds it by the symbol `HANDOFF`.

use core::ptr;

use hermit_entry::boot_info::{LoadInfo, TlsInfo};

use crate::error::Error;

/// First word once the host tool has filled it in; its last digit is the layout's version.
const MAGIC: u64 = 0x4845_524d_4954_0001;

/// The program's place in memory. All addresses are physical, and virtual ones equal them.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Handoff {
    magic: u64,
    /// Where the kernel begins to run.
    pub entry: u64,
    /// Where the program begins.
    pub start: u64,
    /// Where its zeroed memory ends.
    pub end: u64,
    tls_start: u64,
    tls_file_bytes: u64,
    tls_memory_bytes: u64,
    tls_align: u64,
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.handoff")]
static HANDOFF: Handoff = Handoff {
    magic: 0,
    entry: 0,
    start: 0,
    end: 0,
    tls_start: 0,
    tls_file_bytes: 0,
    tls_memory_bytes: 0,
    tls_align: 0,
};

impl Handoff {
    /// What the host tool wrote.
    pub fn read() -> Result<Self, Error> {
        // SAFETY: a valid static; volatile because it is changed after the compiler has seen its zeros.
        let handoff = unsafe { ptr::read_volatile(&raw const HANDOFF) };
        if handoff.magic == MAGIC { Ok(handoff) } else { Err(Error::Handoff) }
    }

    /// The same in the kernel's terms.
    pub fn load_info(&self) -> LoadInfo {
        let tls_info = (self.tls_align != 0).then_some(TlsInfo {
            start: self.tls_start,
            filesz: self.tls_file_bytes,
            memsz: self.tls_memory_bytes,
            align: self.tls_align,
        });
        LoadInfo { kernel_image_addr_range: self.start..self.end, tls_info }
    }
}
