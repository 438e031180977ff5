//! What the API says of Services: their addresses, and the pods behind them that are ready.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::command::run;

use crate::certificates::Certificates;
use crate::kubeconfig::api_url;
use crate::requirements::Programs;

const SERVICES: &str = "/api/v1/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";
/// The label of a slice that names its Service.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";
/// How long between two looks at the API.
const POLL: Duration = Duration::from_millis(250);
/// How long the API may take, in seconds.
const LIMIT_S: &str = "5";

/// A Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its own address, unless it is headless.
    pub address: Option<Ipv4Addr>,
    /// The number of each of its ports, by name.
    pub ports: BTreeMap<String, u16>,
    pub endpoints: Vec<Endpoint>,
}

/// A ready pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: Ipv4Addr,
    /// Its name in its Service, if it is of a StatefulSet.
    pub hostname: Option<String>,
    /// The number of each of its ports, by the name of the Service's.
    pub ports: BTreeMap<String, u16>,
}

/// All Services, by namespace and name.
pub type Services = BTreeMap<(String, String), Service>;

impl Service {
    /// Where the ready pods listen that are behind a port.
    pub fn behind(&self, port: &str) -> Vec<SocketAddrV4> {
        let place =
            |endpoint: &Endpoint| Some(SocketAddrV4::new(endpoint.address, *endpoint.ports.get(port)?));
        self.endpoints.iter().filter_map(place).collect()
    }
}

/// The Services of two lists of the API.
pub fn read(services: &Value, slices: &Value) -> Services {
    let key = |object: &Value, name: &Value| {
        Some((object["metadata"]["namespace"].as_str()?.to_owned(), name.as_str()?.to_owned()))
    };
    let mut known: Services = items(services)
        .filter_map(|item| Some((key(item, &item["metadata"]["name"])?, service(item))))
        .collect();
    for slice in items(slices) {
        let name = key(slice, &slice["metadata"]["labels"][SERVICE_LABEL]);
        if let Some(service) = name.and_then(|name| known.get_mut(&name)) {
            service.endpoints.extend(endpoints(slice));
        }
    }
    known
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

fn service(item: &Value) -> Service {
    Service {
        // A headless one has "None".
        address: item["spec"]["clusterIP"].as_str().and_then(|text| text.parse().ok()),
        ports: ports(&item["spec"]["ports"]),
        endpoints: Vec::new(),
    }
}

fn ports(list: &Value) -> BTreeMap<String, u16> {
    let port = |port: &Value| {
        let number = port["port"].as_u64().and_then(|number| u16::try_from(number).ok())?;
        Some((port["name"].as_str().unwrap_or_default().to_owned(), number))
    };
    list.as_array().into_iter().flatten().filter_map(port).collect()
}

fn endpoints(slice: &Value) -> Vec<Endpoint> {
    let ports = ports(&slice["ports"]);
    let all = slice["endpoints"].as_array().into_iter().flatten();
    // One that does not say is ready (EndpointConditions).
    let ready = all.filter(|endpoint| endpoint["conditions"]["ready"] != false);
    let endpoint = |endpoint: &Value| {
        Some(Endpoint {
            address: endpoint["addresses"][0].as_str()?.parse().ok()?,
            hostname: endpoint["hostname"].as_str().map(ToOwned::to_owned),
            ports: ports.clone(),
        })
    };
    ready.filter_map(endpoint).collect()
}

/// What was known last, kept up to date by a thread.
#[derive(Clone)]
pub struct Directory(Arc<Mutex<Services>>);

impl Directory {
    /// Looks at the API once, and from then on again and again.
    ///
    /// # Errors
    /// When the API does not answer.
    pub fn start(programs: &Programs, certificates: &Certificates) -> Result<Self> {
        let mut commands = [SERVICES, SLICES].map(|path| ask(programs, certificates, path));
        let mut look = move || -> Result<Services> {
            let [services, slices] = commands.each_mut().map(answer);
            Ok(read(&services?, &slices?))
        };
        let directory = Self(Arc::new(Mutex::new(look()?)));
        let kept = directory.clone();
        thread::spawn(move || {
            loop {
                thread::sleep(POLL);
                // The API is busy at times; what is known stays until it answers.
                if let Ok(services) = look() {
                    *kept.0.lock().unwrap_or_else(PoisonError::into_inner) = services;
                }
            }
        });
        Ok(directory)
    }

    /// All Services as they were last.
    pub fn services(&self) -> Services {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One of them.
    pub fn service(&self, namespace: &str, name: &str) -> Option<Service> {
        let key = (namespace.to_owned(), name.to_owned());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }
}

fn ask(programs: &Programs, certificates: &Certificates, path: &str) -> Command {
    let who = &certificates.administrator;
    let mut command = programs.command("curl");
    command.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", LIMIT_S]);
    command.arg("--cacert").arg(&certificates.authority);
    command.arg("--cert").arg(&who.certificate).arg("--key").arg(&who.key);
    command.arg(format!("{}{path}", api_url()));
    command
}

fn answer(command: &mut Command) -> Result<Value> {
    let outcome = run(command);
    ensure!(outcome.success, "{command:?}: {}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).context("the API answers in JSON")
}
