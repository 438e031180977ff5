//! axe-core, which finds what keeps people with disabilities from using a page.

use serde_json::Value;
use tests::packages::axe_script;

use crate::browser::Browser;

/// What is wrong with the page that the browser shows, and with what in it.
pub fn violations(browser: &Browser) -> Vec<String> {
    let axe = axe_script();
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

#[test]
fn axe_finds_what_is_wrong() {
    let browser = Browser::open();
    browser.visit("data:text/html,<title>x</title><img src='a.png'><button></button>");
    let found = violations(&browser);
    for rule in ["image-alt: ", "button-name: ", "html-has-lang: "] {
        assert!(found.iter().any(|violation| violation.starts_with(rule)), "{rule} is not in {found:?}");
    }
}
