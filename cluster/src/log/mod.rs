//! The log files of machines: the format of a line, and how files are written, limited in size and read.

pub mod entry;
pub mod file;
