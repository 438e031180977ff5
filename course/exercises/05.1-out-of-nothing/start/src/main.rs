//! The Rust half of exercise 05.1, which has nothing to do yet. Edit `boot.s`.
#![no_std]
#![no_main]

use core::arch::global_asm;
use core::panic::PanicInfo;

global_asm!(include_str!("boot.s"));

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
