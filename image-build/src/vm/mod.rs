//! A virtual machine: its description (`machine`), the VMMs that can make it (`vmm`), what one of them cannot
//! (`refusal`), its command line (`command`), and its life from start to end (`guest`, `foreground`).

pub mod accelerator;
pub mod backlog;
pub mod bridge;
mod cloud_hypervisor;
pub mod command;
pub mod command_line;
pub mod disk_image;
mod firecracker;
pub mod fitness;
pub mod foreground;
pub mod guest;
pub mod guest_failure;
pub mod install;
pub mod listen_filter;
pub mod machine;
pub mod probe;
pub mod qemu;
pub mod qmp;
pub mod refusal;
pub mod run;
pub mod select;
pub mod serial_line;
pub mod tap;
mod uhyve;
pub mod vhost;
pub mod vmm;
