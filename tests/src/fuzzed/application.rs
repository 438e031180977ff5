//! `voting-app.toml`: every text is read or refused with a place in it, and what is read keeps its limits.

use cluster::application::{Application, REPLICAS_MAX, SERVICES_MAX};

const IMAGES: [&str; 2] = ["vote-service", "store-service"];

/// The input is the file.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Application::parse("f", text, &IMAGES) {
        Ok(application) => {
            assert!(application.services.len() <= SERVICES_MAX);
            for service in application.services.values() {
                let is_known = |image: &String| IMAGES.contains(&image.as_str());
                assert!(service.image.as_ref().map_or(service.build.is_some(), is_known));
                assert!(service.replicas <= REPLICAS_MAX);
                assert!((1..=text.lines().count()).contains(&service.line));
            }
        }
        Err(error) => {
            assert!(error.line.is_none_or(|line| line >= 1 && line <= text.lines().count() + 1), "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
