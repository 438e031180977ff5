//! `deploy/two-machines` as it is there: the store is a virtual machine of libvirt that Pacemaker keeps running on one
//! of two machines. The one that runs it is lost while people vote, and is fenced.
//!
//! The test differs in three things: QEMU emulates the processor, the switch that fences takes the power of namespaces,
//! and the volume that both machines have is a folder of this one.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use image_build::vm::disk_image::DiskImage;
use tempfile::TempDir;
use tests::client::wait_for;
use tests::command::run;
use tests::poll::Poll;
use tests::redis::Connection;

use super::image;
use super::libvirt::{self, script, virsh};
use super::network::{disk_folder, does, ip};
use super::power_switch::{self, Machine};
use super::voting::vote_through;

const STORE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 20), 6379);
const SHARED: &str = "/srv/voting-app";
const DISK_MIB: u32 = 32;
/// Of corosync; the machine that decides is found after 20 s (Pacemaker's `dc-deadtime`).
const CLUSTER_LIMIT: Duration = Duration::from_secs(60);
/// From a cut cable to a store that answers: the loss is noticed after 3 to 7 s, the fence waits for 5 s; and if it was
/// the lost machine that decided, the other one finds itself after 20 s more, or after twice that.
const MOVED_WITHIN: Duration = Duration::from_secs(90);
/// What a machine has for itself: the state of its daemons.
const OWN_FOLDERS: [&str; 5] =
    ["/run", "/dev/shm", "/var/lib/pacemaker", "/var/lib/corosync", "/etc/corosync"];
const STORE_LIMIT: Duration = Duration::from_secs(30);
const DIAL_TIMEOUT: Duration = Duration::from_secs(1);

/// The two machines, on one network with the test.
struct Cluster {
    machines: [Arc<Machine>; 2],
    _shared: TempDir,
}

impl Cluster {
    fn start() -> Self {
        let start = Instant::now();
        let shared = make_shared_folder();
        ip("link add br0 type bridge");
        for address in ["192.0.2.1", "192.0.2.101", "192.0.2.102"] {
            ip(&format!("address add {address}/24 dev br0"));
        }
        ip("link set br0 up");
        let machines = [("machine-1", "port1"), ("machine-2", "port2")]
            .map(|(name, port)| Arc::new(Machine::start(name, port, &OWN_FOLDERS)));
        let key: Vec<u8> = (0..=255).collect();
        for (number, machine) in machines.iter().enumerate() {
            ip(&format!("link set port{} master br0", number + 1));
            prepare(machine, &key, number + 11);
        }
        let controllers = [Ipv4Addr::new(192, 0, 2, 101), Ipv4Addr::new(192, 0, 2, 102)];
        power_switch::listen(controllers.into_iter().zip(machines.clone()).collect());
        let cluster = Self { machines, _shared: shared };
        let is_whole = |status: &str| status.contains("Online: [ machine-1 machine-2 ]");
        cluster.wait_for(0, CLUSTER_LIMIT, is_whole);
        eprintln!("both machines are in the cluster after {:?}", start.elapsed());
        let cib = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/two-machines/cib.xml");
        let words = ["--replace", "--scope", "configuration", "--xml-file", cib];
        does(cluster.machines[0].command("cibadmin").args(words));
        cluster
    }

    /// Waits until the cluster's state, as this machine sees it, is as wanted.
    fn wait_for(&self, machine: usize, limit: Duration, is_wanted: impl Fn(&str) -> bool) {
        let status =
            || run(self.machines[machine].command("crm_mon").args(["--one-shot", "--inactive"])).stdout;
        let found = wait_for(limit, || Some(status()).filter(|status| is_wanted(status)));
        assert!(found.is_some(), "after {limit:?}: {}", status());
    }
}

/// The volume that both machines have: the image, an empty disk, and the machine's description.
fn make_shared_folder() -> TempDir {
    let shared = disk_folder();
    does(Command::new("mount").args(["-t", "tmpfs", "none", "/srv"]));
    fs::create_dir(SHARED).expect("a folder");
    does(Command::new("mount").arg("--bind").arg(shared.path()).arg(SHARED));
    let path = |name: &str| Path::new(SHARED).join(name);
    fs::copy(image("store-service"), path("store-service.img")).expect("room");
    drop(DiskImage { path: path("store.img"), size_mib: DISK_MIB }.claim().expect("room"));
    let domain = include_str!("../../../deploy/two-machines/store.xml");
    assert!(domain.contains("<domain type='kvm'>"), "{domain}");
    fs::write(path("store.xml"), domain.replace("<domain type='kvm'>", "<domain type='qemu'>"))
        .expect("room");
    shared
}

