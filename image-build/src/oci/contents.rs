//! What is in an image: a unikernel for engines that boot it, or a program for containers.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use base64ct::{Base64, Encoding};
use oci_spec::image::ConfigBuilder;

use super::description::{self, Description, NOBODY};
use super::layer::{Content, Files, Layer};
use super::layout::Image;
use super::qemu_files;
use crate::image::manifest;

/// Where a unikernel lies in its image.
const UNIKERNELS: &str = "unikernel";
/// What urunc reads in an image without labels, as `containerd` drops them: the same facts, their values in base64.
const URUNC_FILE: &str = "urunc.json";
/// Facts for urunc (pkg/unikontainers/config.go, 0.8): the kind, what boots it, and where it is.
const URUNC: &str = "com.urunc.unikernel";
const KIND: &str = "hermit";
const HYPERVISOR: &str = "qemu";
/// Where a store keeps its data: a volume.
const DATA: &str = "/data";

/// A unikernel: urunc, KubeVirt's kernel boot and image volumes take the file at `/unikernel/NAME`.
///
/// # Errors
/// When the file cannot be read.
pub fn unikernel(name: &str, file: &Path, facts: &manifest::Image) -> Result<Image> {
    let path = format!("{UNIKERNELS}/{name}");
    let binary = format!("/{path}");
    let urunc = [("unikernelType", KIND), ("hypervisor", HYPERVISOR), ("binary", &binary)];
    let urunc: BTreeMap<String, String> =
        urunc.map(|(key, value)| (format!("{URUNC}.{key}"), value.to_owned())).into();
    let encoded: BTreeMap<&String, String> =
        urunc.iter().map(|(key, value)| (key, Base64::encode_string(value.as_bytes()))).collect();
    let mut files = Files::default();
    files.add(&path, Content::Program(read(file)?))?;
    files.add(URUNC_FILE, Content::Data(serde_json::to_vec(&encoded).context("texts can be written")?))?;
    let annotations = annotations(name, "unikernel").into_iter().chain(urunc).collect();
    let config = config(facts).entrypoint(vec![binary]).build()?;
    Ok(Image { name: name.to_owned(), layers: vec![files.layer()?], config, annotations })
}

/// A program without an operating system around it: `FROM scratch`, for any engine that runs containers.
///
/// # Errors
/// When the file cannot be read.
pub fn container(name: &str, program: &Path, facts: &manifest::Image) -> Result<Image> {
    let mut files = Files::default();
    files.add(name, Content::Program(read(program)?))?;
    let config = config(facts).entrypoint(vec![format!("/{name}")]).user(nobody()).build()?;
    let layers = vec![files.layer()?];
    Ok(Image { name: name.to_owned(), layers, config, annotations: annotations(name, "container") })
}

/// A unikernel above the layer of [`what_runs_it`], for any engine that runs containers.
///
/// # Errors
/// When the file cannot be read.
pub fn runner(name: &str, unikernel: &Path, runs: &Layer, facts: &manifest::Image) -> Result<Image> {
    let path = format!("{UNIKERNELS}/{name}");
    let port =
        |port: &manifest::Port| description::Port { number: port.guest, setting: port.setting.clone() };
    let description = Description {
        name: name.to_owned(),
        image: Path::new("/").join(&path),
        memory_mib: facts.memory_mib,
        disk_mib: facts.disk_mib,
        ports: facts.ports.iter().map(port).collect(),
    };
    let mut files = Files::default();
    files.add(&path, Content::Data(read(unikernel)?))?;
    let text = serde_json::to_vec(&description).context("a description can be written")?;
    files.add(in_image(description::PATH), Content::Data(text))?;
    let mut config = config(facts).entrypoint(vec![description::RUNNER.to_owned()]).user(nobody());
    if facts.disk_mib.is_some() {
        config = config.env(vec![format!("DATA={DATA}")]).volumes(vec![DATA.to_owned()]);
        files.add(in_image(DATA), Content::Volume)?;
    }
    Ok(Image {
        name: name.to_owned(),
        layers: vec![runs.clone(), files.layer()?],
        config: config.build()?,
        annotations: annotations(name, "runner"),
    })
}

/// The layer that all runner images share: QEMU, the runner, and the unikernel with which KVM is tried.
///
/// # Errors
/// When a file cannot be read, or QEMU is missing.
pub fn what_runs_it(runner: &Path, probe: &Path) -> Result<Layer> {
    let mut files = Files::default();
    files.add(in_image(description::PROBE), Content::Data(read(probe)?))?;
    files.add(in_image(description::RUNNER), Content::Program(read(runner)?))?;
    qemu_files::add(&mut files)?;
    files.layer()
}

fn in_image(path: &str) -> &str {
    path.trim_start_matches('/')
}

fn nobody() -> String {
    format!("{NOBODY}:{NOBODY}")
}

fn config(facts: &manifest::Image) -> ConfigBuilder {
    let ports: Vec<String> = facts.ports.iter().map(|port| format!("{}/tcp", port.guest)).collect();
    ConfigBuilder::default().exposed_ports(ports).stop_signal("SIGTERM")
}

fn annotations(name: &str, what: &str) -> HashMap<String, String> {
    let standard = [
        ("title", name),
        ("description", what),
        ("version", env!("CARGO_PKG_VERSION")),
        ("licenses", env!("CARGO_PKG_LICENSE")),
    ];
    standard.map(|(key, value)| (format!("org.opencontainers.image.{key}"), value.to_owned())).into()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
