//! What fuzz targets do with their input: the properties that must hold whatever the bytes are.
//!
//! `cargo fuzz` drives them by coverage and needs a nightly compiler; the test `fuzzed` drives them over
//! their corpora and some mutations on any. A property that does not hold panics.

pub mod application;
pub mod balancer_exchange;
pub mod command_line;
pub mod engine_line;
pub mod header_prediction;
pub mod http_reply;
pub mod http_request;
pub mod log_recovery;
pub mod multipart;
mod mutate;
pub mod packet;
pub mod postgres_reply;
pub mod resp_command;
pub mod resp_reply;
pub mod segment;
pub mod settings;
pub mod vhost_user;

pub use mutate::Mutator;

/// A target: its name, which is also that of its corpus, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 16] = [
    ("application", application::check),
    ("balancer_exchange", balancer_exchange::check),
    ("command_line", command_line::check),
    ("engine_line", engine_line::check),
    ("header_prediction", header_prediction::check),
    ("http_reply", http_reply::check),
    ("http_request", http_request::check),
    ("log_recovery", log_recovery::check),
    ("multipart", multipart::check),
    ("packet", packet::check),
    ("postgres_reply", postgres_reply::check),
    ("resp_command", resp_command::check),
    ("resp_reply", resp_reply::check),
    ("segment", segment::check),
    ("settings", settings::check),
    ("vhost_user", vhost_user::check),
];
