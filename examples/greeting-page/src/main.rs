//! The service as a program: Hermit unikernel or Linux process. No logic lives here.
#![no_std]
#![no_main]

kernel_app::program!("greeting-page", greeting_page::program);
