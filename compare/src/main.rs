//! `cargo compare`: entry point only.
#![cfg_attr(target_os = "hermit", no_std, no_main)]

#[cfg(not(target_os = "hermit"))]
fn main() -> std::process::ExitCode {
    compare::cli::main()
}
