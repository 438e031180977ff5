//! `deploy/docker/stack.yml` on a swarm of three nodes: people vote through an update, changes of scale and the loss of
//! a node. The images come from a registry, where `cargo image oci --push` has put them.
//!
//! The test differs in two things, since not every kernel has IPVS: names lead to the tasks themselves instead of a
//! virtual address, and each node publishes the ports of its own tasks. HAProxy stands for the balancer before them.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tests::client::{self, curl, wait_for};
use tests::command::{cargo, run};
use tests::crash::load::Load;

use super::network::{disk_folder, does, ip};
use super::power_switch::Machine;

/// The services of the stack.
pub const SERVICES: [&str; 4] = ["vote", "result", "worker", "store"];
const NODES: usize = 3;
const STACK: &str = "votes";
/// Where the test itself is in the nodes' network.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 254);
const REGISTRY: &str = "198.51.100.254:5000/votes";
/// The same for who pushes: what is on this machine needs no certificate.
const REGISTRY_HERE: &str = "127.0.0.1:5000/votes/{service}:0.1.0";
const TAG: &str = "0.1.0";
const BALANCER: [SocketAddrV4; 2] =
    [SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080), SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8081)];
/// What a node has for itself.
const OWN_FOLDERS: [&str; 1] = ["/run"];
const DAEMON_LIMIT: Duration = Duration::from_secs(30);
/// Pulls, boots by emulation, and health checks of everything.
const STACK_LIMIT: Duration = Duration::from_secs(120);
/// A lost node is noticed after three missed heartbeats of 5 s each; then its tasks boot elsewhere.
const CHANGE_LIMIT: Duration = Duration::from_secs(90);

/// The images, built outside, where cargo has the network.
pub fn build() {
    let built = run(cargo(&["image", "oci", "--runner"]).args(SERVICES));
    assert!(built.success, "{}", built.stderr);
}

struct Swarm {
    nodes: Vec<Machine>,
    folder: TempDir,
    /// They end with the namespace of the test.
    _servers: [Child; 2],
}

impl Swarm {
    fn start() -> Self {
        let folder = disk_folder();
        ip("link add br0 type bridge");
        ip(&format!("address add {OUTSIDE}/24 dev br0"));
        ip("link set br0 up");
        let registry = start_registry(folder.path());
        let nodes: Vec<Machine> =
            ["node-1", "node-2", "node-3"].map(|name| Machine::start(name, name, &OWN_FOLDERS)).into();
        let swarm = Self { nodes, _servers: [registry, start_balancer(folder.path())], folder };
        for number in 0..NODES {
            swarm.start_daemon(number);
        }
        swarm.docker(0, &["swarm", "init", "--advertise-addr", &address(0).to_string()]);
        let token = swarm.docker(0, &["swarm", "join-token", "--quiet", "worker"]);
        for number in 1..NODES {
            let manager = format!("{}:2377", address(0));
            swarm.docker(number, &["swarm", "join", "--token", token.trim(), &manager]);
        }
        swarm.docker(0, &["node", "update", "--label-add", "votes=true", "node-1"]);
        swarm
    }

    fn start_daemon(&self, number: usize) {
        let node = &self.nodes[number];
        ip(&format!("link set {} master br0", node.name));
        let words = format!("ip address add {}/24 dev eth0", address(number));
        does(node.command("sh").args(["-c", &format!("{words} && ip route add default via {OUTSIDE}")]));
        let data = self.folder.path().join(node.name);
        let own = |name: &str| data.join(name);
        fs::create_dir_all(&data).expect("room");
        let settings = json!({ "insecure-registries": [format!("{OUTSIDE}:5000")] });
        fs::write(own("daemon.json"), settings.to_string()).expect("room");
        let log = File::create(own("log")).expect("room");
        let mut daemon = node.command("dockerd");
        daemon.arg("--config-file").arg(own("daemon.json")).arg("--data-root").arg(own("data"));
        daemon.args(["--exec-root", "/run/docker", "--pidfile", "/run/docker.pid", "--log-level", "warn"]);
        daemon.args(["--exec-opt", "native.cgroupdriver=cgroupfs"]);
        daemon.args(["--cgroup-parent", &format!("/voting-app-{}-{}", std::process::id(), node.name)]);
        daemon.arg("--host").arg(format!("unix://{}", self.socket(number).display()));
        daemon.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        drop(daemon.spawn().expect("dockerd starts"));
        let answers = wait_for(DAEMON_LIMIT, || {
            run(self.client(number).args(["info", "--format", "x"])).success.then_some(())
        });
        let said = || fs::read_to_string(own("log")).unwrap_or_default();
        assert!(answers.is_some(), "dockerd does not answer after {DAEMON_LIMIT:?}:\n{}", said());
    }

