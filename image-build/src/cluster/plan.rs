//! What will run: the instances of an application under the choices of a command line, in an order in
//! which they can start. It opens no port and starts nothing; addresses are worked out in `ports`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::application::{Application, Condition, Service};
use super::machine::Platform;
use super::network::NetworkPlan;
use super::restart::Restart;
use crate::disk_image::DiskImage;
use wire::postgres::url::UrlError;

/// Where guests find the host in QEMU's user network.
pub const HOST_SEEN_BY_GUESTS: &str = "10.0.2.2";
/// The address of every guest in its own user network, given statically so that none waits for DHCP.
const GUEST_ADDRESS: &str = "10.0.2.15/24";

/// What the command line changes about an application.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// Instances by service.
    pub scale: BTreeMap<String, u16>,
    /// Host port of the first instance by service, in place of the described one.
    pub publish: BTreeMap<String, u16>,
    /// A Redis to use instead of the described store.
    pub redis: Option<String>,
    /// Where results are kept instead of the store.
    pub results: Option<String>,
    /// The folder that volumes are kept in; without one, data go with their machines.
    pub data: Option<PathBuf>,
    /// Values of settings, for the services that name them.
    pub settings: BTreeMap<String, String>,
}

/// An application ready to be started. Two equal plans give the same running application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Name of the application.
    pub application: String,
    /// What the machines run on.
    pub platform: Platform,
    /// The instances, each after those it depends on.
    pub instances: Vec<Instance>,
    /// The image of each package that is booted.
    pub images: BTreeMap<String, Image>,
    /// How they are connected.
    #[serde(default)]
    pub network: NetworkPlan,
}

/// A bootable file and what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The ELF file of its program, with symbols for debuggers.
    pub program: PathBuf,
}

/// One virtual machine to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Name of its service.
    pub service: String,
    /// Its own name, such as `vote-1`.
    pub name: String,
    /// Place among the instances of its service, from 0.
    pub index: u16,
    /// The package whose image it boots.
    pub image: String,
    /// Its memory, in MiB.
    pub memory_mib: u32,
    /// Where its data are.
    pub data: Data,
    /// Its settings, with references to services still in them.
    pub environment: BTreeMap<String, String>,
    /// The networks it is on.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Its ports.
    pub ports: Vec<Port>,
    /// How its health is asked for.
    pub health: HealthCheck,
    /// Scheme and guest port of the address that people are told.
    pub endpoint: (String, u16),
    /// What has to be there before it starts.
    pub depends_on: BTreeMap<String, Condition>,
    /// Whether it is started again when it has failed.
    pub restart: Restart,
}

/// Where an instance has the data that it is to keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Data {
    /// It keeps none.
    None,
    /// In its memory, with which they go.
    InMemory,
    /// On its disk.
    OnDisk(DiskImage),
}

/// A port of a guest and where the host gives access to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Port of the guest.
    pub guest: u16,
    /// Address of the host.
    pub address: IpAddr,
    /// Port of the host.
    pub host: HostPort,
}

/// Which port of the host is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostPort {
    /// Exactly this one; users know it.
    Exactly(u16),
    /// The first free one from here on.
    From(u16),
    /// Any free one; nobody is told.
    Any,
}

/// `GET path` on a port of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Port of the guest.
    pub port: u16,
    /// Path with its leading slash.
    pub path: String,
    /// Time from start to healthy, in seconds.
    pub timeout_s: u64,
}

