//! Texts with placeholders such as `{ip}`. A brace itself is written twice.

use anyhow::{Context as _, Result};

/// The text with a value for each placeholder.
///
/// # Errors
/// When a placeholder is none of these, or a brace stands alone.
pub fn fill(text: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        filled += &rest[..at];
        let (brace, after) = rest[at..].split_at(1);
        if let Some(after) = after.strip_prefix(brace) {
            filled += brace;
            rest = after;
            continue;
        }
        let named = (brace == "{").then(|| after.split_once('}')).flatten();
        let (name, after) = named.with_context(|| format!("a {brace} stands alone: {BRACES}"))?;
        filled += value(name, values)?;
        rest = after;
    }
    Ok(filled + rest)
}

/// How a brace is written.
const BRACES: &str = "write a brace itself twice";

fn value<'a>(name: &str, values: &[(&str, &'a str)]) -> Result<&'a str> {
    let found = values.iter().find(|(known, _)| *known == name);
    let (_, value) = found.with_context(|| {
        let known: Vec<String> = values.iter().map(|(known, _)| format!("{{{known}}}")).collect();
        format!("{{{name}}} is no placeholder here: give one of {}, or {BRACES}", known.join(", "))
    })?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [(&str, &str); 2] = [("ip", "10.0.2.15"), ("env", "{A}=b")];

    #[test]
    fn placeholders_are_replaced_once_and_doubled_braces_are_braces() {
        let filled = fill("--ip={ip}/24 {{x}} {env}", &VALUES).expect("known placeholders");
        assert_eq!(filled, "--ip=10.0.2.15/24 {x} {A}=b");
    }

    #[test]
    fn an_unknown_placeholder_is_told_with_those_that_there_are() {
        let error = fill("{adress}", &VALUES).expect_err("unknown").to_string();
        let expected =
            "{adress} is no placeholder here: give one of {ip}, {env}, or write a brace itself twice";
        assert_eq!(error, expected);
    }

    #[test]
    fn a_brace_that_stands_alone_is_told() {
        for text in ["a { b", "a } b", "{ip"] {
            let error = fill(text, &VALUES).expect_err("alone").to_string();
            assert!(error.ends_with("stands alone: write a brace itself twice"), "{error}");
        }
    }
}
