//! Pages of the repository's files, for the built book: a link from a chapter to a file of the repository leads to a
//! page that shows it. On a forge the same link leads to the file itself.
//!
//! mdBook runs this as a preprocessor: it gives the book as JSON, and takes back a changed one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use image_build::tool::workspace::Workspace;
use serde_json::{Value, json};

use crate::book::folders::PAGES;
use crate::book::links::{is_outside, resolve};
use crate::book::markdown::Page;

/// The folder of these pages in the book.
const FOLDER: &str = "repository";
/// How many pages are made.
const PAGES_MAX: usize = 600;
/// The largest file that is shown.
const FILE_BYTES_MAX: u64 = 400_000;
/// The book that mdBook gives may be this large.
const INPUT_BYTES_MAX: u64 = 64 << 20;

/// Answers mdBook: whether a renderer is supported, or the changed book.
///
/// # Errors
/// When mdBook gives something else than a book.
pub fn preprocess(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if let [question, renderer] = arguments {
        let is_html = question == "supports" && renderer == "html";
        return if is_html { Ok(()) } else { bail!("only HTML is supported, not {question} {renderer}") };
    }
    let mut text = String::new();
    std::io::stdin().take(INPUT_BYTES_MAX).read_to_string(&mut text).context("mdBook gives no text")?;
    let mut given: [Value; 2] = serde_json::from_str(&text).context("mdBook gives no context and book")?;
    add_pages(&workspace.root, &mut given[1])?;
    say!("{}", given[1])?;
    Ok(())
}

/// Adds the pages that the chapters lead to, and makes their links lead there.
fn add_pages(root: &Path, book: &mut Value) -> Result<()> {
    let mut chapters = BTreeMap::new();
    collect(book, &mut chapters);
    let files = reached(root, chapters.values());
    change(book, &|path, content| {
        let page = Page::parse(&format!("{PAGES}/{path}"), content.to_owned());
        redirect(&page, &files)
    });
    let items = ["items", "sections"].into_iter().find(|name| book.get(name).is_some()).unwrap_or("items");
    let items = book.get_mut(items).and_then(Value::as_array_mut).context("the book has no items")?;
    for file in &files {
        let path = format!("{FOLDER}/{file}.md");
        items.push(json!({ "Chapter": {
            "name": file, "content": shown(root, file, &files), "number": null, "sub_items": [],
            "path": path, "source_path": null, "parent_names": [],
        } }));
    }
    Ok(())
}

/// The chapters of a book, by path.
fn collect(book: &Value, chapters: &mut BTreeMap<String, Page>) {
    if let (Some(path), Some(content)) = (book["path"].as_str(), book["content"].as_str()) {
        let page = Page::parse(&format!("{PAGES}/{path}"), content.to_owned());
        chapters.insert(path.to_owned(), page);
    }
    let inner: Vec<&Value> = match book {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => return,
    };
    inner.into_iter().for_each(|value| collect(value, chapters));
}

/// Changes the content of each chapter.
fn change(book: &mut Value, new: &impl Fn(&str, &str) -> String) {
    if let (Some(path), Some(content)) = (book["path"].as_str(), book["content"].as_str()) {
        book["content"] = Value::String(new(path, content));
    }
    match book {
        Value::Object(fields) => fields.values_mut().for_each(|value| change(value, new)),
        Value::Array(items) => items.iter_mut().for_each(|value| change(value, new)),
        _ => {}
    }
}

/// The files and folders of the repository that the chapters lead to, also by way of other documents.
fn reached<'a>(root: &Path, chapters: impl Iterator<Item = &'a Page>) -> BTreeSet<String> {
    let mut waiting: VecDeque<String> = chapters.flat_map(targets).collect();
    let mut files = BTreeSet::new();
    while let Some(path) = waiting.pop_front() {
        if files.len() == PAGES_MAX || files.contains(&path) || !root.join(&path).exists() {
            continue;
        }
        if path.ends_with(".md")
            && let Ok(page) = Page::read(root, &path)
        {
            waiting.extend(targets(&page));
        }
        files.insert(path);
    }
    files
}

/// The paths outside of the book that a page leads to.
fn targets(page: &Page) -> Vec<String> {
    let links = page.links.iter().filter(|link| !link.is_picture && !is_outside(&link.target));
    let paths = links.filter_map(|link| link.target.split('#').next()).filter(|file| !file.is_empty());
    let paths = paths.map(|file| resolve(&page.path, file));
    paths.filter(|path| !path.is_empty() && !is_of_book(path)).collect()
}

fn is_of_book(path: &str) -> bool {
    path.strip_prefix(PAGES).is_some_and(|rest| rest.starts_with('/'))
}

