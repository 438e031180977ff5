//! What a run inside of namespaces is for.

use crate::overlay::{OVERLAYS, Overlay};

/// A test that runs there.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// Containers alone, without Kubernetes.
    Containers,
    /// The control plane alone, without a node.
    Manifests,
    /// A whole cluster, with this overlay.
    Operations(Overlay),
}

impl Purpose {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Containers, Self::Manifests].into_iter().chain(OVERLAYS.map(Self::Operations))
    }

    /// The one of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::all().find(|purpose| purpose.name() == name)
    }

    /// A name, which also its folder has.
    pub fn name(self) -> &'static str {
        match self {
            Self::Containers => "containers-alone",
            Self::Manifests => "manifests",
            Self::Operations(overlay) => overlay.name,
        }
    }

    /// The overlay that is operated.
    pub fn overlay(self) -> Option<Overlay> {
        if let Self::Operations(overlay) = self { Some(overlay) } else { None }
    }

    /// How the test is called.
    pub fn test(self) -> String {
        match self {
            Self::Containers => "harness::containerd_runs_the_image_that_holds_pods".to_owned(),
            Self::Manifests => "manifests::the_api_takes_each_overlay_and_makes_its_pods".to_owned(),
            Self::Operations(overlay) => format!("{}::operators_lose_no_acknowledged_vote", overlay.name),
        }
    }

    /// Whether it takes a control plane.
    pub fn has_control_plane(self) -> bool {
        !matches!(self, Self::Containers)
    }

    /// Whether it takes containers.
    pub fn has_containers(self) -> bool {
        !matches!(self, Self::Manifests)
    }
}
