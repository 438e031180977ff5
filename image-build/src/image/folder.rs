//! Images of packages that need not be of this workspace: a folder with a `Cargo.toml`, wherever it is.
//!
//! It is built as this workspace's programs are: the same toolchain, profile and target directory. Without a
//! `Cargo.lock` of its own it begins with this workspace's, so that both have the same versions of what they share.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use sha2::{Digest, Sha256};

use crate::image::compile::{self, Compilation};
use crate::image::loader::{self, Loader};
use crate::image::{Image, forbidden, is_building_forbidden, make};
use crate::tool::files::{hex, write_whole};
use crate::tool::workspace::Workspace;
use crate::toolchain::libraries;

/// Digits that tell folders apart whose packages have one name.
const DIGEST_CHARS: usize = 12;

/// Builds the program of the package in this folder for Hermit, in the profile of images, and makes an image of it.
///
/// # Errors
/// When there is no such package, it has no program of its name, or building it fails.
pub fn build_folder(workspace: &Workspace, folder: &Path) -> Result<Image> {
    let toolchain = libraries::ensure(workspace)?;
    let name = package(workspace, folder)?;
    let files = Files::of(workspace, folder, &name)?;
    if is_building_forbidden() {
        let file = fs::metadata(&files.image).with_context(|| format!("{name} has not been built"));
        let bytes = file.with_context(forbidden)?.len();
        return Ok(Image { name, path: files.image, bytes, program: files.program });
    }
    let loader = Loader::parse(&fs::read(loader::ensure(workspace, &toolchain)?)?)?;
    let compilation =
        Compilation { folder, packages: &[], target: &workspace.target, profile: &compile::IMAGE };
    let program = compilation.run(&toolchain, &name)?.into_iter().find(|(target, _)| *target == name);
    let (_, elf) = program.with_context(|| format!("the package {name} has no program of its name"))?;
    // Another package of this name would take its place where cargo puts it.
    let bytes = fs::read(&elf).with_context(|| format!("cannot read {}", elf.display()))?;
    write_whole(&files.program, &bytes)?;
    make(&loader, &files.program, &name, &files.image)
}

/// The files of an image.
struct Files {
    image: PathBuf,
    program: PathBuf,
}

impl Files {
    fn of(workspace: &Workspace, folder: &Path, name: &str) -> Result<Self> {
        let folder = fs::canonicalize(folder).with_context(|| format!("cannot find {}", folder.display()))?;
        let digest = hex(&Sha256::digest(folder.as_os_str().as_encoded_bytes()));
        let file = |kind| format!("{name}-{}.{kind}", &digest[..DIGEST_CHARS]);
        let state = workspace.state()?;
        Ok(Self { image: state.join(file("img")), program: state.join(file("elf")) })
    }
}

/// The name of the package in a folder, whose workspace has a `Cargo.lock` from here on.
fn package(workspace: &Workspace, folder: &Path) -> Result<String> {
    let manifest = folder.join("Cargo.toml");
    ensure!(manifest.is_file(), "{} is no cargo package: it has no Cargo.toml", folder.display());
    let metadata = MetadataCommand::new().manifest_path(&manifest).no_deps().exec();
    let metadata = metadata.with_context(|| format!("cargo cannot read {}", manifest.display()))?;
    let package = of_folder(&metadata, &manifest)?;
    let lock = metadata.workspace_root.as_std_path().join("Cargo.lock");
    if !lock.exists() {
        let own = workspace.root.join("Cargo.lock");
        fs::copy(&own, &lock).with_context(|| format!("cannot write {}", lock.display()))?;
    }
    Ok(package.name.to_string())
}

fn of_folder<'a>(metadata: &'a Metadata, manifest: &Path) -> Result<&'a Package> {
    let manifest = fs::canonicalize(manifest)?;
    let is_meant =
        |package: &&Package| fs::canonicalize(&package.manifest_path).is_ok_and(|path| path == manifest);
    let package = metadata.packages.iter().find(is_meant);
    package
        .with_context(|| format!("{} is a workspace and no package: name one's folder", manifest.display()))
}