/// A choice that does not fit the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// An option names a service that is not described.
    NoSuchService {
        /// The option.
        option: &'static str,
        /// The name given.
        service: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// More or fewer instances than the service allows.
    Scale {
        /// The service.
        service: String,
        /// The number given.
        given: u16,
        /// The most it allows.
        max: u16,
    },
    /// Two services at one port of the host.
    SamePort {
        /// The port.
        port: u16,
        /// The services.
        services: [String; 2],
    },
    /// `--publish` for a service without ports.
    NotPublished {
        /// The service.
        service: String,
    },
    /// A database's address that the services would refuse.
    Database {
        /// The option or setting.
        option: &'static str,
        /// The value given, without its password.
        value: String,
        /// Why.
        reason: UrlError,
    },
    /// An address option with another shape than a URL of the scheme.
    Url {
        /// The option.
        option: &'static str,
        /// The value given.
        value: String,
        /// What it should look like.
        expected: &'static str,
    },
    /// An option that no service of the application takes.
    NobodyTakes {
        /// The option.
        option: &'static str,
        /// The setting that it would fill.
        setting: &'static str,
    },
    /// `--data` where nothing has a volume.
    NothingToKeep {
        /// Whether `--redis` has taken the store out.
        is_replaced: bool,
    },
    /// A service that an option takes out is still needed.
    StillNeeded {
        /// The option.
        option: &'static str,
        /// The service to be taken out.
        service: String,
        /// The service that needs it.
        by: String,
        /// The setting that names it.
        setting: String,
    },
    /// An option takes all services out.
    NothingLeft {
        /// The option.
        option: &'static str,
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchService { option, service, known } => {
                write!(f, "{option}: there is no service {service:?}: there are {}", known.join(", "))
            }
            Self::Scale { service, given, max } => {
                write!(f, "--scale {service}={given} cannot be used: give 0 to {max}")
            }
            Self::SamePort { port, services: [one, other] } => write!(
                f,
                "{one} and {other} are both published at port {port}: give one of them another, such as --publish {other}={}",
                port.checked_add(1).unwrap_or(1024)
            ),
            Self::NotPublished { service } => {
                write!(f, "--publish {service}: the service has no port: give it `ports` in the file")
            }
            Self::Database { option, value, reason } => write!(f, "{option} {value}: {reason}"),
            Self::Url { option, value, expected } => {
                write!(f, "{option} {value} is no address: give one such as {expected}")
            }
            Self::NobodyTakes { option, setting } => {
                write!(f, "{option}: no service takes {setting}: name it in its `environment`")
            }
            Self::NothingToKeep { is_replaced: true } => {
                f.write_str("--data is for the store, which --redis replaces: leave one of them out")
            }
            Self::NothingToKeep { is_replaced: false } => {
                f.write_str("--data: no service has a volume: give one `volumes` in the file")
            }
            Self::StillNeeded { option, service, by, setting } => {
                write!(f, "{option} would take {service} out, but {setting} of {by} needs it: change it too")
            }
            Self::NothingLeft { option } => write!(f, "{option} would leave nothing to run: keep a service"),
        }
    }
}

impl std::error::Error for PlanError {}

/// An application of which it is known what is to run, but not yet on what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Name of the application.
    pub application: String,
    /// The instances, each after those it depends on.
    pub instances: Vec<Instance>,
}

impl Draft {
    /// Works out what will run.
    ///
    /// # Errors
    /// When a choice does not fit the application.
    pub fn new(mut application: Application, choices: &Choices) -> Result<Self, PlanError> {
        super::overrides::apply(&mut application, choices)?;
        let mut instances = Vec::new();
        for name in start_order(&application) {
            let service = &application.services[name];
            instances.extend((0..service.replicas).map(|index| {
                let mut instance = instance(name, service, index);
                instance.data = data(&application, service, &instance.name, choices);
                instance
            }));
        }
        if choices.data.is_some() && instances.iter().all(|instance| instance.data == Data::None) {
            return Err(PlanError::NothingToKeep { is_replaced: choices.redis.is_some() });
        }
        Ok(Self { application: application.name, instances })
    }

    /// The packages whose images are needed, each once.
    pub fn packages(&self) -> Vec<&str> {
        let mut packages: Vec<&str> = self.instances.iter().map(|instance| instance.image.as_str()).collect();
        packages.sort_unstable();
        packages.dedup();
        packages
    }

    /// The plan, now that it is known on what it runs.
    pub fn complete(self, platform: Platform, images: BTreeMap<String, Image>) -> Plan {
        let network = NetworkPlan::default();
        Plan { application: self.application, platform, instances: self.instances, images, network }
    }
}

