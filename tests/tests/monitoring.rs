//! A real Prometheus scrapes the running application by the files in `deploy/`: each expression of the rules and of
//! the dashboard finds data.
//!
//! Needs Debian's package `prometheus`, which brings `promtool`. Judges no look: there is no Grafana here.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use tests::application::Application;
use tests::client::{vote, wait_for};
use tests::command::{CommandOutput, free_port, run};
use tests::http::{Connection, post_vote};
use tests::programs::program;

const PROJECT: &str = "monitoring-test";
const PACKAGE: &str = "install Debian's package prometheus";
/// Two scrapes, and time to find them on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file)
}

fn promtool(arguments: &[&str], file: &str) -> CommandOutput {
    run(program("promtool").args(arguments).arg(deploy(file)))
}

fn json(file: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(deploy(file)).expect("a file of deploy/")).expect("JSON")
}

/// A Prometheus of this test's own, ended when it is dropped.
struct Prometheus {
    child: Child,
    url: String,
    _data: tempfile::TempDir,
}

impl Prometheus {
    fn start() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let log = File::create(data.path().join("log")).expect("a file");
        let address = format!("127.0.0.1:{}", free_port());
        let child = program("prometheus")
            .arg(format!("--config.file={}", deploy("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", data.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("prometheus cannot be run ({error}): {PACKAGE}"));
        Self { child, url: format!("http://{address}"), _data: data }
    }

    /// The series that an expression finds.
    fn query(&self, expression: &str) -> Vec<Value> {
        let outcome =
            run(program("promtool").args(["query", "instant", "-o", "json", &self.url, expression]));
        serde_json::from_str::<Vec<Value>>(&outcome.stdout).unwrap_or_default()
    }

    fn wait_for_series(&self, expression: &str, count: usize) {
        let found = wait_for(PATIENCE, || (self.query(expression).len() >= count).then_some(()));
        assert!(found.is_some(), "{expression:?} finds {:?}", self.query(expression));
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the dashboard asks for, of this application.
fn dashboard_expressions() -> Vec<String> {
    let dashboard = json("grafana-dashboard.json");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let text = |target: &Value| target["expr"].as_str().expect("an expression").to_owned();
    targets.map(text).map(|expression| expression.replace("$application", "voting-app")).collect()
}

/// The names of metrics in the alerts' expressions.
fn alert_metrics() -> BTreeSet<String> {
    let rules = fs::read_to_string(deploy("rules.yml")).expect("the rules");
    let expressions = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    let words = expressions.flat_map(|text| text.split(|letter| !is_of_name(letter)).map(str::to_owned));
    let endings = ["_total", "_bytes", "_depth", "_ready", "_connected", "_full", "_bucket", ":p99"];
    words.filter(|word| endings.iter().any(|ending| word.ends_with(ending))).collect()
}

#[test]
fn the_configuration_and_the_rules_are_what_promtool_takes() {
    for (arguments, file) in [
        (&["check", "config"][..], "prometheus.yml"),
        (&["check", "rules"], "rules.yml"),
        (&["test", "rules"], "rules.test.yml"),
    ] {
        let outcome = promtool(arguments, file);
        assert!(outcome.success, "{file}: {outcome:?}");
    }
}

#[test]
fn the_dashboard_is_valid() {
    let dashboard = json("grafana-dashboard.json");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut taken = BTreeSet::new();
    for panel in panels {
        let place = |name: &str| panel["gridPos"][name].as_u64().expect("a place");
        for (x, y) in (0..place("w")).flat_map(|x| (0..place("h")).map(move |y| (x, y))) {
            let cell = (place("x") + x, place("y") + y);
            assert!(cell.0 < 24 && taken.insert(cell), "{} covers another panel", panel["title"]);
        }
        assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{}", panel["title"]);
    }
}

#[test]
fn every_expression_finds_data() {
    let data = tempfile::tempdir().expect("a folder");
    let folder = data.path().to_str().expect("UTF-8");
    let description = deploy("voting-app.toml");
    let arguments = ["--data", folder, "--file", description.to_str().expect("UTF-8")];
    let application = Application::up(PROJECT, &arguments).unwrap_or_else(|outcome| panic!("{outcome:?}"));
    for choice in ["a", "b"] {
        assert_eq!(vote(&application.vote_url(), choice, None).status, 200);
    }
    // The scores are among the metrics once somebody has asked for them.
    let counted = wait_for(PATIENCE, || application.scores().filter(|scores| *scores == (1, 1)));
    assert!(counted.is_some(), "{:?}", application.scores());
    let prometheus = Prometheus::start();
    prometheus.wait_for_series("up == 1", 4);
    for expression in dashboard_expressions() {
        prometheus.wait_for_series(&expression, 1);
    }
    for metric in alert_metrics() {
        prometheus.wait_for_series(&metric, 1);
    }
    prometheus.wait_for_series("sum(votes) == 2", 1);
    let firing = prometheus.query("ALERTS{alertstate=\"firing\"}");
    assert!(firing.is_empty(), "{firing:?}");
    expect_limits(application.vote_port);
}

/// What `deploy/voting-app.toml` lets in from one address at once is some, and more are told to wait.
fn expect_limits(vote_port: u16) {
    let from = |address: &str| {
        let head = format!("Host: test\r\nX-Forwarded-For: 192.0.2.1, {address}\r\n");
        String::from_utf8(post_vote("a")).expect("text").replacen("Host: test\r\n", &head, 1)
    };
    let mut connection = Connection::open(SocketAddrV4::new(Ipv4Addr::LOCALHOST, vote_port))
        .expect("the vote service listens");
    let mut ask = |address| connection.ask(from(address).as_bytes()).expect("an answer").0;
    let taken = (0..300).take_while(|_| ask("198.51.100.7") == 200).count();
    assert!((30..300).contains(&taken), "{taken}");
    assert_eq!([ask("198.51.100.7"), ask("198.51.100.8")], [429, 200]);
}
