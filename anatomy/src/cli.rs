//! The command line of `cargo image anatomy`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use image_build::note;
use image_build::tool::files::write_whole;
use image_build::tool::output::{self, print};
use image_build::tool::process;
use image_build::tool::workspace::Workspace;

use crate::anatomy::{self, Anatomy};
use crate::render::theme::Theme;
use crate::render::{book, html, svg};

/// The page with all pictures, and the files with the same as text and with the figures.
const PAGE: &str = "index.html";
const TEXT: &str = "anatomy.txt";
const FIGURES: &str = "figures.toml";

#[derive(Parser)]
#[command(
    name = "cargo image anatomy",
    bin_name = "cargo image anatomy",
    about = "Draws an image, its memory, its boot, a request and a fault, from your own build",
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// The image
    #[arg(default_value = "vote-service")]
    service: String,
    /// Prints the same as text
    #[arg(long, group = "form")]
    text: bool,
    /// Prints all figures, as TOML
    #[arg(long, group = "form")]
    figures: bool,
    /// Writes the course's pictures, and the values of its figures
    #[arg(long, group = "form")]
    update_book: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Becomes another program that ends with the process PARENT
    #[command(name = process::BOUND_COMMAND, hide = true)]
    ExecBound(process::Bound),
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(Cli { command: Some(Command::ExecBound(bound)), .. }) => {
            output::status(bound.exec().map(|()| ExitCode::SUCCESS))
        }
        Ok(cli) => output::status(run(&cli)),
        Err(error) => output::status_of_usage(&error),
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    let anatomy = anatomy::examine(&workspace, &cli.service)?;
    if cli.figures {
        print(&anatomy.figures.lines())?;
    } else if cli.text {
        print(&anatomy.text)?;
    } else if cli.update_book {
        update_book(&workspace, &anatomy)?;
    } else {
        let folder = workspace.target.join("anatomy").join(&anatomy.service);
        write(&anatomy, &folder, |picture, theme| format!("{picture}-{theme}.svg"))?;
        let page = folder.join(PAGE);
        write_whole(&page, html::page(&anatomy.service, &anatomy.scenes, &anatomy.text).as_bytes())?;
        write_whole(&folder.join(TEXT), anatomy.text.as_bytes())?;
        write_whole(&folder.join(FIGURES), anatomy.figures.lines().as_bytes())?;
        note!("{} pictures, each light and dark, are in {}", anatomy.scenes.len(), folder.display());
        note!("all of them: {}", page.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the pictures, each in both themes.
fn write(anatomy: &Anatomy, folder: &Path, name: impl Fn(&str, &str) -> String) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for scene in &anatomy.scenes {
        for theme in Theme::ALL {
            let path = folder.join(name(scene.name, theme.name()));
            write_whole(&path, svg::file(scene, theme).as_bytes())?;
        }
    }
    Ok(())
}

fn update_book(workspace: &Workspace, anatomy: &Anatomy) -> Result<()> {
    let images = workspace.root.join(book::IMAGES);
    write(anatomy, &images, |picture, theme| book::image_name(&anatomy.service, picture, theme))?;
    note!("the course's pictures are in {}", images.display());
    let path = workspace.root.join(book::FIGURES);
    if !path.is_file() {
        return Ok(());
    }
    let file = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let command = format!("cargo image anatomy {} --figures", anatomy.service);
    write_whole(&path, book::updated(&file, &command, &anatomy.figures).as_bytes())?;
    note!("its figures of `{command}` are in {}", path.display());
    Ok(())
}
