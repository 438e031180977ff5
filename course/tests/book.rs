//! The book cannot rot: what it says is run, measured and looked up again.
//!
//! `COURSE_CHAPTER=06 cargo test -p course --test book` checks one chapter.
#![cfg(not(target_os = "hermit"))]

use std::env;
use std::fs;
use std::path::Path;

use anyhow::Result;
use course::book::folders::PAGES;
use course::book::markdown::Page;
use course::book::{blocks, chapter, figures, html, links, mdbook};
use image_build::tool::workspace::Workspace;

/// Chooses a chapter.
const CHAPTER: &str = "COURSE_CHAPTER";

fn workspace() -> Workspace {
    Workspace::find().expect("the workspace")
}

/// The pages of the book, in the order of their names.
fn pages(workspace: &Workspace) -> Result<Vec<Page>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(workspace.root.join(PAGES))? {
        paths.push(format!("{PAGES}/{}", entry?.file_name().to_string_lossy()));
    }
    paths.retain(|path| path.ends_with(".md"));
    paths.sort();
    let chosen = env::var(CHAPTER).unwrap_or_default();
    paths.retain(|path| path.contains(&format!("/{chosen}")));
    paths.iter().map(|path| Page::read(&workspace.root, path)).collect()
}

fn chapters(workspace: &Workspace) -> Vec<Page> {
    let pages = pages(workspace).expect("the pages of the book");
    pages.into_iter().filter(|page| chapter::number(page).is_some()).collect()
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn commands_print_what_the_book_says() {
    let workspace = workspace();
    let pages = pages(&workspace).expect("the pages of the book");
    // The reader's own work is neither read nor changed.
    let work = tempfile::tempdir().expect("a folder");
    let variables = [("COURSE_WORK", work.path())];
    let check = |page: &Page| blocks::check(&workspace.root, page, &variables).expect("a shell");
    assert_none(&pages.iter().flat_map(check).collect::<Vec<String>>());
}

#[test]
fn figures_are_measured_again() {
    let workspace = workspace();
    let figures = figures::read(&workspace.root).expect("the figures");
    assert_none(&figures::measure(&workspace.root, &figures).expect("a shell"));
}

#[test]
fn figures_in_the_text_are_those_of_the_file() {
    let workspace = workspace();
    let figures = figures::read(&workspace.root).expect("the figures");
    let pages = pages(&workspace).expect("the pages of the book");
    let mut faults = figures::disagreements(&pages, &figures);
    if env::var_os(CHAPTER).is_some() {
        faults.retain(|fault| !fault.contains("no page names"));
    }
    assert_none(&faults);
}

#[test]
fn links_and_paths_lead_somewhere() {
    let workspace = workspace();
    assert_none(&links::broken(&workspace.root, &pages(&workspace).expect("the pages of the book")));
}

#[test]
fn chapters_have_their_sections_in_order() {
    assert_none(&chapters(&workspace()).iter().flat_map(chapter::malformed).collect::<Vec<String>>());
}

#[test]
fn exercises_are_those_of_the_chapters() {
    let workspace = workspace();
    let mut faults = chapter::exercises(&workspace.root, &chapters(&workspace)).expect("the exercises");
    if env::var_os(CHAPTER).is_some() {
        faults.retain(|fault| !fault.contains("no chapter names"));
    }
    assert_none(&faults);
}

#[test]
fn pictures_are_there_in_light_and_dark() {
    let workspace = workspace();
    let pages = pages(&workspace).expect("the pages of the book");
    let faults = pages.iter().flat_map(|page| chapter::pictures(&workspace.root, page));
    assert_none(&faults.collect::<Vec<String>>());
}

#[test]
fn the_built_book_leads_nowhere_wrong() {
    let tool = Path::new(env!("CARGO_BIN_EXE_course"));
    let folder = mdbook::build(&workspace(), tool).expect("mdBook builds the book");
    for name in ["index.html", "01-run-it.html", "12-measuring.html", "glossary.html"] {
        assert!(folder.join(name).is_file(), "{} has no {name}", folder.display());
    }
    assert_none(&html::broken(&folder).expect("the built pages"));
}
