//! axe-core, which finds what keeps people with disabilities from using a page: one file of a package from npm,
//! pinned by its digest.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tests::command::run;
use tests::packages::{folder, succeed};

use crate::browser::Browser;

const PACKAGE: &str = "axe-core@4.14.1";
/// Of the package, as npm has it. npm checks that what it fetches is that.
const INTEGRITY: &str =
    "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==";
const SCRIPT: &str = "package/axe.min.js";

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
    let folder = folder("axe-core", INTEGRITY, |folder| {
        let packed = run(Command::new("npm").args(["pack", "--json", PACKAGE]).current_dir(folder));
        assert!(packed.success, "{PACKAGE} cannot be had (Debian: npm): {}", packed.stderr);
        let packed: Value = serde_json::from_str(&packed.stdout).expect("npm tells what it has packed");
        assert_eq!(packed[0]["integrity"], INTEGRITY, "{PACKAGE} is another one");
        let archive = packed[0]["filename"].as_str().expect("a name");
        succeed(Command::new("tar").args(["-xzf", archive, SCRIPT]).current_dir(folder));
    });
    fs::read_to_string(folder.join(SCRIPT)).expect("a text")
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
