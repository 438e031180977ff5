//! Positions in a TOML text: from a byte offset to its line and key, and from a key to its line. It checks nothing; a
//! text that does not parse has no keys.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A text and what is known of its structure.
pub struct Locator<'a> {
    text: &'a str,
    root: Option<Spanned<DeTable<'a>>>,
}

impl<'a> Locator<'a> {
    /// Looks at a text.
    pub fn new(text: &'a str) -> Self {
        Self { text, root: DeTable::parse(text).ok() }
    }

    /// The line of a byte offset, from 1.
    pub fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    /// The dotted path of the key around a byte offset, as far down as there is one.
    pub fn key_at(&self, offset: usize) -> String {
        let mut path = Vec::new();
        if let Some(root) = &self.root {
            descend(root.get_ref(), offset, &mut path);
        }
        path.join(".")
    }

    /// The line of the deepest key of `path` that the text has.
    pub fn line_of(&self, path: &[String]) -> Option<usize> {
        let mut table = self.root.as_ref()?.get_ref();
        let mut line = None;
        for name in path {
            let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else { break };
            line = Some(self.line(key.span().start));
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                _ => break,
            }
        }
        line
    }
}

fn descend(table: &DeTable<'_>, offset: usize, path: &mut Vec<String>) {
    for (key, value) in table.iter() {
        if key.span().contains(&offset) || covers(value, offset) {
            path.push(key.get_ref().to_string());
            if let DeValue::Table(inner) = value.get_ref() {
                descend(inner, offset, path);
            }
            return;
        }
    }
}

/// Whether a value, or anything inside it, is at `offset`: the span of a table is only its header.
fn covers(value: &Spanned<DeValue<'_>>, offset: usize) -> bool {
    let here: Range<usize> = value.span();
    here.contains(&offset)
        || match value.get_ref() {
            DeValue::Table(inner) => {
                inner.iter().any(|(key, value)| key.span().contains(&offset) || covers(value, offset))
            }
            _ => false,
        }
}
