//! Variables in setting values, as in compose: `${NAME}` is what the environment of `cargo up`, or a file `.env`, has
//! under that name, and `${NAME:-default}` something else if it has nothing. `${{` is a dollar sign and a brace.
//!
//! The caller knows the variables and passes them in.

use std::fmt;

use crate::application::template;

/// A dollar sign and a brace that begin no variable.
const ESCAPED: &str = "${{";

/// A dollar sign and a brace without a proper variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableError {
    /// What stands there.
    pub found: String,
}

impl fmt::Display for VariableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a variable: write ${{NAME}} or ${{NAME:-default}} with a name of capital letters, digits and underscores, or ${{{{ for a dollar sign and a brace",
            self.found
        )
    }
}

impl std::error::Error for VariableError {}

/// The value with each variable in its place, in which braces are nothing but braces.
///
/// # Errors
/// When `${` begins no variable.
pub fn fill<'a>(value: &str, variable: impl Fn(&str) -> Option<&'a str>) -> Result<String, VariableError> {
    let mut filled = String::new();
    let mut rest = value;
    while let Some(at) = rest.find("${") {
        let (text, found) = rest.split_at(at);
        filled.push_str(text);
        if let Some(after) = found.strip_prefix(ESCAPED) {
            filled.push_str(ESCAPED);
            rest = after;
            continue;
        }
        let error = || VariableError { found: found.chars().take(40).collect() };
        let (inside, after) = found[2..].split_once('}').ok_or_else(error)?;
        let (name, default) = inside.split_once(":-").unwrap_or((inside, ""));
        if !is_name(name) {
            return Err(error());
        }
        let given = variable(name).filter(|given| !given.is_empty());
        filled.push_str(&template::escape(given.unwrap_or(default)));
        rest = after;
    }
    Ok(filled + rest)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_or_have_their_default() {
        let known = |name: &str| match name {
            "A" => Some("{tea}"),
            "EMPTY" => Some(""),
            _ => None,
        };
        let filled = |value| fill(value, known).expect(value);
        assert_eq!(filled("${A}, ${B:-cats} and ${EMPTY:-dogs}"), "{{tea}}, cats and dogs");
        assert_eq!(filled("${B}"), "");
        assert_eq!(filled("http://{store:80}/${A}"), "http://{store:80}/{{tea}}");
        assert_eq!(filled("5 $ and ${{A}}"), "5 $ and ${{A}}");
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for wrong in ["${", "${A", "${a}", "${}", "${A-b}", "${store:80}"] {
            assert!(fill(wrong, |_| None).is_err(), "{wrong}");
        }
    }
}
