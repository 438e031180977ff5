//! Linux as a guest: Debian's kernel as it is packaged (`debian`), and an initial file system for it (`initramfs`).

pub mod debian;
pub mod initramfs;
pub mod static_program;
