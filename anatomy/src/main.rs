//! `cargo image anatomy`: entry point only.
#![cfg_attr(target_os = "hermit", no_std, no_main)]

#[cfg(not(target_os = "hermit"))]
fn main() -> std::process::ExitCode {
    anatomy::cli::main()
}
