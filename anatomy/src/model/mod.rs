//! What is drawn: figures and their order, computed from symbols and traces. Nothing here knows how it is drawn.

pub mod figures;
pub mod number;
pub mod program;
pub mod size;
