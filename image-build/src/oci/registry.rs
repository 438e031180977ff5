//! Registries: images get there by skopeo.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::layout::Written;
use crate::tool::packages;
use crate::tool::packages::table::SKOPEO;
use crate::tool::process;
use crate::tool::progress::Step;

/// Stands for the name of an image in the name that it gets.
const SERVICE: &str = "{service}";
/// How long the whole of a push may take.
const TIMEOUT: &str = "300s";

/// Where images go: `REGISTRY/NAME:TAG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination(String);

impl Destination {
    /// The one that this text names, for so many images.
    ///
    /// # Errors
    /// When it has no registry or no tag, or all images would get one name.
    pub fn parse(text: &str, images: usize) -> Result<Self> {
        let (registry, name) = text.split_once('/').unwrap_or_default();
        let tag = name.rsplit('/').next().and_then(|last| last.split_once(':'));
        let is_whole =
            !registry.is_empty() && tag.is_some_and(|(name, tag)| !name.is_empty() && !tag.is_empty());
        ensure!(
            is_whole,
            "--push takes REGISTRY/NAME:TAG, such as registry.example/votes/{SERVICE}:1; not {text:?}"
        );
        ensure!(
            images == 1 || text.contains(SERVICE),
            "{images} images cannot all be {text}: write {SERVICE} where their names go"
        );
        Ok(Self(text.to_owned()))
    }

    fn of(&self, image: &str) -> String {
        self.0.replace(SERVICE, image)
    }

    /// A registry on this machine has no certificate.
    fn is_local(&self) -> bool {
        let host = self.0.split(['/', ':']).next().unwrap_or_default();
        matches!(host, "localhost" | "127.0.0.1")
    }
}

/// Pushes images out of a layout.
///
/// # Errors
/// With the registry's own words.
pub fn push(
    layout: &Path,
    is_archive: bool,
    images: &[Written],
    to: &Destination,
    is_replaced: bool,
) -> Result<()> {
    packages::ensure(&SKOPEO)?;
    let kind = if is_archive { "oci-archive" } else { "oci" };
    for image in images {
        let target = to.of(&image.name);
        if !is_replaced {
            check_free(&target, image, to)?;
        }
        let step = Step::start(format!("Pushing {target}"));
        let mut skopeo = skopeo("copy")?;
        skopeo.arg("--quiet");
        if to.is_local() {
            skopeo.arg("--dest-tls-verify=false");
        }
        skopeo.arg(format!("{kind}:{}:{}", layout.display(), image.name)).arg(format!("docker://{target}"));
        let output = skopeo.output().context("skopeo cannot be started")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{target} was not pushed: {}", last_words(&said));
        }
        step.done();
    }
    Ok(())
}

/// A tag that has been given away stays what it is: whoever has pulled it goes on running that.
fn check_free(target: &str, image: &Written, to: &Destination) -> Result<()> {
    let mut skopeo = skopeo("inspect")?;
    skopeo.args(["--format", "{{.Digest}}"]);
    if to.is_local() {
        skopeo.arg("--tls-verify=false");
    }
    let output = skopeo.arg(format!("docker://{target}")).output().context("skopeo cannot be started")?;
    let there = String::from_utf8_lossy(&output.stdout);
    // What keeps it from being asked for keeps it from being pushed, which says so.
    let is_free = !output.status.success() || there.trim() == image.digest;
    ensure!(
        is_free,
        "{target} is there already, and is another image ({}): push another tag, or give --replace",
        there.trim()
    );
    Ok(())
}

fn skopeo(command: &str) -> Result<Command> {
    let mut skopeo = Command::new(process::find(SKOPEO.program).context("skopeo is not in PATH")?);
    // Ours are not signed, and few systems have a policy.
    skopeo.args(["--command-timeout", TIMEOUT, "--insecure-policy", command]);
    Ok(skopeo)
}

/// The end of what skopeo says, without the form of its log.
fn last_words(said: &str) -> String {
    let line = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("skopeo does not say why");
    line.split_once("msg=").map_or(line, |(_, message)| message.trim_matches('"')).replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_has_a_registry_and_a_tag_and_a_name_for_each_image() {
        for wrong in ["", "vote:1", "registry/vote", "registry/vote:", "registry/:1", "/vote:1"] {
            let error = Destination::parse(wrong, 1).expect_err(wrong).to_string();
            assert!(error.ends_with(&format!("not {wrong:?}")), "{error}");
        }
        let error = Destination::parse("r:5000/a/vote:1", 2).expect_err("one name").to_string();
        assert!(error.starts_with("2 images cannot all be r:5000/a/vote:1"), "{error}");
        let destination = Destination::parse("localhost:5000/a/{service}:1", 2).expect("whole");
        assert_eq!(destination.of("worker"), "localhost:5000/a/worker:1");
        assert!(destination.is_local());
        assert!(!Destination::parse("registry.example/vote:1", 1).expect("whole").is_local());
    }

    #[test]
    fn what_skopeo_said_last_is_told() {
        let said = "time=\"x\" level=fatal msg=\"pinging registry: Get \\\"http://r/v2/\\\": connection refused\"\n\n";
        assert_eq!(last_words(said), "pinging registry: Get \"http://r/v2/\": connection refused");
        assert_eq!(last_words("Error: no\n"), "Error: no");
    }
}
