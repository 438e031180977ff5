//! The service around the page: HTTP on port 8080. Leave this file as it is; change `lib.rs`.
#![cfg_attr(target_os = "hermit", no_std, no_main)]

#[cfg(target_os = "hermit")]
mod service;

#[cfg(target_os = "hermit")]
kernel_app::program!("poll", service::program);

/// On the host only the page is judged.
#[cfg(not(target_os = "hermit"))]
fn main() {}
