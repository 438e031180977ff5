//! The reasons why a machine cannot be started, as messages for the serial line.

use core::fmt;

/// An obstacle before the kernel.
#[derive(Debug)]
pub enum Error {
    /// There is no start info of the expected kind at this address.
    StartInfo(u64),
    /// The memory map is missing, empty or too long.
    MemoryMap {
        /// Its number of entries.
        entries: u32,
    },
    /// The command line cannot be read.
    CommandLine(command_line::Error),
    /// No program was put into this file.
    Handoff,
    /// The machine has too little memory for the program.
    Memory {
        /// Usable memory around the program ends here.
        end: u64,
        /// It would have to end here at least.
        needed: u64,
    },
    /// The device tree cannot be written.
    DeviceTree(vm_fdt::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartInfo(address) => {
                write!(f, "no PVH start info at {address:#x}: start this file with -kernel on x86-64 QEMU")
            }
            Self::MemoryMap { entries } => write!(f, "a memory map of {entries} entries cannot be used"),
            Self::CommandLine(error) => write!(f, "the command line {error}"),
            Self::Handoff => {
                f.write_str("there is no program in this file: build it with `cargo image build`")
            }
            Self::Memory { end, needed } => write!(
                f,
                "{} MiB of memory are too little: give the machine at least {} MiB",
                end.div_ceil(1 << 20),
                needed.div_ceil(1 << 20)
            ),
            Self::DeviceTree(error) => write!(f, "the device tree cannot be written: {error}"),
        }
    }
}

impl From<vm_fdt::Error> for Error {
    fn from(error: vm_fdt::Error) -> Self {
        Self::DeviceTree(error)
    }
}
