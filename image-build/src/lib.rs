//! The host tool from source to a running image, in three layers: `toolchain` makes stable cargo build for Hermit,
//! `image` makes a bootable file of a program, and `vm` describes a virtual machine and runs it. `bed` makes a machine
//! with an emulated KVM from `linux`, Debian's kernel, and `new` a service to begin with. `tool` contains what the
//! commands share.
//!
//! It runs on Linux, next to cargo. Guest code is in the other packages and in `loader`. Dependencies go one way:
//! `bed` uses `vm`, which uses `image`, which uses `toolchain`, which uses `tool`.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
pub mod tool;
pub mod bed;
pub mod image;
pub mod linux;
pub mod new;
pub mod oci;
pub mod toolchain;
pub mod vm;

pub mod cli;