impl Instance {
    /// Whether people outside are meant to use one of its ports.
    pub fn is_published(&self) -> bool {
        self.ports.iter().any(|port| port.host != HostPort::Any)
    }
}

/// The services, each after those it depends on. The application is free of circles.
fn start_order(application: &Application) -> Vec<&str> {
    let mut order: Vec<&str> = Vec::new();
    while order.len() < application.services.len() {
        let ready = application.services.iter().filter(|(name, service)| {
            let waits = || service.depends_on.keys().any(|other| !order.contains(&other.as_str()));
            !order.contains(&name.as_str()) && !waits()
        });
        match ready.min_by_key(|(_, service)| service.line) {
            Some((name, _)) => order.push(name),
            None => break,
        }
    }
    order
}

fn data(application: &Application, service: &Service, instance: &str, choices: &Choices) -> Data {
    let volume = service.volumes.first().and_then(|name| application.volumes.get(name));
    match (volume, &choices.data) {
        (None, _) => Data::None,
        (Some(_), None) => Data::InMemory,
        (Some(volume), Some(folder)) => {
            let path = folder.join(format!("{instance}.img"));
            Data::OnDisk(DiskImage { path, size_mib: volume.size.mib })
        }
    }
}

fn instance(service_name: &str, service: &Service, index: u16) -> Instance {
    let name = format!("{service_name}-{}", index + 1);
    let mut environment: BTreeMap<String, String> =
        service.environment.clone().into_iter().filter(|(_, value)| !value.is_empty()).collect();
    for (setting, value) in
        [("INSTANCE", name.as_str()), ("IP", GUEST_ADDRESS), ("GATEWAY", HOST_SEEN_BY_GUESTS)]
    {
        environment.insert(setting.to_owned(), value.to_owned());
    }
    let ports = ports(service, index);
    let endpoint = service.endpoint.as_ref().map_or_else(
        || ("http".to_owned(), ports.first().map_or(service.health.port, |port| port.guest)),
        |endpoint| (endpoint.scheme.clone(), endpoint.port),
    );
    Instance {
        service: service_name.to_owned(),
        name,
        index,
        image: service.image.clone(),
        memory_mib: service.memory.mib,
        data: Data::None,
        environment,
        networks: service.networks.clone(),
        ports,
        health: HealthCheck {
            port: service.health.port,
            path: service.health.path.clone(),
            timeout_s: service.health.timeout_s,
        },
        endpoint,
        depends_on: service.depends_on.clone(),
        restart: service.restart,
    }
}

