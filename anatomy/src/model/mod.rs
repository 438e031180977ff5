//! What is drawn: figures and their order, computed from symbols and traces. Nothing here knows how it is drawn.

pub mod boot;
pub mod fault;
pub mod figures;
pub mod loader;
pub mod memory;
pub mod number;
pub mod page_tables;
pub mod program;
pub mod request;
pub mod size;
