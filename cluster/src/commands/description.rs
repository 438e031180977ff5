//! The file that describes the application of a command: which one it is, and what is in it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::application::{Application, FILE_BYTES_MAX};
use image_build::image::manifest;
use image_build::tool::workspace::Workspace;

/// The description that was named, or that of the workspace; an absolute path.
///
/// # Errors
/// When the name is empty.
pub fn find(workspace: &Workspace, named: Option<&Path>) -> Result<PathBuf> {
    let path = named.map_or_else(|| workspace.description(), Path::to_owned);
    std::path::absolute(&path).context("--file: name the description of an application")
}

/// Reads a description, whose packages to build are there.
///
/// # Errors
/// When it cannot be read, or is none; with the place in it.
pub fn read(workspace: &Workspace, path: &Path) -> Result<Application> {
    let name = path.strip_prefix(&workspace.root).unwrap_or(path).display().to_string();
    let images = manifest::read(workspace)?;
    let images: Vec<&str> = images.keys().map(String::as_str).collect();
    let mut application = Application::parse(&name, &read_text(path)?, &images)?;
    application.locate_builds(path.parent().unwrap_or(&workspace.root));
    for (service, it) in &application.services {
        if let Some(folder) = &it.build {
            ensure!(
                folder.join("Cargo.toml").is_file(),
                "{name}:{}: services.{service}.build: {} is no cargo package: it has no Cargo.toml",
                it.line,
                folder.display()
            );
        }
    }
    Ok(application)
}

/// The text of a file, of which no more is read than can be a description.
fn read_text(path: &Path) -> Result<String> {
    let read = || -> io::Result<String> {
        let mut text = String::new();
        File::open(path)?.take(FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
        Ok(text)
    };
    read().with_context(|| {
        format!("cannot read {}: give the description of the application with --file", path.display())
    })
}
