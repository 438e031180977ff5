//! All that is told of a service: its models, and the pictures, texts and figures that are made of them.

use std::fs;

use anyhow::{Context, Result};
use image_build::image::{self, loader};
use image_build::note;
use image_build::tool::workspace::Workspace;
use image_build::toolchain::Toolchain;
use image_build::vm::qemu;

use crate::cluster;
use crate::machine::{self, Followed};
use crate::model::figures::Figures;
use crate::model::loader::Loader;
use crate::model::memory::Memory;
use crate::model::program::Program;
use crate::model::size::Size;
use crate::picture;
use crate::picture::scene::Scene;
use crate::render::text;

/// What is told of a service.
pub struct Anatomy {
    /// The service.
    pub service: String,
    /// The pictures.
    pub scenes: Vec<Scene>,
    /// The same as text.
    pub text: String,
    /// All figures.
    pub figures: Figures,
}

/// Builds a service's image, boots it, and makes everything of it. Without QEMU there is less to tell.
///
/// # Errors
/// When there is no such image, or it cannot be built or followed.
pub fn examine(workspace: &Workspace, service: &str) -> Result<Anatomy> {
    let image = image::build(workspace, &[service])?.remove(0);
    let program = Program::read(&image)?;
    let path = loader::ensure(workspace, &Toolchain::find(workspace)?)?;
    let loader = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let loader = Loader::read(&loader)?;
    let followed = match qemu::require() {
        Ok(()) => Some(machine::follow(&image, &program, &loader)?),
        Err(error) => {
            note!("without a machine there is neither boot nor request: {error:#}");
            None
        }
    };
    let mut anatomy = Anatomy {
        service: service.to_owned(),
        scenes: Vec::new(),
        text: String::new(),
        figures: Figures::default(),
    };
    let size = Size::of(&program);
    anatomy.add(picture::size::draw(service, &size), &text::size(service, &size), size.figures(service));
    let machine = followed.as_ref().and_then(|followed| followed.machine.as_ref());
    let memory = Memory::of(&program, &loader.spans, machine);
    anatomy.add(
        picture::memory::draw(service, &memory),
        &text::memory(service, &memory),
        memory.figures(service),
    );
    if let Some(followed) = followed {
        anatomy.add_followed(&followed);
    }
    let fault = cluster::run()?;
    anatomy.add(picture::fault::draw(&fault), &text::fault(&fault), fault.figures());
    Ok(anatomy)
}

impl Anatomy {
    fn add(&mut self, scene: Scene, text: &str, figures: Figures) {
        for flaw in scene.flaws() {
            note!("drawn badly: {flaw}");
        }
        self.scenes.push(scene);
        self.text += if self.text.is_empty() { "" } else { "\n" };
        self.text += text;
        self.figures.extend(figures);
    }

    fn add_followed(&mut self, followed: &Followed) {
        let service = self.service.clone();
        let (boot, requests) = (&followed.boot, &followed.requests);
        self.add(picture::boot::draw(&service, boot), &text::boot(&service, boot), boot.figures(&service));
        for (name, request) in ["request", "vote"].into_iter().zip(requests) {
            let scene = picture::request::draw(name, &service, request);
            self.add(scene, &text::request(&service, request), request.figures(&service));
        }
    }
}
