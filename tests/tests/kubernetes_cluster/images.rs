//! The images: built by `cargo image oci` as users do it, and named as the overlay's manifests name them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::slice;

use anyhow::{Context, Result, ensure};
use image_build::oci;
use image_build::tool::workspace::Workspace;
use serde_json::{Value, json};
use tests::command::{cargo, run};

use crate::overlay::{Overlay, Used, used_images};
use crate::places::does;
use crate::requirements::Programs;

/// The image that holds a pod's namespaces.
pub const PAUSE: &str = "localhost/voting-app/pause:1";
/// The package that it is made of.
const PAUSE_PACKAGE: &str = "pause";
/// The name of an image for containerd, whatever else it is called.
const NAME: &str = "io.containerd.image.name";
/// Its name in the layout.
const PACKAGE: &str = "org.opencontainers.image.ref.name";
/// The folder of the application's images.
const SERVICES: &str = "services";
const INDEX: &str = "index.json";
const NAMES: &str = "images.json";

/// Builds what an overlay uses and what holds each pod, as archives in `folder`.
///
/// # Errors
/// When the overlay cannot be read, or something cannot be built.
pub fn build(overlay: Option<Overlay>, programs: &Programs, folder: &Path) -> Result<()> {
    let services = overlay.map(|overlay| build_services(overlay, programs, folder)).transpose()?;
    let mut used = services.unwrap_or_default();
    let pause = Used { reference: PAUSE.to_owned(), package: PAUSE_PACKAGE };
    let layout = folder.join(PAUSE_PACKAGE);
    oci::program_image(&Workspace::find()?, PAUSE_PACKAGE, &layout)?;
    archive(&layout, slice::from_ref(&pause))?;
    used.push(pause);
    let names: Vec<&str> = used.iter().map(|used| used.reference.as_str()).collect();
    fs::write(folder.join(NAMES), json!(names).to_string()).context("no room for a list of names")
}

fn build_services(overlay: Overlay, programs: &Programs, folder: &Path) -> Result<Vec<Used>> {
    let mut kustomize = programs.command("kubectl");
    let manifests = run(kustomize.arg("kustomize").arg(overlay.folder()));
    ensure!(manifests.success, "kubectl kustomize {}: {}", overlay.folder().display(), manifests.stderr);
    let used = used_images(&manifests.stdout)?;
    let packages: Vec<&str> = used.iter().map(|used| used.package).collect();
    let layout = folder.join(SERVICES);
    eprintln!("building the images of {}", packages.join(", "));
    let mut command = cargo(&["image", "oci", overlay.option, "--output"]);
    let built = run(command.arg(&layout).args(&packages));
    ensure!(built.success, "cargo image oci {}: {}", overlay.option, built.stderr);
    archive(&layout, &used)?;
    Ok(used)
}

/// The archives of a folder, and the names of the images in them.
///
/// # Errors
/// When they have not been built.
pub fn built(folder: &Path) -> Result<(Vec<PathBuf>, Vec<String>)> {
    let names = fs::read(folder.join(NAMES)).context("the images have not been built")?;
    let names = serde_json::from_slice(&names).context("the names are ours")?;
    let archives = [SERVICES, PAUSE_PACKAGE].map(|name| folder.join(name).with_extension("tar"));
    Ok((archives.into_iter().filter(|archive| archive.exists()).collect(), names))
}

/// Gives a layout's images these names, and packs it.
fn archive(layout: &Path, used: &[Used]) -> Result<()> {
    let index = layout.join(INDEX);
    let text = fs::read(&index).with_context(|| format!("{} cannot be read", index.display()))?;
    let text = serde_json::from_slice(&text).context("an index is JSON")?;
    fs::write(&index, renamed(&text, used).to_string()).context("no room for an index")?;
    let file = layout.with_extension("tar");
    does(Command::new("tar").arg("--create").arg("--file").arg(file).arg("--directory").arg(layout).arg("."))
}

/// An index whose images have these names. One that has several is there as often.
pub fn renamed(index: &Value, used: &[Used]) -> Value {
    let manifests = index["manifests"].as_array().into_iter().flatten();
    let named = manifests.flat_map(|manifest| {
        let package = &manifest["annotations"][PACKAGE];
        let names = used.iter().filter(move |used| package == used.package);
        names.map(|used| {
            let mut named = manifest.clone();
            named["annotations"] = json!({ NAME: used.reference });
            named
        })
    });
    let mut index = index.clone();
    index["manifests"] = named.collect();
    index
}
