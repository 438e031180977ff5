//! Setting values with references to other services: `redis://{store:6379}`; `{{` and `}}` are braces.
//!
//! The caller knows the addresses and passes them in.

use std::fmt;

/// A value, cut at its references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template<'a> {
    parts: Vec<Part<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Reference { service: &'a str, port: u16 },
}

/// A brace without a proper reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// What stands there.
    pub found: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a reference: write {{service:port}}, such as {{store:6379}}, or {{{{ and }}}} for braces",
            self.found
        )
    }
}

impl std::error::Error for TemplateError {}

impl<'a> Template<'a> {
    /// Cuts a value at its references.
    ///
    /// # Errors
    /// When a brace opens or closes no reference.
    pub fn parse(value: &'a str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = value;
        while let Some(open) = rest.find(['{', '}']) {
            let (text, reference) = rest.split_at(open);
            parts.push(Part::Text(text));
            if reference.starts_with("{{") || reference.starts_with("}}") {
                parts.push(Part::Text(&reference[..1]));
                rest = &reference[2..];
                continue;
            }
            let inside = reference.strip_prefix('{').and_then(|after| after.split_once('}'));
            let part = inside.and_then(|(inside, after)| Some((parse_reference(inside)?, after)));
            let Some((part, after)) = part else {
                return Err(TemplateError { found: reference.chars().take(40).collect() });
            };
            parts.push(part);
            rest = after;
        }
        parts.push(Part::Text(rest));
        Ok(Self { parts })
    }

    /// The services and guest ports that are referred to.
    pub fn references(&self) -> impl Iterator<Item = (&'a str, u16)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Reference { service, port } => Some((*service, *port)),
        })
    }

    /// The value with each reference replaced; `None` when `address` knows one not.
    pub fn fill(&self, address: impl Fn(&str, u16) -> Option<String>) -> Option<String> {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => Some((*text).to_owned()),
                Part::Reference { service, port } => address(service, *port),
            })
            .collect()
    }
}

/// The value that is filled to be this text, braces and all.
pub fn escape(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

fn parse_reference(inside: &str) -> Option<Part<'_>> {
    let (service, port) = inside.split_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (!service.is_empty()).then_some(Part::Reference { service, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_and_filled() {
        let template = Template::parse("redis://{store:6379}/0?also={worker:1}").expect("a template");
        assert_eq!(template.references().collect::<Vec<_>>(), [("store", 6379), ("worker", 1)]);
        let filled = template.fill(|service, port| Some(format!("<{service} {port}>")));
        assert_eq!(filled.as_deref(), Some("redis://<store 6379>/0?also=<worker 1>"));
        assert_eq!(template.fill(|service, _| (service == "store").then(String::new)), None);
    }

    #[test]
    fn doubled_braces_are_braces() {
        let filled = |text: &str| {
            let template = Template::parse(text).expect("a template");
            template.fill(|_, port| Some(port.to_string())).expect("filled")
        };
        assert_eq!(filled("{{\"a\": {store:7}}}"), "{\"a\": 7}");
        for text in ["{", "}", "{store:1}", "p{a}ss{{w}}"] {
            assert_eq!(filled(&escape(text)), text);
        }
    }

    #[test]
    fn stray_braces_are_errors() {
        for wrong in ["{", "}", "a{store}", "{store:0}", "{:6379}", "{store:6379", "{a:1}}"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }
}
