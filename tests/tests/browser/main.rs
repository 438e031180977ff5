//! The pages as people see them: in Chromium, by the application's real unikernels.
//!
//! What the services answer is tested beside them; here it is what a browser makes of it.

mod access;
mod axe;
mod browser;
mod restart;
mod screenshots;
mod voting;

use std::time::Duration;

use tests::application::Application;

/// The application does what is awaited within this time, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn up(project: &str) -> Application {
    Application::up(project, &[]).unwrap_or_else(|outcome| panic!("cargo up failed: {}", outcome.stderr))
}
