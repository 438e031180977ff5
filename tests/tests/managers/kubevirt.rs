//! A machine as KubeVirt has libvirt make it, in a pod: addresses by DHCP inside, and the pod's address translated to
//! them (KubeVirt's masquerade). dnsmasq stands in for KubeVirt's own DHCP server.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::client::{self, curl, wait_for};

use super::image;
use super::libvirt::{self, done, script};
use super::network::disk_folder;
use super::pod::{ADDRESS, Pod};
use super::voting::vote_through;

const NAME: &str = "default_votes";
const MTU: u16 = 1450;
const BOOT_LIMIT: Duration = Duration::from_secs(30);
/// A stopping service takes up to 3 s, after half a second; libvirt looks on.
const END_LIMIT: Duration = Duration::from_secs(15);
const COUNTED_WITHIN: Duration = Duration::from_secs(30);
const DISK_BYTES: u64 = 32 << 20;

/// A pod with a libvirt and the description of a machine.
struct Launcher {
    pod: Pod,
    folder: TempDir,
    dhcp: Child,
}

impl Launcher {
    fn new(settings: &str) -> Self {
        let pod = Pod::new(MTU);
        let launcher = Self { dhcp: make_network(&pod), pod, folder: disk_folder() };
        let disk = launcher.path("disk.img");
        fs::File::create(&disk).and_then(|file| file.set_len(DISK_BYTES)).expect("room");
        let words = [
            ("KERNEL", image("voting-app").display().to_string()),
            ("SETTINGS", settings.to_owned()),
            ("DISK", disk),
            ("CONSOLE", launcher.path("console")),
        ];
        let text = include_str!("kubevirt.xml").to_owned();
        let text = words.iter().fold(text, |text, (word, value)| text.replacen(word, value, 1));
        fs::write(launcher.path("domain.xml"), text).expect("room");
        libvirt::start(&launcher.place());
        launcher.virsh(&format!("define {}", launcher.path("domain.xml")));
        launcher
    }

    fn place(&self) -> impl Fn(&str) -> Command + '_ {
        |program| self.pod.namespace.command(program)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn virsh(&self, words: &str) -> String {
        done(&self.place(), words)
    }

    fn console(&self) -> String {
        fs::read_to_string(self.path("console")).unwrap_or_default()
    }

    /// Starts the machine, and waits until it serves.
    fn start(&self) {
        self.virsh(&format!("start {NAME}"));
        let serves = || (curl(&url(8080, "/healthz"), &[]).status == 200).then_some(());
        assert!(
            wait_for(BOOT_LIMIT, serves).is_some(),
            "no answer within {BOOT_LIMIT:?}: {}",
            self.console()
        );
    }

    /// The state that it ends in, and why.
    fn end(&self) -> String {
        let state = || {
            // In between it is "in shutdown".
            let state = self.virsh(&format!("domstate --reason {NAME}"));
            Some(state).filter(|state| state.starts_with("shut off") || state.starts_with("crashed"))
        };
        wait_for(END_LIMIT, state)
            .unwrap_or_else(|| panic!("it runs after {END_LIMIT:?}: {}", self.console()))
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ = self.dhcp.kill();
        let _ = self.dhcp.wait();
    }
}

/// The bridge, the tap, the translation of addresses, and the server for DHCP.
fn make_network(pod: &Pod) -> Child {
    let place = |program: &str| pod.namespace.command(program);
    script(
        &place,
        &format!(
            "ip link add k6t-eth0 mtu {MTU} type bridge; ip address add 10.0.2.1/24 dev k6t-eth0
             ip link set k6t-eth0 up
             ip tuntap add dev tap0 mode tap; ip link set tap0 mtu {MTU} master k6t-eth0 up
             echo 1 > /proc/sys/net/ipv4/ip_forward
             iptables -t nat -A PREROUTING -i eth0 -j DNAT --to-destination 10.0.2.2
             iptables -t nat -A POSTROUTING -s 10.0.2.2 -j MASQUERADE"
        ),
    );
    let mut dnsmasq = place("dnsmasq");
    dnsmasq.args(["--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=k6t-eth0"]);
    dnsmasq.args(["--bind-interfaces", "--leasefile-ro", "--dhcp-authoritative"]);
    dnsmasq.args(["--dhcp-range=10.0.2.2,static", "--dhcp-host=02:00:00:5a:77:01,10.0.2.2"]);
    dnsmasq.args(["--dhcp-option=option:router,10.0.2.1", "--dhcp-option=option:dns-server,10.96.0.10"]);
    dnsmasq.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    dnsmasq.spawn().expect("dnsmasq starts")
}

fn url(port: u16, path: &str) -> String {
    format!("http://{ADDRESS}:{port}{path}")
}

fn scores() -> Option<(u64, u64)> {
    client::scores(&url(8081, ""))
}

pub fn serves_and_ends() {
    let launcher = Launcher::new("env=OPTION_A=Tea");
    launcher.start();
    assert!(launcher.console().contains("DHCP lease: 10.0.2.2/24"), "{}", launcher.console());
    assert!(curl(&url(8080, "/"), &[]).body.contains("Tea"));
    let address = SocketAddrV4::new(ADDRESS.parse::<Ipv4Addr>().expect("an address"), 8080);
    let voters = vote_through(address, scores, || {
        let pressed = Instant::now();
        launcher.virsh(&format!("shutdown {NAME}"));
        let state = launcher.end();
        eprintln!("{state} {:?} after the power button", pressed.elapsed());
        assert_eq!(state, "shut off (shutdown)", "{}", launcher.console());
        assert!(launcher.console().contains("stopped on request"), "{}", launcher.console());
        launcher.start();
    });
    let expected = voters.expected();
    let counted = wait_for(COUNTED_WITHIN, || scores().filter(|scores| *scores == expected));
    assert!(counted.is_some(), "{:?} instead of {expected:?}", scores());
}

/// libvirt starts a machine again that is reset, unless its description says otherwise; KubeVirt's says nothing.
pub fn says_why_it_fails() {
    let launcher = Launcher::new("env=IP=10.0.2.300/24");
    launcher.virsh(&format!("start {NAME}"));
    let starts = || launcher.console().matches("IP=\"10.0.2.300/24\" is no IPv4 address").count();
    let again = wait_for(BOOT_LIMIT, || (starts() >= 2).then_some(()));
    assert!(again.is_some(), "{} starts within {BOOT_LIMIT:?}: {}", starts(), launcher.console());
    assert_eq!(launcher.virsh(&format!("domstate {NAME}")), "running", "nobody sees it but on the console");
}
