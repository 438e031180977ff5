//! The command line of `cargo image anatomy`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use image_build::image;
use image_build::note;
use image_build::tool::files::write_whole;
use image_build::tool::output::{self, print};
use image_build::tool::workspace::Workspace;

use crate::model::figures::Figures;
use crate::model::program::Program;
use crate::model::size::Size;
use crate::picture;
use crate::picture::scene::Scene;
use crate::render::theme::Theme;
use crate::render::{svg, text};

#[derive(Parser)]
#[command(
    name = "cargo image anatomy",
    bin_name = "cargo image anatomy",
    about = "Draws an image, its memory, its boot, a request and a fault, from your own build"
)]
struct Cli {
    /// The image
    #[arg(default_value = "vote-service")]
    service: String,
    /// Prints the same as text
    #[arg(long, conflicts_with = "figures")]
    text: bool,
    /// Prints all figures, as TOML
    #[arg(long)]
    figures: bool,
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => output::status(run(&cli)),
        Err(error) => output::status_of_usage(&error),
    }
}

/// All that is told of a service.
struct Anatomy {
    scenes: Vec<Scene>,
    text: String,
    figures: Figures,
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    let anatomy = examine(&workspace, &cli.service)?;
    if cli.figures {
        print(&anatomy.figures.lines())?;
    } else if cli.text {
        print(&anatomy.text)?;
    } else {
        let folder = workspace.target.join("anatomy").join(&cli.service);
        write(&anatomy, &folder)?;
        note!("{} pictures are in {}", anatomy.scenes.len(), folder.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn examine(workspace: &Workspace, service: &str) -> Result<Anatomy> {
    let image = image::build(workspace, &[service])?.remove(0);
    let size = Size::of(&Program::read(&image)?);
    let scenes = vec![picture::size::draw(service, &size)];
    Ok(Anatomy { scenes, text: text::size(service, &size), figures: size.figures(service) })
}

fn write(anatomy: &Anatomy, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for scene in &anatomy.scenes {
        for theme in Theme::ALL {
            let path = folder.join(format!("{}-{}.svg", scene.name, theme.name()));
            write_whole(&path, svg::file(scene, theme).as_bytes())?;
        }
    }
    Ok(())
}