/// A page's text with links that lead to pages of the repository instead of its files.
fn redirect(page: &Page, files: &BTreeSet<String>) -> String {
    let mut text = page.text.clone();
    // From the last to the first, so that places before them stay.
    let mut links: Vec<_> = page.links.iter().filter(|link| !is_outside(&link.target)).collect();
    links.sort_by_key(|link| std::cmp::Reverse(link.at.start));
    for link in links {
        let (file, heading) = link.target.split_once('#').unwrap_or((&link.target, ""));
        let path = resolve(&page.path, file);
        let is_kept = is_of_book(&path) && is_of_book(&page.path) && !is_first(&path);
        if file.is_empty() || is_kept {
            continue;
        }
        let old = &page.text[link.at.clone()];
        let new = match (link.is_picture, files.contains(&path), is_of_book(&path)) {
            (true, ..) => format!("*{}*", link.text),
            (false, true, _) => old.replacen(
                &format!("]({}", link.target),
                &format!("]({}", to_page(page, &path, heading)),
                1,
            ),
            (false, false, true) => old.replacen(
                &format!("]({}", link.target),
                &format!("]({}", to_book(page, &path, heading)),
                1,
            ),
            (false, false, false) => link.text.clone(),
        };
        text.replace_range(link.at.clone(), &new);
    }
    text
}

/// A link to the page of a file. Only documents have headings.
fn to_page(from: &Page, path: &str, heading: &str) -> String {
    let heading = if heading.is_empty() || !path.ends_with(".md") { "" } else { &format!("#{heading}") };
    format!("{}{FOLDER}/{path}.md{heading}", up(from))
}

fn to_book(from: &Page, path: &str, heading: &str) -> String {
    let heading = if heading.is_empty() { String::new() } else { format!("#{heading}") };
    // mdBook calls the first page so.
    let name = if is_first(path) { "index.md" } else { &path[PAGES.len() + 1..] };
    format!("{}{name}{heading}", up(from))
}

/// Whether this is the book's first page.
fn is_first(path: &str) -> bool {
    path.strip_prefix(PAGES) == Some("/README.md")
}

/// The way from a page to the top of the book.
fn up(from: &Page) -> String {
    if is_of_book(&from.path) { String::new() } else { "../".repeat(from.path.matches('/').count() + 1) }
}

/// What the page of a file shows.
fn shown(root: &Path, path: &str, files: &BTreeSet<String>) -> String {
    let file = root.join(path);
    let title = format!("# `{path}`\n\n");
    if file.is_dir() {
        return title + &folder(&file, path, files);
    }
    let size = fs::metadata(&file).map_or(0, |file| file.len());
    match fs::read_to_string(&file) {
        Ok(_) if size > FILE_BYTES_MAX => {
            format!("{title}This file is {size} bytes large: see the repository.\n")
        }
        Ok(text) if path.ends_with(".md") => redirect(&Page::parse(path, text), files),
        Ok(text) => title + &fenced(path, &text),
        Err(_) => format!("{title}This file is no text: see the repository.\n"),
    }
}

/// The entries of a folder, with links to those that have a page.
fn folder(folder: &Path, path: &str, files: &BTreeSet<String>) -> String {
    let Ok(entries) = fs::read_dir(folder) else { return String::new() };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let from = Page { path: path.to_owned(), ..Page::default() };
    let line = |name: &String| {
        let entry = format!("{path}/{name}");
        match files.contains(&entry) {
            true => format!("- [`{name}`]({})\n", to_page(&from, &entry, "")),
            false => format!("- `{name}`\n"),
        }
    };
    names.iter().map(line).collect()
}

/// A file as a block of code, within a fence that it does not contain.
fn fenced(path: &str, text: &str) -> String {
    let language = match path.rsplit('.').next() {
        // Not `rust`: mdBook hides lines of it that begin with `#` and a blank.
        Some("rs") => "rs",
        Some("toml") => "toml",
        Some("s") => "x86asm",
        Some("sh") => "bash",
        Some("yml" | "yaml") => "yaml",
        _ => "text",
    };
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{text}\n{fence}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_pages_of_the_files() {
        let root = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(root.path().join("docs/x")).expect("a folder");
        fs::write(root.path().join("a.rs"), "let x = \"```\";\n").expect("a file");
        fs::write(root.path().join("docs/b.md"), "# B\n[c](x) [d](course/src/01-a.md#e) ![v](v.png)\n")
            .expect("a file");
        let content =
            "[a](../../../a.rs#L3) [b](../../b.md#b) [c](02-c.md) [gone](../../gone.md) [i](README.md)";
        let mut book = json!({ "items": [
            { "Chapter": { "name": "A", "path": "01-a.md", "content": content, "sub_items": [] } },
        ] });
        add_pages(root.path(), &mut book).expect("a book");
        let contents: Vec<&str> = book["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|item| item["Chapter"]["content"].as_str().expect("text"))
            .collect();
        assert_eq!(
            contents[0],
            "[a](repository/a.rs.md) [b](repository/docs/b.md.md#b) [c](02-c.md) gone [i](index.md)"
        );
        assert_eq!(contents[1], "# `a.rs`\n\n````rs\nlet x = \"```\";\n\n````\n");
        assert_eq!(contents[2], "# B\n[c](../../repository/docs/x.md) [d](../../01-a.md#e) *v*\n");
        assert_eq!(contents[3], "# `docs/x`\n\n");
    }
}
