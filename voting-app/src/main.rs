//! The whole application as one program: Hermit unikernel or Linux process. No logic lives here.
#![no_std]
#![no_main]

kernel_app::program!("voting-app", voting_app::program, disk);
