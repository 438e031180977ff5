//! What a page leads to exists: files, headings, pictures, and the paths of the repository that it names as code.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::book::markdown::Page;

/// Folders at the root that no clone begins with.
const MADE: [&str; 2] = ["target", "course-work"];
/// The section of a chapter that names works of others.
const REFERENCES: &str = "Read on";

/// What leads nowhere, in all pages.
pub fn broken(root: &Path, pages: &[Page]) -> Vec<String> {
    let mut documents = Documents { root, read: BTreeMap::new() };
    let mut faults = Vec::new();
    for page in pages {
        for link in page.links.iter().filter(|link| !is_outside(&link.target)) {
            if let Some(reason) = documents.reason(page, &link.target) {
                faults.push(format!("{}:{}: the link {} {reason}", page.path, link.line, link.target));
            }
        }
        let own = page.spans.iter().filter(|span| span.line < references_begin(page));
        let paths = own.filter_map(|span| Some((path_named(root, &span.text)?, span.line)));
        let gone = paths.filter(|(path, _)| !root.join(path).exists());
        faults.extend(gone.map(|(path, line)| format!("{}:{line}: `{path}` is not there", page.path)));
    }
    faults
}

/// The line from which a page names works of others, whose files are not here.
fn references_begin(page: &Page) -> usize {
    let heading = page.headings.iter().find(|heading| heading.text == REFERENCES);
    heading.map_or(usize::MAX, |heading| heading.line)
}

/// Whether a link leaves the repository.
pub fn is_outside(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

/// The path from the root that a link in the file of this path means.
pub fn resolve(from: &str, link: &str) -> String {
    let mut path = Path::new(from).parent().map(Path::to_owned).unwrap_or_default();
    for component in Path::new(link).components() {
        match component {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path_text(path)
}

fn path_text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}

/// The documents that links lead to, each read once.
struct Documents<'a> {
    root: &'a Path,
    read: BTreeMap<String, Option<Page>>,
}

impl Documents<'_> {
    /// Why a link leads nowhere.
    fn reason(&mut self, page: &Page, target: &str) -> Option<String> {
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let path = if file.is_empty() { page.path.clone() } else { resolve(&page.path, file) };
        if !file.is_empty() && !self.root.join(&path).exists() {
            return Some(format!("leads to {path}, which is not there"));
        }
        if heading.is_empty() || !path.ends_with(".md") {
            return None;
        }
        let has = |page: &Page| page.headings.iter().any(|found| found.anchor == heading);
        let is_there = if file.is_empty() { has(page) } else { self.document(&path).is_some_and(has) };
        (!is_there).then(|| format!("leads to no heading of {path}"))
    }

    fn document(&mut self, path: &str) -> Option<&Page> {
        let root = self.root;
        self.read.entry(path.to_owned()).or_insert_with(|| Page::read(root, path).ok()).as_ref()
    }
}

/// The path of the repository that a piece of code names, if it is one: below a folder of the root, and of a path's
/// characters only. A line's number may follow it.
fn path_named<'a>(root: &Path, code: &'a str) -> Option<&'a str> {
    let path = match code.split_once(':') {
        Some((path, line)) if line.chars().all(|c| c.is_ascii_digit()) => path,
        _ => code,
    };
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    let (folder, rest) = path.split_once('/')?;
    let is_path = path.chars().all(is_of_path) && !rest.contains("...");
    (is_path && !folder.is_empty() && !MADE.contains(&folder) && root.join(folder).is_dir()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_nowhere_is_found() {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(root.path().join("docs/course")).expect("a folder");
        std::fs::write(root.path().join("docs/b.md"), "# Its title\n").expect("a file");
        let text = "[a](../b.md#its-title) [b](../b.md#gone) [c](gone.md) [d](#own) [e](#gone) [f](https://x.y/z)\n\n\
                    `docs/b.md:3` `docs/gone.rs` `target/x` `a/b` `docs/...` ![p](p.svg)\n\n# Own\n\n## Read on\n\n`docs/of/others`\n";
        let page = Page::parse("docs/course/a.md", text.to_owned());
        let faults = broken(root.path(), &[page]);
        let told: Vec<&str> =
            faults.iter().filter_map(|fault| fault.split_once(": ")).map(|(_, told)| told).collect();
        assert_eq!(
            told,
            [
                "the link ../b.md#gone leads to no heading of docs/b.md",
                "the link gone.md leads to docs/course/gone.md, which is not there",
                "the link #gone leads to no heading of docs/course/a.md",
                "the link p.svg leads to docs/course/p.svg, which is not there",
                "`docs/gone.rs` is not there",
            ]
        );
    }
}
