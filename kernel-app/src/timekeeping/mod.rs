//! What a machine's clocks say, without touching a machine: readings come in, the time of day comes out.
//!
//! The Hermit platform reads the registers; here they are decoded, and the wall clock is steered by them.

pub mod asked;
pub mod edge;
pub mod pvclock;
pub mod rtc;
pub mod wall;
