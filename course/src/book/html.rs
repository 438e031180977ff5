//! The built book: what its pages lead to is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::book::links::{is_outside, resolve};

/// How deep folders of the book may lie in each other.
const DEPTH_MAX: usize = 16;

/// Links of the built pages that lead nowhere.
///
/// # Errors
/// When a page cannot be read.
pub fn broken(folder: &Path) -> Result<Vec<String>> {
    let mut pages = BTreeMap::new();
    read(folder, folder, 0, &mut pages)?;
    let mut faults = Vec::new();
    for (path, html) in &pages {
        for target in targets(html) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let leads_to = if file.is_empty() { path.clone() } else { resolve(path, file) };
            if !folder.join(&leads_to).exists() {
                faults.push(format!("{path}: {target} leads to no file"));
            } else if let Some(page) = pages.get(&leads_to)
                && !heading.is_empty()
                && !page.contains(&format!("id=\"{heading}\""))
            {
                faults.push(format!("{path}: {target} leads to no heading"));
            }
        }
    }
    Ok(faults)
}

fn read(top: &Path, folder: &Path, depth: usize, pages: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path: PathBuf = entry?.path();
        if path.is_dir() && depth < DEPTH_MAX {
            read(top, &path, depth + 1, pages)?;
        } else if path.extension().is_some_and(|ending| ending == "html") {
            let name = path.strip_prefix(top)?.to_string_lossy().into_owned();
            // It has links to its own lines only, made by a program in the page.
            if name != "print.html" {
                pages.insert(name, fs::read_to_string(&path)?);
            }
        }
    }
    Ok(())
}

/// What the content of a page leads to within the book.
fn targets(html: &str) -> impl Iterator<Item = &str> {
    let content = html.split("<main>").nth(1).unwrap_or_default().split("</main>").next().unwrap_or_default();
    // What code shows is no link.
    let outside =
        content.split("<code").map(|part| part.split_once("</code>").map_or(part, |(_, after)| after));
    let attributes = [" href=\"", " src=\"", " srcset=\""];
    let found =
        outside.flat_map(move |part| attributes.into_iter().flat_map(move |name| part.split(name).skip(1)));
    let targets = found.filter_map(|rest| rest.split('"').next());
    targets.filter(|target| !target.is_empty() && !is_outside(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_lead_nowhere_are_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
        write(
            "a.html",
            "<main><a href=\"b.html#x\">b</a> <a href=\"b.html#y\">b</a> <img src=\"c.svg\"></main>",
        );
        write(
            "b.html",
            "<main><h1 id=\"x\"></h1><a href=\"https://x.y/z\"></a><code>&lt;img src=\"N\"></code></main>",
        );
        let faults = broken(folder.path()).expect("pages");
        assert_eq!(faults, ["a.html: b.html#y leads to no heading", "a.html: c.svg leads to no file"]);
    }
}
