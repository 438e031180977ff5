//! How each model is drawn: from figures to marks on a picture, without a file format.

pub mod boot;
pub mod fault;
pub mod memory;
pub mod request;
pub mod scene;
pub mod size;
mod treemap;
