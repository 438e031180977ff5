//! HTML forms: nothing may panic, and a field that was read must be read again from a form written with its value.
//!
//! The first line of the input is the content type, the rest the body.

use wire::form::field;

const BOUNDARY: &str = "0123456789";

/// Reads `bytes` as a form.
pub fn check(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let content_type = Some(&bytes[..end]);
    let body = bytes.get(end + 1..).unwrap_or_default();
    let Ok(Some(value)) = field(content_type, body, "vote") else { return };
    if value.contains(BOUNDARY) {
        return;
    }
    let part = "Content-Disposition: form-data; name=\"vote\"";
    let form = format!("--{BOUNDARY}\r\n{part}\r\n\r\n{value}\r\n--{BOUNDARY}--\r\n");
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    assert_eq!(field(Some(content_type.as_bytes()), form.as_bytes(), "vote"), Ok(Some(value)));
}
