//! Where the parts of the course are in the repository.

/// The book.
pub const BOOK: &str = "docs/course";
/// The pages of the book.
pub const PAGES: &str = "docs/course/src";
/// The exercises.
pub const EXERCISES: &str = "course/exercises";
