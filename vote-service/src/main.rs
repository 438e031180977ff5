//! The vote service as a program: Hermit unikernel or Linux process. No logic lives here.
#![no_std]
#![no_main]

kernel_app::program!("vote", vote_service::program);
