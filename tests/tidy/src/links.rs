//! Links of Markdown files lead to files that are there, and to headings that they have.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::breach::Breach;
use crate::sources::Source;

/// Links that lead nowhere.
pub fn broken(sources: &[Source]) -> Vec<Breach> {
    let texts: BTreeMap<&str, &str> =
        sources.iter().map(|source| (source.path.as_str(), source.text.as_str())).collect();
    let folders: Vec<&str> =
        sources.iter().filter_map(|source| source.path.rsplit_once('/')).map(|(folder, _)| folder).collect();
    let mut breaches = Vec::new();
    for source in sources.iter().filter(|source| source.path.ends_with(".md")) {
        for (line, link) in links(&source.text) {
            if let Some(reason) = reason(source, &link, &texts, &folders) {
                breaches.push(Breach::new(source, line, format!("the link {link} {reason}")));
            }
        }
    }
    breaches
}

/// Why a link leads nowhere.
fn reason(
    source: &Source,
    link: &str,
    texts: &BTreeMap<&str, &str>,
    folders: &[&str],
) -> Option<&'static str> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let path = if file.is_empty() { source.path.clone() } else { resolve(&source.path, file) };
    let is_folder =
        || folders.iter().any(|folder| *folder == path || folder.starts_with(&format!("{path}/")));
    match texts.get(path.as_str()) {
        // Pictures are not among the texts.
        None if is_folder() || [".png", ".svg"].iter().any(|ending| path.ends_with(ending)) => None,
        None => Some("leads to no file: mend its path"),
        Some(text) if !heading.is_empty() && !anchors(text).contains(&heading.to_owned()) => {
            Some("leads to no heading of its file: mend what follows #")
        }
        Some(_) => None,
    }
}

/// The path that a link means in a file.
fn resolve(from: &str, link: &str) -> String {
    let mut path = Path::new(from).parent().map(Path::to_owned).unwrap_or_default();
    for component in Path::new(link).components() {
        match component {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    let normal = |path: PathBuf| path.to_string_lossy().into_owned();
    normal(path)
}

/// Links outside of code, with the numbers of their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    let mut is_code = false;
    for (at, line) in text.lines().enumerate() {
        is_code ^= line.trim_start().starts_with("```");
        let mut rest = if is_code { "" } else { line };
        while let Some(start) = rest.find("](") {
            rest = &rest[start + 2..];
            let end = rest.find(')').unwrap_or(rest.len());
            links.push((at + 1, rest[..end].split(' ').next().unwrap_or_default().to_owned()));
        }
    }
    links
}

/// What headings are called in links, as GitHub makes it: small letters, hyphens for blanks, no punctuation.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::source;

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let text = "[a](b.md) [c](gone.md)\n[d](../README.md#what-it-is) [e](../README.md#gone) [f](https://x.y)\n\
                    ```\n[g](gone.md)\n```\n[h](images/x.png) [i](#own-heading) [j](../src)\n# Own heading\n";
        let sources = [
            source("docs/a.md", text),
            source("docs/b.md", ""),
            source("README.md", "# What it is\n"),
            source("src/lib.rs", ""),
        ];
        let found: Vec<(usize, bool)> =
            broken(&sources).iter().map(|breach| (breach.line, breach.text.contains("heading"))).collect();
        assert_eq!(found, [(1, false), (2, true)]);
    }
}
