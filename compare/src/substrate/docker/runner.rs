//! Containers in which QEMU runs the unikernels, as `cargo image oci --runner` makes them.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow};
use image_build::oci::description::{NOBODY, RUNNER};
use image_build::oci::{RunnerLayers, runner_layers};
use image_build::vm::accelerator::Accelerator;

use super::engine::Engine;
use crate::context::Context;
use crate::substrate::instance::Program;

/// Where the layers are kept between preparing and measuring, and the recipes beside them.
const FOLDER: &str = "docker-runner";
const RECIPE: &str = "Dockerfile";
const KVM: &str = "/dev/kvm";

/// Builds the layers of the images.
///
/// # Errors
/// When a service cannot be built, or there is no room.
pub fn prepare(context: &Context) -> Result<()> {
    let names = Program::SERVICES.map(Program::package);
    for RunnerLayers { name, layers } in runner_layers(&context.workspace, &names)? {
        let folder = folder(context, &name)?;
        fs::create_dir_all(&folder).with_context(|| format!("no room for {}", folder.display()))?;
        for (number, bytes) in layers.iter().enumerate() {
            fs::write(folder.join(layer(number)), bytes).context("no room for a layer")?;
        }
        fs::write(folder.join(RECIPE), recipe(layers.len())).context("no room for a recipe")?;
    }
    Ok(())
}

fn folder(context: &Context, package: &str) -> Result<PathBuf> {
    Ok(context.artifacts(FOLDER)?.join(package))
}

fn layer(number: usize) -> String {
    format!("layer-{number}.tar.gz")
}

/// Docker unpacks the layers as they are.
fn recipe(layers: usize) -> String {
    let add: String = (0..layers).map(|number| format!("ADD {} /\n", layer(number))).collect();
    format!("FROM scratch\n{add}USER {NOBODY}:{NOBODY}\nENTRYPOINT [\"{RUNNER}\"]\n")
}

/// Has the daemon of this process build the images, at the first call.
///
/// # Errors
/// When it does not.
pub fn build_images(context: &Context, engine: &Engine) -> Result<()> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    let build = || -> Result<()> {
        for program in Program::SERVICES {
            build_image(context, engine, program.package())?;
        }
        let saved = saved_image(context)?.display().to_string();
        let tag = image(engine, Program::Vote.package());
        let arguments = ["image", "save", "--output", &saved, &tag].map(str::to_owned);
        engine.run(&arguments, "saving the runner image of the vote service").map(drop)
    };
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.clone().map_err(|error| anyhow!(error))
}

fn build_image(context: &Context, engine: &Engine, package: &str) -> Result<()> {
    let (folder, tag) = (folder(context, package)?.display().to_string(), image(engine, package));
    let label = engine.names.label();
    let arguments = ["image", "build", "--quiet", "--label", &label, "--tag", &tag, &folder];
    let purpose = format!("building the runner image of {package}");
    engine.run(&arguments.map(str::to_owned), &purpose).map(drop)
}

/// The tag of a package's runner image.
pub fn image(engine: &Engine, package: &str) -> String {
    engine.names.image(&format!("{package}-runner"))
}

/// The vote service's image as it is shipped.
///
/// # Errors
/// When there is no folder for it.
pub fn saved_image(context: &Context) -> Result<PathBuf> {
    Ok(context.artifacts(FOLDER)?.join("vote-service.tar"))
}

/// What `docker run` is told for the guest: what runs its instructions, as this run has found, and its memory.
pub fn arguments(context: &Context, memory_mib: Option<u32>) -> Vec<String> {
    let accelerator = match context.accelerator {
        Accelerator::Kvm { .. } => ["--device", KVM, "--env", "ACCEL=kvm"].as_slice(),
        Accelerator::Tcg { .. } => &["--env", "ACCEL=tcg"],
    };
    let memory = memory_mib.map(|memory_mib| ["--env".to_owned(), format!("MEMORY_MIB={memory_mib}")]);
    let accelerator = accelerator.iter().map(|word| (*word).to_owned());
    accelerator.chain(memory.into_iter().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_its_layers_and_an_ordinary_user() {
        assert_eq!(
            recipe(2),
            "FROM scratch\nADD layer-0.tar.gz /\nADD layer-1.tar.gz /\nUSER 65534:65534\nENTRYPOINT [\"/runner\"]\n"
        );
    }
}
