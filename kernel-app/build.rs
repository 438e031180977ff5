//! Tells the linker where the Hermit kernel library lies, and refuses flags with which a program would be broken.
//! Builds nothing: `cargo image setup` does.

use std::path::PathBuf;
use std::process::Command;
use std::{env, io};

const LIBRARY: &str = "libhermit.a";
/// See `image-build/src/toolchain/pinned.rs`.
const NO_RED_ZONE: &str = "-Cno-redzone=yes";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("hermit") {
        return;
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if !flags.split('\x1f').any(|flag| flag == NO_RED_ZONE) {
        println!(
            "cargo::error=interrupts would overwrite what this program keeps below its stack pointer: add \
             {NO_RED_ZONE} to RUSTFLAGS, or take RUSTFLAGS away where `.cargo/config.toml` gives this flag"
        );
    }
    match target_libraries() {
        Ok(directory) if directory.join(LIBRARY).is_file() => {
            println!("cargo::rerun-if-changed={}", directory.join(LIBRARY).display());
            println!("cargo::rustc-link-search=native={}", directory.display());
        }
        Ok(directory) => println!(
            "cargo::error=no {LIBRARY} in {}: run `cargo image setup` once to build the Hermit kernel",
            directory.display()
        ),
        Err(error) => println!("cargo::error=cannot ask rustc for its library directory: {error}"),
    }
}

/// The toolchain's library directory for the target.
fn target_libraries() -> io::Result<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let target = env::var("TARGET").unwrap_or_default();
    let output = Command::new(rustc).args(["--print", "target-libdir", "--target", &target]).output()?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}
