//! The program: one line, the same as a unikernel and as a Linux process. Leave it as it is.
#![no_std]
#![no_main]

kernel_app::program!("visits", visits::program);
