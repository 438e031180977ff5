//! `cargo image new NAME`: a folder with a service that works, and its entries in the workspace and in the description
//! of an application.
//!
//! Everything is checked and worked out before the first file is written; when writing fails, what was written goes.

mod description;
mod manifest;
mod name;
mod template;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::new::template::File;
use crate::tool::files::write_whole;
use crate::tool::workspace::Workspace;

/// The options of `cargo image new`.
#[derive(Args, Debug)]
pub struct Options {
    /// The name of the service, of its package and of its folder, which is made here
    pub name: String,
    /// The description of the application that it becomes a part of; made if it is missing [default: voting-app.toml
    /// of this workspace]
    #[arg(long, value_name = "TOML")]
    pub file: Option<PathBuf>,
}

/// What was made.
#[derive(Debug)]
pub struct Created {
    /// The folder of the package.
    pub folder: PathBuf,
    /// The description that lists the service.
    pub description: PathBuf,
    /// Whether it is a member of the workspace.
    pub is_member: bool,
    /// The port of the host at which `cargo up` publishes it.
    pub port: u16,
}

/// A file, as it was and as it is to be.
struct Change {
    path: PathBuf,
    before: Option<String>,
    after: String,
}

/// Makes a service in a new folder of `parent`.
///
/// # Errors
/// When the name cannot be used or is taken, or something cannot be read or written. Then nothing is changed.
pub fn create(workspace: &Workspace, parent: &Path, options: &Options) -> Result<Created> {
    let name = options.name.as_str();
    name::check(name)?;
    name::check_unused(workspace, name)?;
    let parent = fs::canonicalize(parent).with_context(|| format!("cannot find {}", parent.display()))?;
    let folder = parent.join(name);
    ensure!(
        fs::symlink_metadata(&folder).is_err(),
        "{} is there already: give another name, or work in another folder",
        folder.display()
    );
    let description = options.file.clone().unwrap_or_else(|| workspace.description());
    let description = parent.join(description);
    let listed = Change::read(&description)?;
    let (text, port) = description::with_service(listed.before.as_deref(), &description, &folder, name)?;
    let mut changes = vec![Change { after: text, ..listed }];
    let root = Change::read(&workspace.manifest())?;
    let manifest = root.before.clone().context("the workspace has no Cargo.toml")?;
    let member = manifest::with_member(&manifest, &workspace.root, &folder)?;
    let is_member = member.is_some();
    changes.extend(member.map(|after| Change { after, ..root }));
    let mut files = template::files(name);
    if !is_member {
        manifest::stand_alone(&mut files, &manifest, &workspace.root)?;
    }
    write(workspace, &folder, &files, &changes)?;
    Ok(Created { folder, description, is_member, port })
}

/// Writes the folder and the changes, or none of them.
fn write(workspace: &Workspace, folder: &Path, files: &[File], changes: &[Change]) -> Result<()> {
    let parent = folder.parent().context("a folder has a parent")?;
    // Under another name at first: a folder of this one is whole.
    let building = tempfile::Builder::new().prefix(".new-").tempdir_in(parent);
    let building = building.with_context(|| format!("cannot write in {}", parent.display()))?;
    for file in files {
        let path = building.path().join(file.path);
        fs::create_dir_all(path.parent().unwrap_or(building.path()))?;
        write_whole(&path, file.text.as_bytes())?;
    }
    // One who watches `parent` sees what others may see of folders there.
    fs::set_permissions(building.path(), fs::metadata(parent)?.permissions())?;
    let built = building.keep();
    if let Err(error) = fs::rename(&built, folder) {
        let _ = fs::remove_dir_all(&built);
        return Err(error).with_context(|| format!("cannot write {}", folder.display()));
    }
    let written = changes.iter().try_for_each(Change::make).and_then(|()| workspace.packages().map(drop));
    written.inspect_err(|_| {
        // There is nobody to tell that this fails as well: the error is of the same disk.
        let _ = fs::remove_dir_all(folder);
        changes.iter().for_each(Change::take_back);
    })
}

impl Change {
    /// A file as it is, or is not yet.
    fn read(path: &Path) -> Result<Self> {
        let before = match fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => bail!("cannot read {}: {error}", path.display()),
        };
        Ok(Self { path: path.to_owned(), before, after: String::new() })
    }

    fn make(&self) -> Result<()> {
        write_whole(&self.path, self.after.as_bytes())
    }

    fn take_back(&self) {
        let _ = match &self.before {
            Some(text) => write_whole(&self.path, text.as_bytes()),
            None => fs::remove_file(&self.path).map_err(Into::into),
        };
    }
}

#[cfg(test)]
mod tests;
