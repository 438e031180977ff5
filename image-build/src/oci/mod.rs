//! `cargo image oci`: images of the Open Container Initiative, which other engines start.
//!
//! One image holds one service, as a unikernel or as a plain program. The same input gives the same bytes.

mod contents;
pub mod description;
mod layer;
mod layout;
mod qemu_files;
mod registry;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result};
use clap::Args;

use crate::image;
use crate::image::manifest;
use crate::linux::static_program;
use crate::tool::workspace::Workspace;
use layer::Layer;
use layout::{Image, Layout, Written};
use registry::Destination;

/// The package of the program that runs a unikernel in a container.
const RUNNER: &str = "runner";

/// What an image of a service holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The unikernel alone, for engines that boot one.
    Unikernel,
    /// The unikernel with QEMU and what runs it, for any engine of containers.
    Runner,
    /// The same service as a plain program.
    Container,
}

/// What `cargo image oci` is told.
#[derive(Args, Debug)]
pub struct Options {
    /// The services, such as vote or vote-service [default: all images]
    services: Vec<String>,
    /// Where the images go: a folder, or an archive whose name ends in .tar [default: target/hermit/oci]
    #[arg(long, value_name = "DIR|FILE.tar")]
    output: Option<PathBuf>,
    /// Also push them; {service} stands for an image's name
    #[arg(long, value_name = "REGISTRY/NAME:TAG")]
    push: Option<String>,
    /// Give a tag to these images that the registry has for another one
    #[arg(long, requires = "push")]
    replace: bool,
    /// Images that run on any engine of containers: the unikernel, with QEMU as it is here, and what runs it
    #[arg(long)]
    runner: bool,
    /// Plain containers of the same services, to compare with
    #[arg(long, conflicts_with = "runner")]
    container: bool,
}

/// Writes the images, and pushes them.
///
/// # Errors
/// When a service cannot be built, there is no room, or the registry refuses.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let known = manifest::read(workspace)?;
    let names = names(&options.services, &known.keys().map(String::as_str).collect::<Vec<_>>())?;
    let destination =
        options.push.as_deref().map(|text| Destination::parse(text, names.len())).transpose()?;
    let mut layout = Layout::default();
    let mut written = Vec::new();
    for image in images(workspace, options.kind(), &names, &known)? {
        written.push(layout.add(image)?);
    }
    let output = match &options.output {
        Some(output) => std::path::absolute(output)?,
        None => workspace.state()?.join(options.kind().folder()),
    };
    let is_archive = output.extension().is_some_and(|extension| extension == "tar");
    if is_archive {
        layout.write_archive(&output)?
    } else {
        layout.write_folder(&output)?
    }
    tell(&written, &output)?;
    let push = |to| registry::push(&output, is_archive, &written, &to, options.replace);
    destination.map_or(Ok(()), push)
}

/// The contents of a service's image.
#[derive(Debug)]
pub struct ServiceLayers {
    /// The service's image, such as `vote-service`.
    pub name: String,
    /// Compressed archives, the lowest one first.
    pub layers: Vec<Rc<[u8]>>,
}

/// The layers of these services' images.
///
/// # Errors
/// When a service cannot be built.
pub fn layers(workspace: &Workspace, kind: Kind, names: &[&str]) -> Result<Vec<ServiceLayers>> {
    let images = images(workspace, kind, names, &manifest::read(workspace)?)?;
    let layers = |image: Image| ServiceLayers {
        name: image.name,
        layers: image.layers.into_iter().map(|layer| layer.bytes).collect(),
    };
    Ok(images.into_iter().map(layers).collect())
}

/// Writes the image of any static program of the workspace, as a layout in `folder`.
///
/// # Errors
/// When the program cannot be built, or there is no room.
pub fn program_image(workspace: &Workspace, package: &str, folder: &Path) -> Result<()> {
    static_program::build(workspace, &[package])?;
    let program = static_program::built(workspace, package)?;
    let mut layout = Layout::default();
    layout.add(contents::container(package, &program, &manifest::Image::default())?)?;
    layout.write_folder(folder)
}

/// The images that are meant: each by its name, or without `-service` behind it.
fn names<'a>(wanted: &[String], known: &[&'a str]) -> Result<Vec<&'a str>> {
    if wanted.is_empty() {
        return Ok(known.to_vec());
    }
    let find = |wanted: &String| {
        let is_meant = |name: &&&str| **name == wanted || name.strip_suffix("-service") == Some(wanted);
        let name = known.iter().find(is_meant).copied();
        name.with_context(|| format!("there is no image {wanted}: give some of {}", known.join(", ")))
    };
    let mut names: Vec<&str> = wanted.iter().map(find).collect::<Result<_>>()?;
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

impl Options {
    fn kind(&self) -> Kind {
        match (self.runner, self.container) {
            (true, _) => Kind::Runner,
            (_, true) => Kind::Container,
            _ => Kind::Unikernel,
        }
    }
}

impl Kind {
    /// Where images of this kind go.
    fn folder(self) -> &'static str {
        match self {
            Self::Unikernel => "oci",
            Self::Runner => "oci-runner",
            Self::Container => "oci-container",
        }
    }
}

fn images(
    workspace: &Workspace,
    kind: Kind,
    names: &[&str],
    known: &BTreeMap<String, manifest::Image>,
) -> Result<Vec<Image>> {
    if kind == Kind::Container {
        static_program::build(workspace, names)?;
        let image =
            |name: &&str| contents::container(name, &static_program::built(workspace, name)?, &known[*name]);
        return names.iter().map(image).collect();
    }
    let built = image::build(workspace, names)?;
    let runs = (kind == Kind::Runner).then(|| what_runs_it(workspace)).transpose()?;
    let image = |image::Image { name, path, .. }: &image::Image| match &runs {
        Some(runs) => contents::runner(name, path, runs, &known[name]),
        None => contents::unikernel(name, path, &known[name]),
    };
    built.iter().map(image).collect()
}

fn what_runs_it(workspace: &Workspace) -> Result<Layer> {
    static_program::build(workspace, &[RUNNER])?;
    contents::what_runs_it(&static_program::built(workspace, RUNNER)?, &image::probe_image(workspace)?)
}

fn tell(images: &[Written], output: &Path) -> Result<()> {
    for Written { name, digest, bytes } in images {
        say!("{bytes:>8} bytes  {name}  {digest}")?;
    }
    note!("written to {}", output.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_meant_by_its_name_or_its_services() {
        let known = ["result-service", "vote-service", "worker"];
        let names = |wanted: &[&str]| {
            names(&wanted.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), &known)
        };
        assert_eq!(names(&[]).expect("all"), known);
        assert_eq!(names(&["worker", "vote", "vote-service"]).expect("known"), ["vote-service", "worker"]);
        let error = names(&["voter"]).expect_err("unknown").to_string();
        assert_eq!(error, "there is no image voter: give some of result-service, vote-service, worker");
    }
}
