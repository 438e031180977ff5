//! Tests of the whole application, in `tests/`; what several of them share will live here.
//!
//! Ships nothing.
#![forbid(unsafe_code)]
