//! Fields of HTML forms: `application/x-www-form-urlencoded` (URL standard section 5) and `multipart/form-data` (RFC
//! 7578).
//!
//! It reads text fields of a body that is already bounded. Files and other charsets are refused.

mod error;
mod media_type;
mod multipart;
mod urlencoded;

use alloc::borrow::Cow;

use error::Field;
pub use error::{FIELDS_MAX, FormError};

const URLENCODED: &str = "application/x-www-form-urlencoded";

/// The value of the field called `name` in a form's body, decoded; none when there is no such field.
/// Borrows where nothing had to be decoded. All of the body is checked, not only the field.
///
/// # Errors
/// When the media type is another, the body is malformed, has too many fields, or the field is repeated.
pub fn field<'a>(
    content_type: Option<&[u8]>,
    body: &'a [u8],
    name: &str,
) -> Result<Option<Cow<'a, str>>, FormError> {
    let content_type = content_type.unwrap_or_default();
    if is_urlencoded(content_type) {
        return only(urlencoded::Fields::new(body), name);
    }
    let content_type = core::str::from_utf8(content_type).map_err(|_| FormError::MediaType)?;
    let (essence, parameters) = media_type::split(content_type);
    if !essence.eq_ignore_ascii_case("multipart/form-data") {
        return Err(FormError::MediaType);
    }
    let boundary = media_type::parameter(parameters, "boundary")?.ok_or(FormError::Malformed)?;
    only(multipart::Fields::new(body, &boundary)?, name)
}

/// Whether it is what browsers say of plain forms, to the letter, or means the same.
fn is_urlencoded(content_type: &[u8]) -> bool {
    let means_it = |text: &str| media_type::split(text).0.eq_ignore_ascii_case(URLENCODED);
    content_type == URLENCODED.as_bytes() || core::str::from_utf8(content_type).is_ok_and(means_it)
}

/// The value of the one field called `name`.
fn only<'a>(
    fields: impl Iterator<Item = Result<Field<'a>, FormError>>,
    name: &str,
) -> Result<Option<Cow<'a, str>>, FormError> {
    let mut found = None;
    for (count, field) in fields.enumerate() {
        let (key, value) = field?;
        if count >= FIELDS_MAX {
            return Err(FormError::TooManyFields);
        }
        if key == name && found.replace(value).is_some() {
            return Err(FormError::Repeated);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn vote(content_type: &str, body: &str) -> Result<Option<String>, FormError> {
        field(Some(content_type.as_bytes()), body.as_bytes(), "vote").map(|value| value.map(Cow::into_owned))
    }

    #[test]
    fn both_media_types_are_read_and_others_are_not() {
        let found = Ok(Some("a".into()));
        for media_type in
            ["application/x-www-form-urlencoded", "APPLICATION/X-WWW-FORM-URLENCODED ; charset=UTF-8"]
        {
            assert_eq!(vote(media_type, "vote=a"), found, "{media_type}");
        }
        let part = "--B\r\nContent-Disposition: form-data; name=\"vote\"\r\n\r\na\r\n--B--\r\n";
        for media_type in
            ["multipart/form-data; boundary=B", "Multipart/Form-Data;charset=utf-8;Boundary=\"B\""]
        {
            assert_eq!(vote(media_type, part), found, "{media_type}");
        }
        for media_type in ["", "text/plain", "application/json", "application/x-www-form-urlencodedx"] {
            assert_eq!(vote(media_type, "vote=a"), Err(FormError::MediaType), "{media_type}");
        }
        assert_eq!(field(None, b"vote=a", "vote"), Err(FormError::MediaType));
        for media_type in
            ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"B"]
        {
            assert_eq!(vote(media_type, part), Err(FormError::Malformed), "{media_type}");
        }
    }

    #[test]
    fn a_field_counts_only_when_it_is_the_only_one() {
        let media_type = "application/x-www-form-urlencoded";
        assert_eq!(vote(media_type, "x=1&Vote=b"), Ok(None));
        assert_eq!(vote(media_type, "vote=a&vote=a"), Err(FormError::Repeated));
        let many = |count| "x&".repeat(count) + "vote=a";
        assert_eq!(vote(media_type, &many(FIELDS_MAX - 1)), Ok(Some("a".into())));
        assert_eq!(vote(media_type, &many(FIELDS_MAX)), Err(FormError::TooManyFields));
    }
}
