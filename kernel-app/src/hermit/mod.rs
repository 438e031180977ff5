//! The Hermit platform: everything between the kernel's `runtime_entry` and the services.
//!
//! It knows the machine: ports, interrupts, PCI, virtio, the time-stamp counter. It knows no service and no protocol.
//! This module and the loader are the only places with `unsafe` code.
#![allow(unsafe_code)]

mod allocator;
mod block_device;
mod boot;
mod clock;
mod console;
mod counter;
mod dma;
mod entropy;
mod entropy_device;
mod exit;
mod fault;
mod idle;
mod interrupt_table;
mod interrupts;
mod kernel;
mod kvm_clock;
mod logger;
mod machine;
mod memory;
mod net_device;
mod packet_ring;
mod page_tables;
mod rtc;
mod serial_line;
mod stop_orders;
mod timekeeper;
mod transport;
mod uhyve;
mod virtqueue;
mod x86;

pub use boot::run;
