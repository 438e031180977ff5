//! Decoding of a machine's clocks, without a machine: readings come in, and the time of day comes out.
//!
//! The Hermit platform reads the registers. This module decodes them and adjusts the wall clock.

pub mod asked;
pub mod edge;
pub mod pvclock;
pub mod rtc;
pub mod wall;
