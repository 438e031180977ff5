//! A cluster of one node, started part by part: each is awaited before what needs it is started.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::command::run;

use crate::certificates::Certificates;
use crate::cni;
use crate::component::Component;
use crate::containerd;
use crate::control_plane::{self, ETCD_URL};
use crate::dns;
use crate::images;
use crate::isolation::Inside;
use crate::kubeconfig;
use crate::kubectl::Kubectl;
use crate::kubelet;
use crate::manifests;
use crate::network;
use crate::overlay::NAMESPACE;
use crate::places;
use crate::proxy;
use crate::requirements::Programs;
use crate::services::Directory;
use crate::waiting::wait_until;

/// A part is up within this time, on a busy machine.
const UP_WITHIN: Duration = Duration::from_secs(120);

/// The label of all pods of the application.
const ALL_PODS: &str = "app.kubernetes.io/part-of=voting-app";

/// A running cluster. It ends when this value goes.
pub struct Cluster {
    pub kubectl: Kubectl,
    /// What the API says of Services; there once the node is ready.
    pub directory: Option<Directory>,
    programs: Programs,
    certificates: Certificates,
    state: PathBuf,
    logs: PathBuf,
    cgroup: String,
    /// In the order of their start.
    components: Vec<Component>,
}

impl Cluster {
    /// Prepares one; nothing is started.
    ///
    /// # Errors
    /// When something cannot be mounted, addressed or written.
    pub fn prepare(inside: &Inside) -> Result<Self> {
        let programs = Programs::find()?;
        let state = inside.folder.clone();
        places::hide(&state, &programs.plugins)?;
        network::set_up()?;
        let certificates = Certificates::make(&state.join("certificates"))?;
        let administrator =
            kubeconfig::write(&state, "administrator", &certificates, &certificates.administrator)?;
        Ok(Self {
            kubectl: Kubectl::new(&programs, &administrator, &state),
            directory: None,
            programs,
            certificates,
            state,
            logs: inside.logs(),
            cgroup: inside.cgroup.clone(),
            components: Vec::new(),
        })
    }

    /// Starts all of it.
    ///
    /// # Errors
    /// When a part does not come up, with what was awaited.
    pub fn start(&mut self) -> Result<()> {
        self.start_control_plane()?;
        self.start_containers()?;
        self.start_node()?;
        let directory = Directory::start(&self.programs, &self.certificates)?;
        proxy::start(&directory);
        dns::start(&directory)?;
        self.directory = Some(directory);
        Ok(())
    }

    /// Starts what needs no node.
    ///
    /// # Errors
    /// When a part does not come up.
    pub fn start_control_plane(&mut self) -> Result<()> {
        let mut etcd = control_plane::etcd(&self.programs, &self.state);
        self.run("etcd", &mut etcd)?;
        let mut health = self.programs.command("curl");
        health.args(["--silent", "--noproxy", "*", "--max-time", "5"]).arg(format!("{ETCD_URL}/health"));
        self.wait("etcd's health", move |_| {
            let answer = run(&mut health).stdout;
            ensure!(answer.contains("true"), "it answers {answer:?}");
            Ok(())
        })?;
        let mut api = control_plane::api(&self.programs, &self.state, &self.certificates);
        self.run("kube-apiserver", &mut api)?;
        self.wait("the API's readiness", |cluster| cluster.kubectl.run(&["get", "--raw=/readyz"]).map(drop))?;
        let file = |name, who| kubeconfig::write(&self.state, name, &self.certificates, who);
        let controller_manager = file("controller-manager", &self.certificates.controller_manager)?;
        let scheduler = file("scheduler", &self.certificates.scheduler)?;
        let mut controllers =
            control_plane::controller_manager(&self.programs, &controller_manager, &self.certificates);
        self.run("kube-controller-manager", &mut controllers)?;
        self.run("kube-scheduler", &mut control_plane::scheduler(&self.programs, &scheduler))
    }

