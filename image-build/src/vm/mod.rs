//! A virtual machine: its description (`machine`), the command line of its VMM (`qemu`), and its life from start to
//! end (`guest`, `run`).

pub mod accelerator;
pub mod backlog;
pub mod command_line;
pub mod disk_image;
pub mod guest;
pub mod guest_failure;
pub mod listen_filter;
pub mod machine;
pub mod probe;
pub mod qemu;
pub mod run;
