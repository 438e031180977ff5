//! `multipart/form-data` (RFC 7578, RFC 2046 section 5.1), text fields only.
//!
//! A part that is a file, or that has a charset other than UTF-8 or a transfer encoding, makes the form malformed.

use alloc::borrow::Cow;

use super::error::{Field, FormError};
use super::media_type::{parameter, split};

/// Most characters of a boundary (RFC 2046 section 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;
/// Most header lines of a part.
const PART_HEADERS_MAX: usize = 8;
/// Blanks that may stand between a boundary and its line end.
const PADDING_BYTES_MAX: usize = 16;

/// The fields of a body, in order.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// What follows the last delimiter that was read.
    rest: &'a [u8],
    /// CR LF, two dashes and the boundary.
    delimiter: [u8; BOUNDARY_BYTES_MAX + 4],
    delimiter_bytes: usize,
    ended: bool,
}

impl<'a> Fields<'a> {
    pub fn new(body: &'a [u8], boundary: &str) -> Result<Self, FormError> {
        let boundary = boundary.as_bytes();
        if !is_boundary(boundary) {
            return Err(FormError::Malformed);
        }
        let mut delimiter = [0; BOUNDARY_BYTES_MAX + 4];
        let delimiter_bytes = boundary.len() + 4;
        delimiter[..4].copy_from_slice(b"\r\n--");
        delimiter[4..delimiter_bytes].copy_from_slice(boundary);
        let mut fields = Self { rest: body, delimiter, delimiter_bytes, ended: false };
        fields.open()?;
        Ok(fields)
    }

    /// Reads the first delimiter. What stands before it is of no meaning (RFC 2046's preamble).
    fn open(&mut self) -> Result<(), FormError> {
        let delimiter = &self.delimiter[..self.delimiter_bytes];
        let start = if self.rest.starts_with(&delimiter[2..]) {
            delimiter.len() - 2
        } else {
            find(self.rest, delimiter).ok_or(FormError::Malformed)? + delimiter.len()
        };
        self.end_delimiter(start)
    }

    /// Reads what follows a delimiter, which ends at `at`: a line end, or the two dashes of the last one.
    fn end_delimiter(&mut self, at: usize) -> Result<(), FormError> {
        let rest = &self.rest[at..];
        if rest.starts_with(b"--") {
            self.ended = true;
            return Ok(());
        }
        let padding =
            rest.iter().take(PADDING_BYTES_MAX).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.rest = rest[padding..].strip_prefix(b"\r\n").ok_or(FormError::Malformed)?;
        Ok(())
    }

    fn part(&mut self) -> Result<Field<'a>, FormError> {
        let name = self.part_name()?;
        let delimiter = &self.delimiter[..self.delimiter_bytes];
        // An empty value's delimiter follows the header lines' end at once, with its CR LF.
        let end = find(self.rest, delimiter).ok_or(FormError::Malformed)?;
        let value = core::str::from_utf8(&self.rest[..end]).map_err(|_| FormError::Malformed)?;
        self.end_delimiter(end + delimiter.len())?;
        Ok((name, value.into()))
    }

    /// Reads a part's header lines.
    fn part_name(&mut self) -> Result<Cow<'a, str>, FormError> {
        let mut name = None;
        for _ in 0..=PART_HEADERS_MAX {
            let end = find(self.rest, b"\r\n").ok_or(FormError::Malformed)?;
            let line = core::str::from_utf8(&self.rest[..end]).map_err(|_| FormError::Malformed)?;
            self.rest = &self.rest[end + 2..];
            if line.is_empty() {
                return name.ok_or(FormError::Malformed);
            }
            let (field, value) = line.split_once(':').ok_or(FormError::Malformed)?;
            if field.eq_ignore_ascii_case("content-disposition") {
                if name.is_some() {
                    return Err(FormError::Malformed);
                }
                name = Some(field_name(value)?);
            } else if !is_plain_text(field, value)? {
                return Err(FormError::Malformed);
            }
        }
        Err(FormError::Malformed)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, FormError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let field = self.part();
        self.ended |= field.is_err();
        Some(field)
    }
}

/// The name in a `Content-Disposition` line's value.
fn field_name(value: &str) -> Result<Cow<'_, str>, FormError> {
    let (disposition, parameters) = split(value);
    let is_file =
        parameter(parameters, "filename")?.is_some() || parameter(parameters, "filename*")?.is_some();
    if is_file || !disposition.eq_ignore_ascii_case("form-data") {
        return Err(FormError::Malformed);
    }
    parameter(parameters, "name")?.ok_or(FormError::Malformed)
}

