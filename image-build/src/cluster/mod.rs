//! The whole application as virtual machines of this host: `up`, `down`, `ps` and `logs`.

pub mod application;
mod event;
mod identity;
mod log_file;
mod machine;
mod overrides;
mod plan;
mod ports;
mod probe;
mod run_dir;
mod supervisor;
mod template;
