//! What is public is used: by another file of the workspace, or by a test.

use std::collections::{HashMap, HashSet};

use syn::{ImplItem, Item, Visibility};

use crate::breach::Breach;
use crate::sources::Source;

/// Public functions, types, constants and methods that no other place names.
pub fn unused(sources: &[Source]) -> Vec<Breach> {
    let rust: Vec<&Source> = sources.iter().filter(|source| source.is_rust()).collect();
    let mut uses: HashMap<&str, usize> = HashMap::new();
    for source in &rust {
        for word in words(&source.text) {
            *uses.entry(word).or_default() += 1;
        }
    }
    let mut breaches = Vec::new();
    for source in rust.iter().filter(|source| !source.is_test()) {
        let Ok(file) = syn::parse_file(&source.text) else { continue };
        for (name, line) in declared(&file.items) {
            // Once where it is declared.
            if uses.get(name.as_str()).copied().unwrap_or(0) <= 1 {
                breaches.push(Breach::new(
                    source,
                    line,
                    format!("{name} is public and nobody uses it: delete it"),
                ));
            }
        }
    }
    breaches
}

/// Names as Rust has them, outside of comments.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().map(|line| line.trim_start()).filter(|line| !line.starts_with("//"));
    code.flat_map(|line| line.split(|c: char| !(c.is_alphanumeric() || c == '_')))
        .filter(|word| !word.is_empty())
}

fn declared(items: &[Item]) -> Vec<(String, usize)> {
    let mut names = Vec::new();
    let mut add = |ident: &syn::Ident, visibility: &Visibility| {
        if matches!(visibility, Visibility::Public(_)) {
            names.push((ident.to_string(), ident.span().start().line));
        }
    };
    for item in items {
        match item {
            Item::Fn(item) => add(&item.sig.ident, &item.vis),
            Item::Struct(item) => add(&item.ident, &item.vis),
            Item::Enum(item) => add(&item.ident, &item.vis),
            Item::Trait(item) => add(&item.ident, &item.vis),
            Item::Const(item) => add(&item.ident, &item.vis),
            Item::Type(item) => add(&item.ident, &item.vis),
            Item::Impl(item) if item.trait_.is_none() => {
                for item in &item.items {
                    match item {
                        ImplItem::Fn(item) => add(&item.sig.ident, &item.vis),
                        ImplItem::Const(item) => add(&item.ident, &item.vis),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let unique: HashSet<(String, usize)> = names.into_iter().collect();
    unique.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::source;

    #[test]
    fn what_nobody_uses_is_found() {
        let declares = "//! X.\npub fn used() {}\npub fn unused() {}\nfn own() {}\n\
                        pub struct S;\nimpl S {\n    pub fn method(&self) {}\n    pub fn called(&self) {}\n}\n";
        let sources = [
            source("a/src/x.rs", declares),
            source("b/src/y.rs", "//! Y.\n// unused\nfn f(s: S) { used(); s.called() }\n"),
        ];
        let mut found: Vec<usize> = unused(&sources).iter().map(|breach| breach.line).collect();
        found.sort_unstable();
        assert_eq!(found, [3, 7]);
    }
}
