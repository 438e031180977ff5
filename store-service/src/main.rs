//! The store as a program: Hermit unikernel or Linux process. No logic lives here.
#![no_std]
#![no_main]

kernel_app::program!("store", store_service::program, disk);
