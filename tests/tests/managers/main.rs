//! Images started by those who manage machines for others: urunc in a pod, KubeVirt and libvirt, Pacemaker on two
//! machines; without Kubernetes, by the command lines, networks and files that these write.
//!
//! They take root, and programs that few machines have: what is missing is said, and the test is reported as ignored.
//! Each test runs in namespaces of its own (`tests::enclosure`), and all that it starts ends with them.

mod kubevirt;
mod libvirt;
mod network;
mod pod;
mod power_switch;
mod swarm;
mod two_machines;
mod urunc;
mod voting;

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Once;

use image_build::tool::packages::table::TESTS;
use libtest_mimic::{Arguments, Trial};
use rustix::process::geteuid;
use tests::command::{cargo, run};
use tests::running::linux_programs;
use tests::{enclosure, poll, programs};

/// What each pod takes.
const OF_A_POD: [&str; 4] = ["qemu-system-x86_64", "ip", "tc", "unshare"];
const OF_LIBVIRT: [&str; 4] = ["libvirtd", "virsh", "dnsmasq", "iptables"];
const OF_A_SWARM: [&str; 6] = ["dockerd", "docker", "docker-registry", "haproxy", "skopeo", "iptables"];
const OF_A_CLUSTER: [&str; 6] = ["libvirtd", "virsh", "corosync", "pacemakerd", "crm_mon", "ocf-tester"];

/// Tests at once. They are clusters of machines on one, and wait for most of their time.
const THREADS: usize = 2;

/// A name, what it takes besides a pod, and the test.
type Test = (&'static str, &'static [&'static str], fn());

/// The longest first.
const ALL: [Test; 7] = [
    ("swarm::votes_outlive_updates_scaling_and_a_lost_node", &OF_A_SWARM, swarm::votes_through_changes),
    (
        "two_machines::a_store_moves_from_a_lost_machine_and_no_vote_is_lost",
        &OF_A_CLUSTER,
        two_machines::a_store_moves,
    ),
    ("urunc::a_pod_is_served_at_its_address_and_ends_by_a_request", &[], urunc::serves_and_ends),
    ("urunc::frames_keep_to_the_size_that_the_arguments_give", &[], urunc::frames_keep_to_a_given_size),
    ("urunc::large_answers_arrive_where_nobody_gives_a_size", &[], urunc::large_answers_arrive),
    ("kubevirt::a_pod_is_served_and_the_power_button_loses_no_vote", &OF_LIBVIRT, kubevirt::serves_and_ends),
    ("kubevirt::a_machine_that_fails_says_why_at_each_start", &OF_LIBVIRT, kubevirt::says_why_it_fails),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(THREADS);
    let missing = Missing::here(arguments.list);
    let trials = ALL.into_iter().map(|test| trial(test, &missing)).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial((name, programs, test): Test, missing: &Missing) -> Trial {
    let lacks = missing.of(programs);
    let told =
        if lacks.is_empty() { name.to_owned() } else { format!("{name} (missing: {})", lacks.join(", ")) };
    let enclosed = move || {
        if !enclosure::is_any() {
            build();
        }
        if enclosure::is_inside(name, &[]) {
            network::own_run_folder();
            test();
        }
        Ok(())
    };
    Trial::test(told, enclosed).with_ignored_flag(!lacks.is_empty())
}

/// What this machine lacks.
struct Missing {
    rights: Vec<String>,
    programs: Vec<&'static str>,
}

impl Missing {
    /// Gets what can be got, unless tests are only listed.
    fn here(is_list: bool) -> Self {
        let mut rights = Vec::new();
        if !geteuid().is_root() {
            rights.push("root, for networks and mounts".to_owned());
        } else if let Err(error) = OpenOptions::new().read(true).write(true).open("/dev/net/tun") {
            rights.push(format!("tap interfaces (/dev/net/tun: {error})"));
        }
        if rights.is_empty() && !is_list {
            // What cannot be had is listed below.
            let _ = programs::programs();
        }
        let lacking = TESTS.iter().filter(|packaged| !packaged.is_there());
        Self { rights, programs: lacking.map(|packaged| packaged.program).collect() }
    }

    /// What a test that takes these programs lacks.
    fn of(&self, programs: &[&str]) -> Vec<String> {
        let wanted = OF_A_POD.iter().chain(programs);
        let lacking = wanted.filter(|program| self.programs.contains(program));
        self.rights.iter().cloned().chain(lacking.map(|program| (*program).to_owned())).collect()
    }
}

/// The images and programs, built outside, where cargo has the network.
fn build() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let packages = ["--package", "voting-app", "--package", "store-service"];
        let built = run(cargo(&["image", "build"]).args(packages));
        assert!(built.success, "{}", built.stderr);
        swarm::build();
        linux_programs(&["cluster"]);
        poll::build();
    });
}

/// An image that has been built.
fn image(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/hermit");
    PathBuf::from(folder).join(format!("{name}.img"))
}