fn ports(service: &Service, index: u16) -> Vec<Port> {
    let published = service.ports.iter().map(|mapping| Port {
        guest: mapping.guest,
        address: mapping.address,
        host: match index {
            0 => HostPort::Exactly(mapping.host),
            _ => HostPort::From(mapping.host.saturating_add(1)),
        },
    });
    let exposed = service.expose.iter().map(|&guest| Port {
        guest,
        address: Ipv4Addr::LOCALHOST.into(),
        host: HostPort::Any,
    });
    published.chain(exposed).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::cluster::template::Template;

    /// A service `web` with port 80 published from `first` on.
    pub fn one_service(replicas: u16, first: u16) -> Plan {
        let text = format!(
            r#"
            name = "test"
            [services.web]
            image = "web"
            memory = "16MiB"
            replicas = {replicas}
            ports = ["1:80"]
            health = {{ port = 80 }}
            "#
        );
        let application = Application::parse("test.toml", &text, &["web"]).expect("a description");
        let choices = Choices { publish: BTreeMap::from([("web".to_owned(), first)]), ..Choices::default() };
        let draft = Draft::new(application, &choices).expect("a plan");
        draft.complete(crate::cluster::machine::tests::platform(), BTreeMap::new())
    }

    const TEXT: &str = include_str!("../../../voting-app.toml");

    /// The voting application.
    pub fn voting(choices: &Choices) -> Result<Draft, PlanError> {
        described(TEXT, choices)
    }

    fn described(text: &str, choices: &Choices) -> Result<Draft, PlanError> {
        let images = ["store-service", "worker", "vote-service", "result-service"];
        let application =
            Application::parse("voting-app.toml", text, &images).expect("the project's own description");
        Draft::new(application, choices)
    }

    #[test]
    fn the_description_for_strangers_differs_in_its_limits_only() {
        let choices = Choices::default();
        let mut draft = described(include_str!("../../../deploy/voting-app.toml"), &choices).expect("a plan");
        let vote = draft.instances.iter_mut().find(|instance| instance.service == "vote").expect("vote");
        let mut taken_out = |name: &str| vote.environment.remove(name).expect(name);
        let [in_all, per_address] =
            ["NEW_VOTERS_PER_MINUTE", "NEW_VOTERS_PER_MINUTE_PER_ADDRESS"].map(&mut taken_out);
        let limits = [in_all, per_address].map(|limit| limit.parse::<u32>().expect("a number"));
        assert!(limits[0] > limits[1] && limits[1] > 0, "{limits:?}");
        assert_eq!(taken_out("CLIENT_ADDRESS_HEADER"), "X-Forwarded-For");
        assert_eq!(draft, voting(&choices).expect("a plan"));
    }

    fn names(plan: &Draft) -> Vec<&str> {
        plan.instances.iter().map(|instance| instance.name.as_str()).collect()
    }

    #[test]
    fn the_store_comes_before_those_that_need_it() {
        let plan = voting(&Choices::default()).expect("a plan");
        assert_eq!(names(&plan), ["store-1", "worker-1", "vote-1", "result-1"]);
        let vote = plan.instances.iter().find(|instance| instance.service == "vote").expect("vote");
        assert_eq!(vote.environment["INSTANCE"], "vote-1");
        assert_eq!(vote.environment["IP"], "10.0.2.15/24");
        assert_eq!(vote.environment["REDIS_URL"], "redis://{store:6379}");
        assert_eq!(vote.ports[0].host, HostPort::Exactly(8080));
        assert!(!vote.environment.values().any(String::is_empty));
    }

    #[test]
    fn further_instances_get_further_ports() {
        let choices = Choices {
            scale: BTreeMap::from([("vote".to_owned(), 2)]),
            publish: BTreeMap::from([("vote".to_owned(), 9000)]),
            ..Choices::default()
        };
        let plan = voting(&choices).expect("a plan");
        let ports: Vec<HostPort> =
            plan.instances.iter().filter(|i| i.service == "vote").map(|i| i.ports[0].host).collect();
        assert_eq!(ports, [HostPort::Exactly(9000), HostPort::From(9001)]);
        assert_eq!(plan.packages(), ["result-service", "store-service", "vote-service", "worker"]);
    }

    #[test]
    fn a_service_that_something_else_replaces_is_left_out() {
        let scale = ["vote", "result"].map(|service| (service.to_owned(), 0)).into();
        let plan = voting(&Choices { scale, ..Choices::default() }).expect("a plan");
        assert_eq!(names(&plan), ["store-1", "worker-1"]);
        let scale = ["store", "vote", "result", "worker"].map(|service| (service.to_owned(), 0));
        let refused = |scale| voting(&Choices { scale, ..Choices::default() }).expect_err("refused");
        assert_eq!(
            refused(scale.clone().into()).to_string(),
            "--scale would leave nothing to run: keep a service"
        );
        assert_eq!(
            refused(scale[..3].iter().cloned().collect()).to_string(),
            "--scale would take store out, but REDIS_URL of worker needs it: change it too"
        );
    }

    #[test]
    fn the_store_is_published_for_those_outside() {
        let publish = BTreeMap::from([("store".to_owned(), 7000)]);
        let plan = voting(&Choices { publish, ..Choices::default() }).expect("a plan");
        let ports: Vec<_> = plan.instances[0].ports.iter().map(|port| (port.guest, port.host)).collect();
        assert_eq!(ports, [(6379, HostPort::Exactly(7000)), (8083, HostPort::Any)]);
        assert!(plan.instances[0].is_published());
    }

    #[test]
    fn a_redis_of_the_host_takes_the_stores_place() {
        let redis = Some("redis://localhost:7000".to_owned());
        let plan = voting(&Choices { redis, ..Choices::default() }).expect("a plan");
        assert!(!names(&plan).contains(&"store-1"));
        for instance in &plan.instances {
            assert_eq!(instance.environment["REDIS_URL"], "redis://10.0.2.2:7000");
            assert!(!instance.depends_on.contains_key("store"));
        }
    }

    #[test]
    fn the_store_s_data_are_kept_where_it_is_said() {
        let data = |plan: &Draft, name: &str| {
            plan.instances.iter().find(|instance| instance.name == name).expect(name).data.clone()
        };
        let volatile = voting(&Choices::default()).expect("a plan");
        assert_eq!((data(&volatile, "store-1"), data(&volatile, "vote-1")), (Data::InMemory, Data::None));
        let folder = Some(PathBuf::from("/d"));
        let kept = voting(&Choices { data: folder.clone(), ..Choices::default() }).expect("a plan");
        let image = DiskImage { path: "/d/store-1.img".into(), size_mib: 128 };
        assert_eq!((data(&kept, "store-1"), data(&kept, "worker-1")), (Data::OnDisk(image), Data::None));
        let redis = Some("redis://localhost:7000".to_owned());
        let error = voting(&Choices { data: folder, redis, ..Choices::default() }).expect_err("no store");
        assert!(error.to_string().contains("which --redis replaces: leave one of them out"), "{error}");
    }

    #[test]
    fn results_go_to_those_who_take_them() {
        let results = Some("postgres://u:p@db.example/votes".to_owned());
        let plan = voting(&Choices { results, ..Choices::default() }).expect("a plan");
        let takers: Vec<&str> = plan
            .instances
            .iter()
            .filter(|i| {
                i.environment.get("RESULTS_URL").is_some_and(|v| v == "postgres://u:p@db.example/votes")
            })
            .map(|i| i.service.as_str())
            .collect();
        assert_eq!(takers, ["worker", "result"]);
    }

    #[test]
    fn what_is_voted_on_can_be_given_and_braces_in_it_are_braces() {
        let settings = BTreeMap::from([("OPTION_A".to_owned(), "{tea}".to_owned())]);
        let plan = voting(&Choices { settings, ..Choices::default() }).expect("a plan");
        for instance in plan.instances.iter().filter(|it| matches!(it.service.as_str(), "vote" | "result")) {
            let value = Template::parse(&instance.environment["OPTION_A"]).expect("a value");
            assert_eq!(value.fill(|_, _| None).as_deref(), Some("{tea}"), "{}", instance.name);
        }
        assert!(
            plan.instances.iter().all(|it| it.service != "store" || !it.environment.contains_key("OPTION_A"))
        );
    }

    #[test]
    fn choices_that_do_not_fit_are_refused() {
        let one = |service: &str, number| BTreeMap::from([(service.to_owned(), number)]);
        let message = |choices: Choices| voting(&choices).expect_err("refused").to_string();
        assert_eq!(
            message(Choices { scale: one("vot", 2), ..Choices::default() }),
            "--scale: there is no service \"vot\": there are result, store, vote, worker"
        );
        assert_eq!(
            message(Choices { scale: one("store", 2), ..Choices::default() }),
            "--scale store=2 cannot be used: give 0 to 1"
        );
        assert_eq!(
            message(Choices { publish: one("vote", 8081), ..Choices::default() }),
            "result and vote are both published at port 8081: give one of them another, such as --publish vote=8082"
        );
        let redis = Some("http://x".to_owned());
        assert!(
            message(Choices { redis, ..Choices::default() })
                .contains("such as redis://:password@127.0.0.1:6379/0")
        );
    }
}
