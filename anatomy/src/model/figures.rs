//! Figures with stable names, such as `image.vote-service.bytes`: for the course, for its exercises and for scripts.

use std::collections::BTreeMap;

/// Values by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures(BTreeMap<String, u64>);

impl Figures {
    /// Adds one.
    pub fn add(&mut self, name: impl Into<String>, value: u64) {
        self.0.insert(name.into(), value);
    }

    /// Adds those of another picture.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    /// A line for each, as TOML.
    pub fn lines(&self) -> String {
        self.0.iter().map(|(name, value)| format!("\"{name}\" = {value}\n")).collect()
    }
}

/// A name as part of a figure's name: letters, digits and points stay, everything else becomes a hyphen.
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars() {
        match letter {
            _ if letter.is_ascii_alphanumeric() || letter == '.' => slug.push(letter.to_ascii_lowercase()),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_toml_in_the_order_of_names() {
        let mut figures = Figures::default();
        figures.add("b", 2);
        figures.add(format!("a.{}", slug("TCP/IP (smoltcp)")), 1);
        assert_eq!(figures.lines(), "\"a.tcp-ip-smoltcp\" = 1\n\"b\" = 2\n");
        assert_eq!(figures.get("b"), Some(2));
    }
}