    /// Starts containerd, with the images.
    ///
    /// # Errors
    /// When it does not come up, or does not take them.
    pub fn start_containers(&mut self) -> Result<()> {
        let networks = cni::write(&self.state)?;
        let mut containerd = containerd::command(&self.programs, &self.state, networks)?;
        self.run("containerd", &mut containerd)?;
        self.wait("containerd's answer", |cluster| {
            let answer = run(containerd::ctr(&cluster.programs).arg("version"));
            ensure!(answer.success, "{}", answer.stderr);
            Ok(())
        })?;
        let (archives, names) = images::built(&self.state)?;
        for archive in archives {
            containerd::import(&self.programs, &archive)?;
        }
        containerd::wait_for_images(&self.programs, &names)
    }

    fn start_node(&mut self) -> Result<()> {
        let kubeconfig =
            kubeconfig::write(&self.state, "kubelet", &self.certificates, &self.certificates.node)?;
        let configuration = kubelet::configuration(&self.state, &self.cgroup, &self.certificates);
        let mut kubelet = kubelet::command(&self.programs, &self.state, &kubeconfig, &configuration)?;
        self.run("kubelet", &mut kubelet)?;
        self.wait("a ready node", |cluster| {
            let nodes = cluster.kubectl.get(&["nodes"])?;
            let node = nodes.first().context("no node has come")?;
            let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
            let ready = conditions.clone().find(|condition| condition["type"] == "Ready");
            let ready = ready.context("the node does not say whether it is ready")?;
            ensure!(ready["status"] == "True", "{}", ready["message"]);
            Ok(())
        })
    }

    fn run(&mut self, name: &'static str, command: &mut std::process::Command) -> Result<()> {
        self.components.push(Component::start(name, command, &self.logs)?);
        Ok(())
    }

    /// Waits for something that comes once the parts so far are up.
    fn wait(&mut self, what: &str, mut look: impl FnMut(&Self) -> Result<()>) -> Result<()> {
        let mut ended = Ok(());
        let come = wait_until(what, UP_WITHIN, || {
            ended = self.components.iter_mut().try_for_each(Component::check);
            if ended.is_err() { Ok(()) } else { look(self) }
        });
        ended.and(come)
    }

    /// All that may say why something has failed.
    pub fn describe(&self) -> String {
        let commands: [&[&str]; 4] = [
            &["get", "all,persistentvolumeclaims", "--all-namespaces", "--output", "wide"],
            &["get", "events", "--all-namespaces", "--sort-by", ".lastTimestamp"],
            &["describe", "nodes"],
            &[
                "logs",
                "--namespace",
                NAMESPACE,
                "--selector",
                ALL_PODS,
                "--prefix",
                "--tail",
                "10",
                "--ignore-errors",
            ],
        ];
        let said = commands.iter().map(|arguments| {
            let outcome = self.kubectl.attempt(Duration::from_secs(20), arguments);
            format!("--- kubectl {}\n{}{}", arguments.join(" "), outcome.stdout, outcome.stderr)
        });
        let said: Vec<String> = said.chain(self.components.iter().map(Component::last_lines)).collect();
        said.join("\n")
    }

    /// Runs a container of the image that holds a pod's namespaces, in the group of the pods.
    ///
    /// # Errors
    /// When it does not stay.
    pub fn try_container(&self) -> Result<()> {
        containerd::try_pause(&self.programs, &self.cgroup)
    }

    /// Applies each overlay, and removes it.
    ///
    /// # Errors
    /// When one is refused.
    pub fn apply_each(&self) -> Result<()> {
        manifests::apply_each(&self.kubectl, &self.state)
    }

    /// Where volumes are kept.
    pub fn volumes(&self) -> PathBuf {
        self.state.join("volumes")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What uses another part ends before it. Containers end with their process namespace.
        while let Some(component) = self.components.pop() {
            drop(component);
        }
    }
}
