//! What people see of it on their terminal, and the signals that a terminal sends.

pub mod interrupt;
pub mod progress;
pub mod style;
pub mod summary;
