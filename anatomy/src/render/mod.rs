//! Files and texts made of pictures and models.

pub mod svg;
pub mod text;
pub mod theme;
