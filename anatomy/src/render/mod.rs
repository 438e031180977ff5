//! Files and texts made of pictures and models.

pub mod book;
pub mod html;
pub mod svg;
pub mod text;
pub mod theme;
