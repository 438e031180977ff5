//! The images of the services, from the layers that `cargo image oci` makes: plain programs, or QEMU and unikernels.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow};
use image_build::oci::description::{NOBODY, RUNNER};
use image_build::oci::{Kind, ServiceLayers, layers};

use super::engine::Engine;
use crate::context::Context;
use crate::substrate::instance::Program;

/// Where Docker finds out how an image is made, beside its layers.
const RECIPE: &str = "Dockerfile";

/// Builds the layers, while there is a network.
///
/// # Errors
/// When a service cannot be built, or there is no room.
pub fn prepare(context: &Context, kind: Kind) -> Result<()> {
    let names = Program::SERVICES.map(Program::package);
    for ServiceLayers { name, layers } in layers(&context.workspace, kind, &names)? {
        let folder = folder(context, kind, &name)?;
        fs::create_dir_all(&folder).with_context(|| format!("no room for {}", folder.display()))?;
        for (number, bytes) in layers.iter().enumerate() {
            fs::write(folder.join(layer(number)), bytes).context("no room for a layer")?;
        }
        let recipe = recipe(&entry(kind, &name), layers.len());
        fs::write(folder.join(RECIPE), recipe).context("no room for a recipe")?;
    }
    Ok(())
}

/// Has the daemon of this process build the images, at the first call, and saves the vote service's as it is shipped.
///
/// # Errors
/// When it does not.
pub fn build(context: &Context, engine: &Engine, kind: Kind) -> Result<()> {
    static BUILT: [OnceLock<Result<(), String>>; 2] = [const { OnceLock::new() }; 2];
    let build = || -> Result<()> {
        for program in Program::SERVICES {
            build_one(context, engine, kind, program.package())?;
        }
        let file = saved(context, kind)?.display().to_string();
        let arguments = ["image", "save", "--output", &file, &tag(engine, kind, Program::Vote.package())];
        engine.run(&arguments.map(str::to_owned), "saving the vote service's image").map(drop)
    };
    let built = BUILT[usize::from(kind == Kind::Runner)]
        .get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.clone().map_err(|error| anyhow!(error))
}

fn build_one(context: &Context, engine: &Engine, kind: Kind, package: &str) -> Result<()> {
    let folder = folder(context, kind, package)?.display().to_string();
    let (label, tag) = (engine.names.label(), tag(engine, kind, package));
    let arguments = ["image", "build", "--quiet", "--label", &label, "--tag", &tag, &folder];
    engine.run(&arguments.map(str::to_owned), &format!("building the image of {package}")).map(drop)
}

/// The tag of a package's image.
pub fn tag(engine: &Engine, kind: Kind, package: &str) -> String {
    engine.names.image(&name(kind, package))
}

/// The vote service's image as it is shipped.
///
/// # Errors
/// When there is no folder for it.
pub fn saved(context: &Context, kind: Kind) -> Result<PathBuf> {
    Ok(folder(context, kind, Program::Vote.package())?.with_extension("tar"))
}

/// The file in the daemon's data that containers of the vote service run, where that is one.
pub fn stored_executable(engine: &Engine, kind: Kind) -> Option<PathBuf> {
    if kind != Kind::Container {
        return None;
    }
    let package = Program::Vote.package();
    let image = engine.describe(&format!("/images/{}/json", tag(engine, kind, package))).ok()?;
    let layer = image["GraphDriver"]["Data"]["UpperDir"].as_str()?;
    Some(Path::new(layer).join(package))
}

fn name(kind: Kind, package: &str) -> String {
    if kind == Kind::Runner { format!("{package}-runner") } else { package.to_owned() }
}

fn entry(kind: Kind, package: &str) -> String {
    if kind == Kind::Runner { RUNNER.to_owned() } else { format!("/{package}") }
}

fn folder(context: &Context, kind: Kind, package: &str) -> Result<PathBuf> {
    Ok(context.artifacts("docker")?.join(name(kind, package)))
}

fn layer(number: usize) -> String {
    format!("layer-{number}.tar.gz")
}

/// Docker unpacks the layers as they are.
fn recipe(entry: &str, layers: usize) -> String {
    let add: String = (0..layers).map(|number| format!("ADD {} /\n", layer(number))).collect();
    format!("FROM scratch\n{add}USER {NOBODY}:{NOBODY}\nENTRYPOINT [\"{entry}\"]\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_its_layers_and_an_ordinary_user() {
        assert_eq!(
            recipe("/runner", 2),
            "FROM scratch\nADD layer-0.tar.gz /\nADD layer-1.tar.gz /\nUSER 65534:65534\nENTRYPOINT [\"/runner\"]\n"
        );
    }
}