    /// Short enough for unix(7).
    fn socket(&self, number: usize) -> PathBuf {
        PathBuf::from("/run").join(format!("docker-{number}.sock"))
    }

    fn client(&self, number: usize) -> Command {
        let mut client = self.nodes[number].command("docker");
        client.args(["--host", &format!("unix://{}", self.socket(number).display())]);
        client
    }

    fn docker(&self, number: usize, words: &[&str]) -> String {
        does(self.client(number).args(words))
    }

    fn deploy(&self) {
        let stack = include_str!("../../../deploy/docker/stack.yml");
        let host = |port: u16| format!("ports: [{{ target: {port}, published: {port}, mode: host }}]");
        let mut adapted = stack.replace("    deploy:\n", "    deploy:\n      endpoint_mode: dnsrr\n");
        for port in [8080, 8081] {
            let published = format!("ports: [\"{port}:{port}\"]");
            assert!(adapted.contains(&published), "{stack}");
            adapted = adapted.replace(&published, &host(port));
        }
        let file = self.folder.path().join("stack.yml");
        fs::write(&file, adapted).expect("room");
        let mut deploy = self.client(0);
        deploy.args(["stack", "deploy", "--compose-file"]).arg(file).arg(STACK);
        does(deploy.env("REGISTRY", REGISTRY).env("TAG", TAG));
    }

    /// Waits until each of these services has so many tasks, all ready.
    fn wait_for_tasks(&self, wanted: &[(&str, usize)], limit: Duration) {
        let listed = || self.docker(0, &["service", "ls", "--format", "{{.Name}} {{.Replicas}}"]);
        let is_there = |list: &str| {
            let has = |(name, count): &(&str, usize)| {
                list.lines().any(|line| line.starts_with(&format!("{STACK}_{name} {count}/{count}")))
            };
            wanted.iter().all(has)
        };
        let found = wait_for(limit, || is_there(&listed()).then_some(()));
        let tasks = || self.docker(0, &["stack", "ps", "--no-trunc", STACK]);
        assert!(found.is_some(), "after {limit:?}:\n{}\n{}", listed(), tasks());
    }

    /// The node that a task of vote runs on, and neither the manager nor the store does.
    fn expendable_node(&self) -> usize {
        let words =
            ["service", "ps", "--filter", "desired-state=running", "--format", "{{.Node}}", "votes_vote"];
        let nodes = self.docker(0, &words);
        (1..NODES).find(|number| nodes.contains(self.nodes[*number].name)).expect("vote is on two nodes")
    }
}

impl Drop for Swarm {
    /// Control groups are the only thing that no namespace takes away. They are empty once the nodes are off.
    fn drop(&mut self) {
        for node in &self.nodes {
            // A node that stays on ends with the namespace of the test.
            let _ = node.switch_off();
        }
        let group = format!("voting-app-{}-", std::process::id());
        for folder in ["/sys/fs/cgroup", "/sys/fs/cgroup/*"] {
            // What cannot be removed holds nothing.
            let script = format!("find {folder} -depth -type d -path '*/{group}*' -exec rmdir {{}} +");
            let _ = run(Command::new("sh").args(["-c", &script]));
        }
    }
}

fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, u8::try_from(number + 1).expect("few nodes"))
}

fn start_registry(folder: &Path) -> Child {
    let data = folder.join("registry");
    let settings = folder.join("registry.yml");
    let text = json!({
        "version": 0.1,
        "storage": { "filesystem": { "rootdirectory": data } },
        "http": { "addr": ":5000" },
    });
    fs::write(&settings, text.to_string()).expect("room");
    let log = File::create(folder.join("registry.log")).expect("room");
    let mut registry = Command::new("docker-registry");
    registry.arg("serve").arg(settings).stdout(Stdio::null()).stderr(log);
    let process = registry.spawn().expect("the registry starts");
    let answers = || (curl("http://127.0.0.1:5000/v2/", &[]).status == 200).then_some(());
    assert!(wait_for(DAEMON_LIMIT, answers).is_some(), "the registry does not answer");
    process
}

/// It asks every node, and sends nobody to one that does not answer.
fn start_balancer(folder: &Path) -> Child {
    let mut text = "defaults\n mode http\n timeout connect 1s\n timeout client 10s\n timeout server 10s\n \
                    option redispatch\n retries 2\n option httpchk GET /\n"
        .to_owned();
    for own in BALANCER {
        text += &format!("listen p{}\n bind {own}\n", own.port());
        for number in 0..NODES {
            let node = address(number);
            text += &format!(" server n{number} {node}:{} check inter 500ms fall 1 rise 1\n", own.port());
        }
    }
    let settings = folder.join("haproxy.cfg");
    fs::write(&settings, text).expect("room");
    let mut balancer = Command::new("haproxy");
    balancer.arg("-f").arg(settings).stdout(Stdio::null()).stderr(Stdio::null());
    balancer.spawn().expect("haproxy starts")
}

