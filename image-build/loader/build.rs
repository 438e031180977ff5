//! Hands the linker script over; it builds nothing.

fn main() {
    println!("cargo::rerun-if-changed=link.ld");
    let directory = env!("CARGO_MANIFEST_DIR");
    println!("cargo::rustc-link-arg-bins=-T{directory}/link.ld");
    println!("cargo::rustc-link-arg-bins=--no-pie");
}
