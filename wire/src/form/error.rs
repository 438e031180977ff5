//! Errors of forms: a missing field, or a malformed form.

use alloc::borrow::Cow;
use core::fmt;

/// Most fields of a form.
pub const FIELDS_MAX: usize = 64;

/// Name and value of a field.
pub(super) type Field<'a> = (Cow<'a, str>, Cow<'a, str>);

/// A form that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormError {
    /// The content type is neither of the two; answer 415.
    MediaType,
    /// The body does not have the shape that its content type promises; answer 400.
    Malformed,
    /// The field occurs more than once; answer 400.
    Repeated,
    /// More than [`FIELDS_MAX`] fields; answer 400.
    TooManyFields,
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MediaType => {
                "the form is neither application/x-www-form-urlencoded nor multipart/form-data"
            }
            Self::Malformed => "the form cannot be read: its body does not fit its content type",
            Self::Repeated => "the form has the same field more than once: send it once",
            Self::TooManyFields => "the form has too many fields: send only those that are asked for",
        })
    }
}

impl core::error::Error for FormError {}