fn push() -> String {
    let pushed = run(cargo(&["image", "oci", "--runner", "--push", REGISTRY_HERE]).args(SERVICES));
    assert!(pushed.success, "{}", pushed.stderr);
    pushed.stdout
}

fn scores() -> Option<(u64, u64)> {
    client::scores(&format!("http://{}", BALANCER[1]))
}

/// A guest with its container's address: what it takes, and that it serves and ends like the others.
fn stands_in_its_containers_place(swarm: &Swarm) {
    let (image, outside) = (format!("{REGISTRY}/vote-service:{TAG}"), OUTSIDE.to_string());
    let store = format!("REDIS_URL=redis://{OUTSIDE}:6379");
    let rights = ["--user", "0", "--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "--device", "/dev/net/tun"];
    let mut words = vec!["run", "--detach", "--name", "in-place", "--read-only", "--dns", &outside];
    words.extend(rights);
    words.extend(["--env", "NETWORK=container", "--env", &store, &image]);
    swarm.docker(1, &words);
    let address = ["inspect", "--format", "{{.NetworkSettings.IPAddress}}", "in-place"];
    let page = format!("http://{}:8080/", swarm.docker(1, &address).trim());
    let serves = || {
        let asked =
            run(swarm.nodes[1].command("curl").args(["--silent", "--fail", "--max-time", "2", &page]));
        asked.success.then_some(())
    };
    let served = wait_for(DAEMON_LIMIT, serves);
    let said = run(swarm.client(1).args(["logs", "in-place"]));
    assert!(served.is_some(), "{page} does not answer:\n{}{}", said.stdout, said.stderr);
    assert!(!said.stdout.contains("DHCP"), "its address is the container's: {}", said.stdout);
    swarm.docker(1, &["stop", "in-place"]);
    assert_eq!(swarm.docker(1, &["inspect", "--format", "{{.State.ExitCode}}", "in-place"]).trim(), "0");
}

/// A container with a setting that cannot be used ends, and says why in one line.
fn refuses_a_wrong_setting(swarm: &Swarm) {
    let image = format!("{REGISTRY}/vote-service:{TAG}");
    let outcome = run(swarm.client(1).args(["run", "--rm", "--env", "HEALTH_PORT=x", &image]));
    assert!(!outcome.success, "{outcome:?}");
    let last = outcome.stderr.lines().last().unwrap_or_default();
    assert_eq!(last, "error: HEALTH_PORT=\"x\" cannot be used: give a TCP port from 1 to 65535");
}

pub fn votes_through_changes() {
    let swarm = Swarm::start();
    let images = push();
    assert_eq!(push(), images, "the same images are the same bytes, and may be pushed again");
    refuses_a_wrong_setting(&swarm);
    stands_in_its_containers_place(&swarm);
    swarm.deploy();
    let whole = [("store", 1), ("worker", 2), ("vote", 2), ("result", 1)];
    swarm.wait_for_tasks(&whole, STACK_LIMIT);
    assert!(wait_for(CHANGE_LIMIT, scores).is_some(), "result does not answer");
    let load = Load::start(BALANCER[0]);
    let votes_go_on = || load.wait_for_votes().expect("people go on voting");
    votes_go_on();
    swarm.docker(0, &["service", "update", "--force", "--quiet", "votes_vote"]);
    votes_go_on();
    swarm.docker(0, &["service", "scale", "votes_vote=3", "votes_worker=1"]);
    swarm.docker(0, &["service", "scale", "votes_vote=2", "votes_worker=2"]);
    votes_go_on();
    let lost = swarm.expendable_node();
    let begun = Instant::now();
    assert!(swarm.nodes[lost].switch_off(), "a node without power");
    swarm.wait_for_tasks(&whole, CHANGE_LIMIT);
    eprintln!("everything runs again {:?} after the loss of a node", begun.elapsed());
    votes_go_on();
    let voters = load.stop().expect("everybody is acknowledged");
    assert_eq!(
        wait_for(CHANGE_LIMIT, || scores().filter(|scores| *scores == voters.expected())),
        Some(voters.expected()),
        "acknowledged votes, against {:?}",
        scores()
    );
    eprintln!("{} acknowledged, {} tried again", voters.acknowledged, voters.repeated);
}
