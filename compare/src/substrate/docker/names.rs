//! The names under which this clone's containers, images and control groups are known to Docker.
//!
//! Whatever does not carry them is somebody else's and is not touched.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::context::Context;
use crate::substrate::Program;

/// Begins every name, and is the key of the label.
pub const PREFIX: &str = "voting-app-compare";

/// The names of one clone's comparisons, told from another clone's by its target directory.
#[derive(Clone, Debug)]
pub struct Names {
    clone: String,
}

impl Names {
    /// Those of a clone.
    pub fn of(context: &Context) -> Self {
        let mut hasher = DefaultHasher::new();
        context.workspace.target.hash(&mut hasher);
        Self { clone: format!("{:016x}", hasher.finish()) }
    }

    /// The label of every container and image: `key=value`.
    pub fn label(&self) -> String {
        format!("{PREFIX}={}", self.clone)
    }

    /// A container's name that no other one has had.
    pub fn container(&self, instance: &str) -> String {
        static CONTAINERS: AtomicU32 = AtomicU32::new(1);
        let number = CONTAINERS.fetch_add(1, Ordering::Relaxed);
        format!("{PREFIX}-{}-{}-{number}-{instance}", self.clone, process::id())
    }

    /// The tag of a program's image.
    pub fn image(&self, program: Program) -> String {
        format!("{PREFIX}-{}:{}", program.package(), self.clone)
    }

    /// The control group above those of a private daemon's containers.
    pub fn control_group(&self) -> String {
        format!("{PREFIX}-{}", self.clone)
    }
}
