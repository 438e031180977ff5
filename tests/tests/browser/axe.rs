//! axe-core, which finds what keeps people with disabilities from using a page. Pinned, from PyPI, where a package
//! has it as one file; kept under `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tests::command::run;

use crate::browser::Browser;

/// The package that has axe-core 4.12.1, by its digest.
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/axe.txt");
const FILE: &str = "axe_playwright_python/axe.min.js";

/// What is wrong with the page that the browser shows, and with what in it.
pub fn violations(browser: &Browser) -> Vec<String> {
    static AXE: OnceLock<String> = OnceLock::new();
    let axe = AXE.get_or_init(source);
    let ask =
        "const done = arguments[arguments.length - 1]; axe.run().then(done, (error) => done(`${error}`));";
    let report = browser.evaluate_later(&format!("{axe};{ask}"));
    let violations = report["violations"].as_array().unwrap_or_else(|| panic!("no report: {report:.300}"));
    violations.iter().map(shown).collect()
}

fn shown(violation: &Value) -> String {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let nodes = violation["nodes"].as_array().into_iter().flatten();
    let nodes: Vec<String> =
        nodes.map(|node| format!("{}: {}", text(node, "html"), text(node, "failureSummary"))).collect();
    format!("{}: {} {}", text(violation, "id"), text(violation, "help"), nodes.join(", "))
}

fn source() -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/axe-core");
    let found = file(&dir).unwrap_or_else(|| {
        let path = dir.to_str().expect("a path in UTF-8");
        succeed(Command::new("python3").args(["-m", "venv", "--clear", path]));
        let pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--requirement"];
        succeed(Command::new(dir.join("bin/python")).args(pip).arg(REQUIREMENTS));
        file(&dir).unwrap_or_else(|| panic!("{FILE} is not in {}", dir.display()))
    });
    fs::read_to_string(found).expect("a text")
}

fn file(dir: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(dir.join("lib")).ok()?;
    versions.flatten().map(|python| python.path().join("site-packages").join(FILE)).find(|path| path.exists())
}

fn succeed(command: &mut Command) {
    let outcome = run(command);
    assert!(
        outcome.success,
        "axe-core cannot be had (Debian: python3-venv): {command:?}: {}",
        outcome.stderr
    );
}

#[test]
fn axe_finds_what_is_wrong() {
    let browser = Browser::open();
    browser.visit("data:text/html,<title>x</title><img src='a.png'><button></button>");
    let found = violations(&browser);
    for rule in ["image-alt: ", "button-name: ", "html-has-lang: "] {
        assert!(found.iter().any(|violation| violation.starts_with(rule)), "{rule} is not in {found:?}");
    }
}
