//! The list of images, from `images.toml` and from `[package.metadata.image]` of other packages of the workspace:
//! memory, disk, size budget, ports and settings of each.
//!
//! The package `cluster` combines images into an application.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::tool::workspace::Workspace;

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Memory that it gets when it runs alone.
    #[serde(default = "memory_mib")]
    pub memory_mib: u32,
    /// Size of the disk that is made when it is to keep its data; none when it has none to keep.
    pub disk_mib: Option<u32>,
    /// Most KiB that its file may have; no limit unless it is given.
    #[serde(default = "no_limit")]
    pub size_kib_max: u64,
    /// Ports that people reach it on.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// Settings when it runs alone; the caller's environment comes before them, also for those that are empty here.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// A port of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// What is behind it, for people.
    pub name: String,
    /// Scheme of the URL that is shown to people.
    #[serde(default = "http")]
    pub scheme: String,
    /// Number in the guest.
    pub guest: u16,
    /// Number on the host.
    pub host: u16,
    /// The setting that moves it, inside and outside.
    #[serde(default = "port_setting")]
    pub setting: String,
}

fn memory_mib() -> u32 {
    MEMORY_MIB_DEFAULT
}

fn no_limit() -> u64 {
    u64::MAX
}

fn http() -> String {
    "http".to_owned()
}

fn port_setting() -> String {
    "PORT".to_owned()
}

/// Memory of an image that says nothing of it, such as a program of a test.
const MEMORY_MIB_DEFAULT: u32 = 32;

impl Default for Image {
    /// A program that is not in the list: no ports, no settings, any size.
    fn default() -> Self {
        Self {
            memory_mib: MEMORY_MIB_DEFAULT,
            disk_mib: None,
            size_kib_max: no_limit(),
            ports: Vec::new(),
            environment: BTreeMap::new(),
        }
    }
}

/// Reads the list of images. The template of new services is not one of them.
///
/// # Errors
/// When it is not there or not well formed; the error names the place.
pub fn read(workspace: &Workspace) -> Result<BTreeMap<String, Image>> {
    let path = workspace.package().join("images.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut images: BTreeMap<String, Image> =
        toml::from_str(&text).with_context(|| format!("{} is not well formed", path.display()))?;
    let (packages, templates) = (workspace.packages()?, workspace.package().join("templates"));
    for package in packages.iter().filter(|package| !package.manifest_path.starts_with(&templates)) {
        if let Some(value) = package.metadata.get("image") {
            let image = serde_json::from_value(value.clone()).with_context(|| {
                format!("[package.metadata.image] of {} is not well formed", package.manifest_path)
            })?;
            images.entry(package.name.to_string()).or_insert(image);
        }
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_this_package_is_well_formed() {
        let images: BTreeMap<String, Image> =
            toml::from_str(include_str!("../../images.toml")).expect("well formed");
        let vote = &images["vote-service"].ports[0];
        assert_eq!((vote.guest, vote.host, vote.scheme.as_str()), (8080, 8080, "http"));
        for (name, image) in &images {
            assert!((8..=256).contains(&image.memory_mib), "{name}");
            assert!(image.size_kib_max <= 1300, "{name}");
        }
    }

    #[test]
    fn packages_of_the_workspace_are_listed_but_not_the_template_of_new_ones() {
        let images = read(&Workspace::find().expect("a workspace")).expect("a list of images");
        assert!(images.contains_key("greeting-page"));
        assert!(!images.contains_key("service-template"));
    }

    #[test]
    fn a_misspelt_key_is_an_error() {
        let text = "[a]\nmemory_mib = 16\nsize_kib_max = 600\nport = []\n";
        let error = toml::from_str::<BTreeMap<String, Image>>(text).expect_err("misspelt").to_string();
        assert!(error.contains("unknown field `port`"), "{error}");
    }
}
