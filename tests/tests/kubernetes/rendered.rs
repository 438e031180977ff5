//! The documents of each overlay: rendered by `kubectl`, judged by the schemas of Kubernetes.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use serde_json::Value;
use tests::command::run;
use tests::packages::{kubectl, validating_python};

use crate::workload::Workload;

/// The version whose schemas judge.
const VERSION: &str = "1.34";
const SCRIPT: &str = include_str!("check.py");
/// Engines that start pods, with a user and a root of their own for each.
pub const RESTRICTED: [&str; 4] = ["containers", "runner", "runner-kvm", "scale"];

/// A document, and what the schemas say of it.
pub struct Judged {
    pub document: Value,
    /// Why it is refused.
    pub fault: Option<String>,
    /// Whether there is a schema for it.
    pub has_schema: bool,
}

/// What is applied at once.
pub struct Manifests(pub Vec<Judged>);

impl Manifests {
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.documents().filter(move |document| document["kind"] == kind)
    }

    pub fn documents(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().map(|judged| &judged.document)
    }

    /// The one of this kind and name.
    pub fn find<'a>(&'a self, kind: &'a str, name: &str) -> Option<&'a Value> {
        self.of_kind(kind).find(|document| document["metadata"]["name"] == name)
    }

    /// What runs the services.
    pub fn workloads(&self) -> Vec<Workload<'_>> {
        self.documents().filter_map(Workload::of).collect()
    }

    /// The one of this name.
    pub fn workload(&self, name: &str) -> Workload<'_> {
        let found = self.workloads().into_iter().find(|workload| workload.name() == name);
        found.unwrap_or_else(|| panic!("there is no {name}"))
    }
}

/// All overlays by their folders' names.
pub fn overlays() -> &'static BTreeMap<String, Manifests> {
    static OVERLAYS: OnceLock<BTreeMap<String, Manifests>> = OnceLock::new();
    OVERLAYS.get_or_init(|| {
        let folders = fs::read_dir(deploy("kubernetes/overlays")).expect("a folder of overlays");
        let names = folders.map(|entry| entry.expect("an overlay").file_name().into_string().expect("UTF-8"));
        names.map(|name| (name.clone(), render(&deploy(&format!("kubernetes/overlays/{name}"))))).collect()
    })
}

pub fn overlay(name: &str) -> &'static Manifests {
    overlays().get(name).unwrap_or_else(|| panic!("there is no overlay {name}"))
}

/// What watches the application.
pub fn monitoring() -> &'static Manifests {
    static FOUND: OnceLock<Manifests> = OnceLock::new();
    FOUND.get_or_init(|| render(&deploy("")))
}

/// A path in the folder `deploy`.
pub fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

fn render(folder: &Path) -> Manifests {
    let outcome = run(kubectl().arg("kustomize").arg(folder));
    assert!(outcome.success, "{} is not rendered: {}", folder.display(), outcome.stderr);
    judge(&outcome.stdout)
}

/// Documents, and what the schemas say of them.
pub fn judge(text: &str) -> Manifests {
    let mut python = validating_python();
    python
        .args(["-c", SCRIPT, VERSION])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let mut child = python.spawn().expect("python starts");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("python reads");
    let output = child.wait_with_output().expect("python ends");
    assert!(output.status.success(), "python failed: {}", output.status);
    let verdicts: Vec<Value> = serde_json::from_slice(&output.stdout).expect("a list");
    let judged = |mut verdict: Value| Judged {
        document: verdict["document"].take(),
        fault: verdict["fault"].as_str().map(str::to_owned),
        has_schema: verdict["has_schema"] == true,
    };
    Manifests(verdicts.into_iter().map(judged).collect())
}
