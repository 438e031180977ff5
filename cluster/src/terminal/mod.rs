//! The terminal: what people see on it, and the signals that it sends.

pub mod interrupt;
pub mod progress;
pub mod style;
pub mod summary;
