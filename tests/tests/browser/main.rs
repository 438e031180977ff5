//! The pages as people see them: in Chromium, by the application's real unikernels.
//!
//! What the services answer is tested beside them; here it is what a browser makes of it.

mod access;
mod axe;
mod browser;
mod restart;
mod screenshots;
mod tabs;
mod voting;

use std::time::Duration;

use tests::application::{self, Application};
use tests::client::wait_for;

/// The application does what is awaited within this time, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn up(project: &str) -> Application {
    application::up(project, &[])
}

fn expect_scores(application: &Application, expected: (u64, u64)) {
    let found = wait_for(PATIENCE, || application.scores().filter(|scores| *scores == expected));
    assert!(found.is_some(), "{:?} instead of {expected:?}", application.scores());
}
