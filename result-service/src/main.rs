//! The result service as a program: Hermit unikernel or Linux process. No logic lives here.
#![no_std]
#![no_main]

kernel_app::program!("result", result_service::program);
