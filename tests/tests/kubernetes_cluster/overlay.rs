//! The overlays that are tried, and the images that each uses.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The namespace that all overlays make.
pub const NAMESPACE: &str = "voting-app";
/// The packages whose images overlays may use.
pub const PACKAGES: [&str; 4] = ["store-service", "worker", "vote-service", "result-service"];

/// Where overlays are.
pub const OVERLAYS_FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/kubernetes/overlays");

/// An overlay, and how its images are made.
#[derive(Clone, Copy, Debug)]
pub struct Overlay {
    /// Its folder in `deploy/kubernetes/overlays`.
    pub name: &'static str,
    /// The option of `cargo image oci` that makes its images.
    pub option: &'static str,
}

/// Those that need no KVM.
pub const OVERLAYS: [Overlay; 2] =
    [Overlay { name: "containers", option: "--container" }, Overlay { name: "runner", option: "--runner" }];

impl Overlay {
    /// Its folder.
    pub fn folder(self) -> PathBuf {
        Path::new(OVERLAYS_FOLDER).join(self.name)
    }
}

/// An image as manifests name it, and the package that it is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Used {
    /// Its name with registry and tag, as containerd keeps it.
    pub reference: String,
    /// One of [`PACKAGES`].
    pub package: &'static str,
}

/// The images that built manifests name.
///
/// # Errors
/// When there are none, or one is not made from this repository.
pub fn used_images(manifests: &str) -> Result<Vec<Used>> {
    let lines = manifests.lines().map(|line| line.trim().trim_start_matches("- "));
    let names = lines
        .filter_map(|line| line.strip_prefix("image:"))
        .map(|name| name.trim().trim_matches(['"', '\'']));
    let mut used: Vec<Used> = names.map(used).collect::<Result<_>>()?;
    used.sort();
    used.dedup();
    if used.is_empty() {
        bail!("the overlay names no image");
    }
    Ok(used)
}

fn used(name: &str) -> Result<Used> {
    let repository = name.split('@').next().unwrap_or(name);
    let last = repository.rsplit('/').next().unwrap_or(repository);
    let plain = last.split(':').next().unwrap_or(last);
    let package = PACKAGES.into_iter().find(|package| plain.starts_with(package));
    let package =
        package.with_context(|| format!("the overlay uses {name}, which `cargo image oci` does not make"))?;
    Ok(Used { reference: whole(name), package })
}

/// A name with everything that engines add to a short one (distribution/reference, normalize).
fn whole(name: &str) -> String {
    let first = name.split_once('/').map_or("", |(first, _)| first);
    let is_registry = first.contains(['.', ':']) || first == "localhost";
    let prefix = match (is_registry, name.contains('/')) {
        (true, _) => "",
        (false, true) => "docker.io/",
        (false, false) => "docker.io/library/",
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    let tag = if last.contains([':', '@']) { "" } else { ":latest" };
    format!("{prefix}{name}{tag}")
}
