//! A checkout of the original: whether it is one, a copy of its vote service, and how its image runs that.
//!
//! Writes nothing to the checkout.

use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use image_build::tool::process;

/// What makes a directory a checkout of the original.
const PARTS: [&str; 5] =
    ["vote/app.py", "vote/requirements.txt", "vote/Dockerfile", "result/server.js", "worker"];
/// The file beside the copy that says what it is a copy of.
const VERSION: &str = "version";
/// Words before an address, among gunicorn's arguments.
const BIND: [&str; 2] = ["-b", "--bind"];

/// Fails unless `path` is a checkout of the original.
///
/// # Errors
/// What it lacks.
pub fn verify(path: &Path) -> Result<()> {
    ensure!(path.is_dir(), "--original {}: there is no such directory", path.display());
    for part in PARTS {
        ensure!(
            path.join(part).exists(),
            "--original {} is no checkout of dockersamples/example-voting-app: it has no {part}",
            path.display()
        );
    }
    Ok(())
}

/// Copies the vote service into `artifacts`, in place of an earlier copy.
pub fn copy(path: &Path, artifacts: &Path) -> Result<()> {
    let vote = artifacts.join("vote");
    if vote.exists() {
        fs::remove_dir_all(&vote).with_context(|| format!("cannot remove {}", vote.display()))?;
    }
    let mut copy = Command::new("cp");
    copy.arg("-R").arg(path.join("vote")).arg(&vote);
    process::output(&mut copy, "copying the original's vote service")?;
    let mut git = Command::new("git");
    git.arg("-C").arg(path).args(["rev-parse", "--short", "HEAD"]);
    // An archive of it has no commit, and says nothing of which one it was.
    let commit = process::output(&mut git, "asking git").map(|commit| format!("commit {}", commit.trim()));
    let version = commit.unwrap_or_else(|_| "of no known commit".to_owned());
    fs::write(artifacts.join(VERSION), version).context("cannot write the original's version")
}

/// What [`copy`] has copied.
///
/// # Errors
/// When it has copied nothing.
pub fn version(artifacts: &Path) -> Result<String> {
    fs::read_to_string(artifacts.join(VERSION)).context("the original has not been prepared")
}

/// The arguments with which an image runs gunicorn: those of the last CMD of its Dockerfile.
///
/// # Errors
/// When it runs something else.
pub fn gunicorn_arguments(dockerfile: &Path) -> Result<Vec<String>> {
    let name = dockerfile.display();
    let text = fs::read_to_string(dockerfile).with_context(|| format!("cannot read {name}"))?;
    arguments(&text)
        .with_context(|| format!("{name} does not end with `CMD [\"gunicorn\", ..., \"-b\", ...]`"))
}

fn arguments(dockerfile: &str) -> Option<Vec<String>> {
    let words = dockerfile.lines().rev().find_map(|line| line.trim().strip_prefix("CMD"))?;
    let mut words: Vec<String> = serde_json::from_str(words.trim()).ok()?;
    let is_gunicorn = words.first().is_some_and(|word| word == "gunicorn");
    let is_bound = words.iter().rev().skip(1).any(|word| BIND.contains(&word.as_str()));
    (is_gunicorn && is_bound).then(|| words.split_off(1))
}

/// The arguments with another address to listen on.
pub fn bound_to(arguments: &[String], host: SocketAddrV4) -> Vec<String> {
    let mut arguments = arguments.to_vec();
    for index in 1..arguments.len() {
        if BIND.contains(&arguments[index - 1].as_str()) {
            arguments[index] = host.to_string();
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const DOCKERFILE: &str = "FROM python AS dev\nCMD [\"python\", \"app.py\"]\r\n\nFROM base\n\
        CMD [\"gunicorn\", \"app:app\", \"-b\", \"0.0.0.0:80\", \"--keep-alive\", \"0\"]\r\n";

    #[test]
    fn gunicorn_is_run_as_in_the_image_but_for_its_address() {
        let host = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 12345);
        let arguments = arguments(DOCKERFILE).expect("it runs gunicorn");
        assert_eq!(bound_to(&arguments, host), ["app:app", "-b", "127.0.0.1:12345", "--keep-alive", "0"]);
    }

    #[test]
    fn an_image_that_runs_something_else_is_refused() {
        for command in [
            "",
            "CMD python app.py",
            "CMD [\"python\", \"app.py\"]",
            "CMD [\"gunicorn\", \"app:app\"]",
            "CMD [\"gunicorn\", \"app:app\", \"-b\"]",
        ] {
            assert_eq!(arguments(command), None, "{command}");
        }
    }

    #[test]
    fn a_folder_that_is_no_checkout_is_refused_with_the_missing_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let said = |path: &Path| verify(path).expect_err("it is none").to_string();
        assert!(said(&directory.path().join("none")).contains("there is no such directory"));
        assert!(said(directory.path()).contains("it has no vote/app.py"));
    }
}
