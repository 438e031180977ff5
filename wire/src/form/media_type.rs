//! Header values with parameters: `type/subtype; name=value; name="value"` (RFC 9110 section 5.6.6).

use alloc::borrow::Cow;
use alloc::string::String;

use super::error::FormError;

/// The part before the parameters, and the parameters.
pub(super) fn split(value: &str) -> (&str, &str) {
    let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
    (essence.trim_matches(BLANKS), parameters)
}

const BLANKS: [char; 2] = [' ', '\t'];

/// The value of the parameter called `name` (letter case does not matter).
///
/// # Errors
/// When it occurs twice or the parameters cannot be read.
pub(super) fn parameter<'a>(parameters: &'a str, name: &str) -> Result<Option<Cow<'a, str>>, FormError> {
    let mut found = None;
    let mut rest = parameters;
    while !rest.trim_matches(BLANKS).is_empty() {
        let (key, value, after) = next(rest).ok_or(FormError::Malformed)?;
        if key.eq_ignore_ascii_case(name) && found.replace(value).is_some() {
            return Err(FormError::Malformed);
        }
        rest = after;
    }
    Ok(found)
}

/// The first parameter, and what follows its `;`.
fn next(parameters: &str) -> Option<(&str, Cow<'_, str>, &str)> {
    let (key, rest) = parameters.split_once('=')?;
    let (value, rest) = match rest.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None => {
            let end = rest.find(';').unwrap_or(rest.len());
            (rest[..end].trim_matches(BLANKS).into(), &rest[end..])
        }
    };
    let rest = rest.trim_start_matches(BLANKS);
    let after = if rest.is_empty() { rest } else { rest.strip_prefix(';')? };
    Some((key.trim_matches(BLANKS), value, after))
}

/// What stands before the closing quote, and what follows it.
///
/// Browsers write a quote within a name as `%22` and leave backslashes alone (HTML standard, multipart encoding),
/// other clients as `\"`; so a backslash is an escape only before a quote or another backslash.
fn unquote(quoted: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut escaped = false;
    let mut escapes = false;
    for (at, byte) in quoted.bytes().enumerate() {
        match byte {
            b'"' if !escaped => {
                let value = &quoted[..at];
                let value = if escapes { unescape(value).into() } else { value.into() };
                return Some((value, &quoted[at + 1..]));
            }
            b'\\' if !escaped => (escaped, escapes) = (true, true),
            _ => escaped = false,
        }
    }
    None
}

fn unescape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut characters = value.chars().peekable();
    while let Some(character) = characters.next() {
        let escape = character == '\\' && matches!(characters.peek(), Some('"' | '\\'));
        text.push(if escape { characters.next().unwrap_or(character) } else { character });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_by_name() {
        let good = [
            ("a=b", Some("b")),
            (" x=\"1;a=2\" ; A=c ", Some("c")),
            ("a = c", Some("c")),
            ("a=\"b;\\\"c\\\\\"", Some("b;\"c\\")),
            ("a=\"C:\\dir\"", Some("C:\\dir")),
            ("a=\"\"", Some("")),
            ("a=", Some("")),
            ("a=1;", Some("1")),
            ("b=1", None),
            ("", None),
        ];
        for (parameters, value) in good {
            assert_eq!(parameter(parameters, "a").map(|found| found.is_some()), Ok(value.is_some()));
            assert_eq!(parameter(parameters, "a").ok().flatten().as_deref(), value, "{parameters}");
        }
        for parameters in ["a=1;a=1", "a=\"open", "a=\"b\"c", "a", "a=1;b", "a=\"\\\""] {
            assert_eq!(parameter(parameters, "a"), Err(FormError::Malformed), "{parameters}");
        }
    }
}
