//! Array literals of PostgreSQL (section 8.15.2), as far as the services write them.

/// The elements of an array of one dimension, quoted or bare; none for NULL.
pub fn parse(text: &[u8]) -> Option<Vec<Option<String>>> {
    let mut rest = std::str::from_utf8(text).ok()?.strip_prefix('{')?.strip_suffix('}')?.chars().peekable();
    let mut elements = Vec::new();
    while rest.peek().is_some() {
        if !elements.is_empty() && rest.next()? != ',' {
            return None;
        }
        if rest.next_if_eq(&'"').is_some() {
            elements.push(Some(quoted(&mut rest)?));
        } else {
            let bare: String =
                core::iter::from_fn(|| rest.next_if(|char| !r#"",{}\"#.contains(*char))).collect();
            elements.push(if bare == "NULL" {
                None
            } else {
                Some(bare).filter(|bare| !bare.is_empty()).map(Some)?
            });
        }
    }
    Some(elements)
}

fn quoted(rest: &mut impl Iterator<Item = char>) -> Option<String> {
    let mut element = String::new();
    loop {
        match rest.next()? {
            '"' => return Some(element),
            '\\' => element.push(rest.next()?),
            other => element.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read_as_they_are_written() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parse(br#"{"a\"b\\c,{}","x"}"#), Some(vec![some("a\"b\\c,{}"), some("x")]));
        assert_eq!(parse(b"{2,NULL,0}"), Some(vec![some("2"), None, some("0")]));
        assert_eq!(parse(b"{}"), Some(Vec::new()));
        for wrong in [&b"{\"a\""[..], b"{,}", b"{\"a\"\"b\"}", b"\"a\""] {
            assert_eq!(parse(wrong), None, "{}", wrong.escape_ascii());
        }
    }
}
