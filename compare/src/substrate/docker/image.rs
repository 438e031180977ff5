//! The images: nothing but one static executable each.
//!
//! Runs none of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::engine::Engine;
use super::{SERVICES, api};
use crate::context::Context;
use crate::substrate::{Program, native};

/// Builds the images of all services, and saves the vote service's as it is shipped.
///
/// # Errors
/// When an executable or the daemon is missing, or the daemon refuses.
pub fn build_all(context: &Context, engine: &Engine) -> Result<()> {
    for program in SERVICES {
        build(context, engine, program)?;
    }
    let saved = saved(context)?.display().to_string();
    let image = engine.names.image(Program::Vote);
    let arguments = ["image", "save", "--output", &saved, &image].map(str::to_owned);
    engine.run(&arguments, "saving the vote service's image").map(drop)
}

fn build(context: &Context, engine: &Engine, program: Program) -> Result<()> {
    let package = program.package();
    let folder = tempfile::tempdir_in(context.artifacts("docker")?).context("no directory to build in")?;
    let recipe = recipe(package, &engine.names.label());
    fs::write(folder.path().join("Dockerfile"), recipe).context("cannot write a Dockerfile")?;
    fs::copy(native::executable(context, program)?, folder.path().join(package))
        .with_context(|| format!("cannot copy {package}"))?;
    let folder = folder.path().display().to_string();
    let tag = engine.names.image(program);
    let arguments = ["image", "build", "--quiet", "--tag", &tag, &folder].map(str::to_owned);
    engine.run(&arguments, &format!("building the image of {package}")).map(drop)
}

fn recipe(package: &str, label: &str) -> String {
    format!("FROM scratch\nLABEL {label}\nCOPY {package} /\nENTRYPOINT [\"/{package}\"]\n")
}

/// The file that the vote service's image is saved in.
///
/// # Errors
/// When its directory cannot be created.
pub fn saved(context: &Context) -> Result<PathBuf> {
    Ok(context.artifacts("docker")?.join("vote-service.tar"))
}

/// The file in the daemon's data that containers of a program run; none where the daemon does not say.
pub fn stored_executable(engine: &Engine, program: Program) -> Option<PathBuf> {
    let path = format!("/images/{}/json", engine.names.image(program));
    let image = api::get(&engine.socket, &path).ok()?;
    let layer = image["GraphDriver"]["Data"]["UpperDir"].as_str()?;
    Some(Path::new(layer).join(program.package()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_holds_one_file_and_carries_the_label() {
        assert_eq!(
            recipe("worker", "voting-app-compare=1"),
            "FROM scratch\nLABEL voting-app-compare=1\nCOPY worker /\nENTRYPOINT [\"/worker\"]\n"
        );
    }
}
