//! The plan in progress: the instances of an application with the command line's options, in an order in which they
//! can start. It opens no port and starts nothing; `ports` finds addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::application::{Application, Service};
use crate::plan::choices::{Choices, PlanError};
use crate::plan::model::{
    Data, HOST_SEEN_BY_GUESTS, HealthCheck, HostPort, Image, Instance, NetworkPlan, Plan, Port,
};
use crate::plan::overrides;
use image_build::image::Source;
use image_build::vm::disk_image::DiskImage;
use image_build::vm::machine::Platform;

/// The address of every guest in its own user network, given statically so that none waits for DHCP.
const GUEST_ADDRESS: &str = "10.0.2.15/24";

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
        overrides::apply(&mut application, choices)?;
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

    /// What the images that are needed are made of, each once.
    pub fn sources(&self) -> Vec<Source> {
        let sources: BTreeSet<Source> =
            self.instances.iter().map(|instance| instance.source.clone()).collect();
        sources.into_iter().collect()
    }

    /// The plan, now that it is known on what it runs.
    pub fn complete(self, platform: Platform, images: BTreeMap<String, Image>) -> Plan {
        let network = NetworkPlan::default();
        Plan { application: self.application, platform, instances: self.instances, images, network }
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
    let ports = ports(service);
    let endpoint = service.endpoint.as_ref().map_or_else(
        || ("http".to_owned(), ports.first().map_or(service.health.port, |port| port.guest)),
        |endpoint| (endpoint.scheme.clone(), endpoint.port),
    );
    Instance {
        service: service_name.to_owned(),
        name,
        index,
        source: service.source(),
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

fn ports(service: &Service) -> Vec<Port> {
    let published = service.ports.iter().map(|mapping| Port {
        guest: mapping.guest,
        address: mapping.address,
        host: match service.replicas {
            // Nobody is between an instance that is alone and its clients.
            ..=1 => HostPort::Exactly(mapping.host),
            _ => HostPort::Shared(mapping.host),
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
    use std::path::PathBuf;

    use super::*;
    use crate::application::template::Template;
    use image_build::vm::accelerator::Accelerator;
    use image_build::vm::machine::Machine;
    use image_build::vm::vmm::Vmm;

    /// A platform for tests that start no QEMU.
    pub fn platform() -> Platform {
        Platform {
            vmm: Vmm::Qemu,
            program: Vmm::Qemu.program().into(),
            machine: Machine::Q35,
            accelerator: Accelerator::Tcg { mhz: 2000 },
            sandbox: true,
            shares_queues: false,
        }
    }

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
        draft.complete(platform(), BTreeMap::new())
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
    fn the_deployed_description_differs_only_in_its_limits() {
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
    fn several_instances_share_their_published_port() {
        let choices = Choices {
            scale: BTreeMap::from([("vote".to_owned(), 2)]),
            publish: BTreeMap::from([("vote".to_owned(), 9000)]),
            ..Choices::default()
        };
        let plan = voting(&choices).expect("a plan");
        let ports: Vec<HostPort> =
            plan.instances.iter().filter(|i| i.service == "vote").map(|i| i.ports[0].host).collect();
        assert_eq!(ports, [HostPort::Shared(9000); 2]);
        assert!(
            plan.instances
                .iter()
                .all(|it| it.is_published() == matches!(it.service.as_str(), "vote" | "result"))
        );
        let sources: Vec<String> = plan.sources().iter().map(Source::to_string).collect();
        assert_eq!(sources, ["result-service", "store-service", "vote-service", "worker"]);
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
            "--scale would leave out store, but REDIS_URL of worker needs it: change that setting too"
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
        assert!(error.to_string().contains("which --redis replaces: leave out one of them"), "{error}");
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
    fn options_may_contain_braces() {
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
            "--scale: there is no service \"vot\": choose one of result, store, vote, worker"
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