/// Whether a header line leaves a part's content what it is taken for: UTF-8 text as it stands.
fn is_plain_text(field: &str, value: &str) -> Result<bool, FormError> {
    let (essence, parameters) = split(value);
    let is_one_of = |text: &str, names: &[&str]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
    if field.eq_ignore_ascii_case("content-transfer-encoding") {
        return Ok(is_one_of(essence, &["7bit", "8bit", "binary"]));
    }
    if !field.eq_ignore_ascii_case("content-type") {
        return Ok(true);
    }
    let charset = parameter(parameters, "charset")?;
    let known = charset.is_none_or(|charset| is_one_of(&charset, &["utf-8", "us-ascii"]));
    Ok(known && essence.eq_ignore_ascii_case("text/plain"))
}

fn is_boundary(boundary: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte);
    (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len())
        && boundary.iter().all(allowed)
        && !boundary.ends_with(b" ")
}

/// Where `needle` begins; both are short, so nothing cleverer than a look at each place.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    fn fields(body: &[u8]) -> Result<Vec<(String, String)>, FormError> {
        let owned = |(name, value): Field<'_>| (name.into_owned(), value.into_owned());
        Fields::new(body, "B")?.map(|field| field.map(owned)).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Result<Vec<(String, String)>, FormError> {
        Ok(expected.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect())
    }

    fn part(headers: &str, value: &str) -> String {
        format!("--B\r\n{headers}\r\n\r\n{value}\r\n--B--\r\n")
    }

    #[test]
    fn parts_are_fields() {
        let disposition = "Content-Disposition: form-data; name=\"a\"";
        assert_eq!(fields(part(disposition, "1").as_bytes()), pairs(&[("a", "1")]));
        assert_eq!(fields(part(disposition, "").as_bytes()), pairs(&[("a", "")]));
        assert_eq!(fields(part(disposition, "--B\r\n-B").as_bytes()), pairs(&[("a", "--B\r\n-B")]));
        let typed = format!(
            "Content-Type: text/plain; charset=UTF-8\r\n{disposition}\r\nContent-Transfer-Encoding: 8bit\r\nX-Other: y"
        );
        assert_eq!(fields(part(&typed, "\u{e9}").as_bytes()), pairs(&[("a", "\u{e9}")]));
        let two = b"preamble\r\n--B \t\r\ncontent-disposition:form-data;name=a\r\n\r\n1\r\n--B\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n2\r\n\r\n--B--epilogue";
        assert_eq!(fields(two), pairs(&[("a", "1"), ("b", "2\r\n")]));
        assert_eq!(fields(b"--B--"), pairs(&[]));
    }

    #[test]
    fn every_beginning_of_a_form_is_malformed() {
        let whole = part("Content-Disposition: form-data; name=\"a\"", "1");
        for end in 0..whole.len() - 2 {
            assert_eq!(fields(&whole.as_bytes()[..end]), Err(FormError::Malformed), "{}", &whole[..end]);
        }
    }

    #[test]
    fn parts_that_are_not_plain_text_fields_are_refused() {
        let disposition = "Content-Disposition: form-data; name=a";
        let cases = [
            "Content-Disposition: form-data; name=\"a\"; filename=\"f\"".into(),
            "Content-Disposition: form-data; name=\"a\"; filename*=utf-8''f".into(),
            "Content-Disposition: attachment; name=a".into(),
            "Content-Disposition: form-data".into(),
            "Content-Type: text/plain".into(),
            "no colon".into(),
            format!("{disposition}\r\n{disposition}"),
            format!("{disposition}\r\nContent-Type: text/html"),
            format!("{disposition}\r\nContent-Type: text/plain; charset=utf-16"),
            format!("{disposition}\r\nContent-Transfer-Encoding: base64"),
            format!("{disposition}{}", "\r\nX: y".repeat(PART_HEADERS_MAX)),
        ];
        for headers in cases {
            assert_eq!(fields(part(&headers, "1").as_bytes()), Err(FormError::Malformed), "{headers}");
        }
        let mut not_text = part(disposition, "?").into_bytes();
        let at = not_text.iter().position(|byte| *byte == b'?').expect("there");
        not_text[at] = 0xff;
        assert_eq!(fields(&not_text), Err(FormError::Malformed));
        for body in ["", "--C--", "--B\n", "--Bx\r\n", "--B-", "\n--B--"] {
            assert_eq!(fields(body.as_bytes()), Err(FormError::Malformed), "{body}");
        }
    }

    #[test]
    fn boundaries_are_bounded() {
        let long = "b".repeat(BOUNDARY_BYTES_MAX);
        assert!(Fields::new(format!("--{long}--").as_bytes(), &long).is_ok());
        for boundary in ["", "a ", "a\r\n", "a\"", "\u{e9}", &format!("{long}b")] {
            assert_eq!(Fields::new(b"", boundary).err(), Some(FormError::Malformed), "{boundary}");
        }
    }
}