/// What an administrator does on each machine: the bridge, the files, and the daemons, which systemd would start.
fn prepare(machine: &Machine, key: &[u8], address: usize) {
    let place = |program: &str| machine.command(program);
    script(
        &place,
        &format!(
            "ip link add br0 type bridge; ip link set eth0 master br0
             ip address add 192.0.2.{address}/24 dev br0; ip link set br0 up
             for folder in blackbox cib cores pengine; do
                 install -d -o hacluster -g haclient -m 750 /var/lib/pacemaker/$folder
             done
             install -d -o hacluster -g haclient -m 750 /run/crm; mkdir -p /run/resource-agents
             mkdir -p /run/agents/upper /run/agents/work
             mount -t overlay overlay -o lowerdir=/usr/sbin,upperdir=/run/agents/upper,workdir=/run/agents/work \
                 /usr/sbin"
        ),
    );
    let files = [
        (
            "/etc/corosync/corosync.conf",
            include_bytes!("../../../deploy/two-machines/corosync.conf").as_slice(),
        ),
        ("/etc/corosync/authkey", key),
        ("/usr/sbin/fence_ipmilan", include_bytes!("fence_ipmilan.sh")),
    ];
    for (path, content) in files {
        let source = tempfile::NamedTempFile::new().expect("a file");
        fs::write(source.path(), content).expect("room");
        does(place("install").args(["-m", "755"]).arg(source.path()).arg(path));
    }
    libvirt::start(&place);
    script(
        &place,
        "corosync -f > /run/corosync.log 2>&1 &
         for turn in $(seq 150); do corosync-cfgtool -s > /dev/null 2>&1 && break; sleep 0.2; done
         corosync-cfgtool -s > /dev/null || { cat /run/corosync.log; exit 1; }
         PCMK_logfile=/run/pacemaker.log pacemakerd > /run/pacemakerd.log 2>&1 &",
    );
}

/// Waits until the store answers.
fn store_answers(limit: Duration) {
    let answers = || {
        // Without a limit a connection that begins during the loss is tried again after ever longer pauses.
        TcpStream::connect_timeout(&STORE.into(), DIAL_TIMEOUT).ok()?;
        Connection::open(STORE).ok()?.ask(&[b"PING"]).ok().filter(|reply| reply == b"+PONG\r\n")
    };
    assert!(wait_for(limit, answers).is_some(), "{STORE} does not answer after {limit:?}");
}

pub fn a_store_moves() {
    let cluster = Cluster::start();
    let [first, second] = &cluster.machines;
    let is_on = |machine: &'static str| {
        move |status: &str| {
            let line = status.lines().find(|line| line.contains("(ocf:heartbeat:VirtualDomain)"));
            line.is_some_and(|line| line.contains(&format!("Started {machine}")))
        }
    };
    cluster.wait_for(0, CLUSTER_LIMIT, is_on("machine-1"));
    store_answers(STORE_LIMIT);
    refuses_a_second_store(second);
    let poll = Poll::start_on(STORE, 1, &[]);
    let voters = vote_through(
        poll.vote_address(0),
        || poll.scores(),
        || {
            let cut = Instant::now();
            ip("link set port1 down");
            store_answers(MOVED_WITHIN);
            eprintln!("the store answers {:?} after the loss of {}", cut.elapsed(), first.name);
            assert!(!first.is_on() && second.is_on(), "the lost machine is fenced, and no other");
        },
    );
    cluster.wait_for(1, CLUSTER_LIMIT, is_on("machine-2"));
    poll.wait_for_scores(voters.expected());
    eprintln!("{} acknowledged, {} tried again", voters.acknowledged, voters.repeated);
    assert!(voters.repeated > 0, "nobody voted during the loss");
}

/// A store that is started by hand on the other machine, as no cluster would.
fn refuses_a_second_store(machine: &Machine) {
    let outcome = virsh(&|program| machine.command(program), "create /srv/voting-app/store.xml");
    assert!(!outcome.success, "two stores run on one volume");
    let reason =
        "Failed to get \"write\" lock\nIs another process using the image [/srv/voting-app/store.img]?";
    assert!(outcome.stderr.contains(reason), "{outcome:?}");
}
