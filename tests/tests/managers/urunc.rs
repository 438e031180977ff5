//! The command line and the network of urunc 0.8: the guest has the address and the hardware address of its pod, whose
//! packets tc hands to it and takes from it. Nobody leases an address, and nobody tells a packet's size.
//!
//! It differs in the accelerator (urunc has `-cpu host -enable-kvm`), and in a record of all frames.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::client::{curl, vote, wait_for};
use tests::command::run;

use super::image;
use super::pod::{ADDRESS, ADDRESS_WITH_PREFIX, MAC, NODE, Pod};

const TAP: &str = "tap0_urunc";
/// Of an overlay network such as VXLAN on Ethernet.
const POD_MTU: u16 = 1450;
/// A boot, and an end, on a busy host.
const BOOT_LIMIT: Duration = Duration::from_secs(30);
const END_LIMIT: Duration = Duration::from_secs(15);
/// A guest that is not told of small packets finds it out when a large one is lost for the second time: 8 s where this
/// was written.
const FOUND_WITHIN: Duration = Duration::from_secs(20);
/// Of the page with the metrics: more than two packets' worth.
const LARGE_BYTES: usize = 3000;
const ETHERNET_BYTES: usize = 14;
/// Of virtio's header, which some versions of QEMU write before a frame.
const HEADER_BYTES: usize = 12;

/// Makes the tap that takes the place of the pod's own stack.
fn redirect(pod: &Pod, mtu: u16) {
    pod.namespace.does(&format!("ip tuntap add dev {TAP} mode tap"));
    pod.namespace.does(&format!("ip link set {TAP} mtu {mtu} up"));
    for (from, to) in [("eth0", TAP), (TAP, "eth0")] {
        pod.namespace.does(&format!("tc qdisc add dev {from} ingress"));
        pod.namespace.does(&format!(
            "tc filter add dev {from} parent ffff: protocol all u32 match u8 0 0 action mirred egress redirect dev {to}"
        ));
    }
}

/// A running guest.
struct Unikernel {
    child: Child,
    folder: TempDir,
}

impl Unikernel {
    /// Starts the whole application with these arguments of its container.
    fn start(pod: &Pod, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let frames = folder.path().join("frames");
        let mut command = pod.namespace.command("qemu-system-x86_64");
        command.args(["-m", "256M", "-accel", "tcg", "-cpu", "max"]);
        command.args(["-display", "none", "-vga", "none", "-monitor", "null", "-serial", "stdio"]);
        command.arg("-kernel").arg(image("voting-app"));
        command.args(["-netdev", &format!("tap,id=net0,script=no,downscript=no,ifname={TAP}")]);
        command.args([
            "-device",
            &format!("virtio-net-pci,netdev=net0,disable-legacy=on,mac={MAC}"),
            "-no-reboot",
        ]);
        command.args(["-object", &format!("filter-dump,id=frames,netdev=net0,file={}", frames.display())]);
        let words = arguments.join(" ");
        command.args([
            "-append",
            &format!("ip={ADDRESS_WITH_PREFIX} gateway={NODE} -- /unikernel/vote {words}"),
        ]);
        let log = File::create(folder.path().join("log")).expect("a new file");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        let mut guest = Self { child: command.spawn().expect("QEMU starts"), folder };
        let answers = wait_for(BOOT_LIMIT, || {
            assert!(guest.child.try_wait().expect("a child").is_none(), "it ended: {}", guest.log());
            (curl(&url("/healthz"), &[]).status == 200).then_some(())
        });
        assert!(answers.is_some(), "no answer within {BOOT_LIMIT:?}: {}", guest.log());
        guest
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// How many bytes of IP each frame has that the guest has sent so far.
    fn sent(&self) -> Vec<usize> {
        sizes(&self.folder.path().join("frames"))
    }
}

impl Drop for Unikernel {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn url(path: &str) -> String {
    format!("http://{ADDRESS}:8080{path}")
}

/// The sizes of the frames from the pod's hardware address in a capture (pcap, in this machine's byte order).
fn sizes(capture: &Path) -> Vec<usize> {
    const FILE_HEADER: usize = 24;
    const FRAME_HEADER: usize = 16;
    let own: Vec<u8> =
        MAC.split(':').map(|byte| u8::from_str_radix(byte, 16).expect("hexadecimal")).collect();
    let bytes = fs::read(capture).expect("QEMU writes it");
    let (mut rest, mut found) = (bytes.get(FILE_HEADER..).unwrap_or_default(), Vec::new());
    while let Some((header, frames)) = rest.split_at_checked(FRAME_HEADER) {
        let length = u32::from_ne_bytes(header[8..12].try_into().expect("four bytes")) as usize;
        // QEMU may be writing the last one.
        let Some((frame, next)) = frames.split_at_checked(length) else { break };
        let is_own = |skipped: &usize| frame.get(skipped + 6..skipped + 12) == Some(&own[..]);
        let skipped = [0, HEADER_BYTES].into_iter().find(is_own);
        found.extend(skipped.map(|skipped| frame.len() - skipped - ETHERNET_BYTES));
        rest = next;
    }
    found
}

/// Gets the page with the metrics from the client, whose packets may be larger than the pod's; how long it took.
fn large_answer(pod: &Pod) -> Duration {
    let start = Instant::now();
    let mut command = pod.client.command("curl");
    let limit = FOUND_WITHIN.as_secs().to_string();
    let outcome = run(command.args(["--silent", "--show-error", "--max-time", &limit, &url("/metrics")]));
    assert!(outcome.success, "{outcome:?}");
    assert!(outcome.stdout.len() > LARGE_BYTES, "only {} bytes", outcome.stdout.len());
    start.elapsed()
}

/// The largest is full, and none is larger than that.
fn assert_full(sizes: &[usize], mtu: usize) {
    assert_eq!(sizes.iter().max(), Some(&mtu), "the guest sent {sizes:?}");
}

pub fn serves_and_ends() {
    let pod = Pod::new(POD_MTU);
    redirect(&pod, POD_MTU);
    let mut guest = Unikernel::start(&pod, &["OPTION_A=Tea", "STOP_TOKEN=secret", "VOTE_HEALTH_PORT=8084"]);
    let complaints = ["DHCP", "ERROR", "WARN", "bootarg", "panic"];
    assert!(!complaints.iter().any(|word| guest.log().contains(word)), "{}", guest.log());
    assert!(curl(&url("/"), &[]).body.contains("Tea"));
    assert_eq!(vote(&url("/"), "a", None).status, 200);
    let elsewhere =
        run(pod.client.command("curl").args(["--silent", "--fail", "--data", "vote=b", &url("/")]));
    assert!(elsewhere.success, "{elsewhere:?}");
    let neighbour = pod_neighbour();
    assert!(neighbour.contains(MAC), "the pod's address is at {neighbour}");
    // A hook of Kubernetes that is a request is a GET, and the machine is ended at its answer.
    let stop = format!("http://{ADDRESS}:8084/stop/drain");
    let secret = ["--header", "Authorization: Bearer secret"];
    assert_eq!(curl(&url("/stop/drain"), &secret).status, 404, "it is on the health port");
    assert_eq!(curl(&stop, &[]).status, 401, "without the secret");
    // A connection that was used once and is kept, whose client does not close it.
    let mut idle = TcpStream::connect((ADDRESS, 8080)).expect("connected");
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    idle.set_read_timeout(Some(END_LIMIT)).expect("set");
    assert!(idle.read(&mut [0; 1024]).expect("an answer") > 0);
    let drained = curl(&stop, &secret);
    assert_eq!((drained.status, &drained.body[..]), (200, "drained\n"));
    let status = wait_for(END_LIMIT, || guest.child.try_wait().expect("a child"));
    let status = status.unwrap_or_else(|| panic!("it has not ended after {END_LIMIT:?}: {}", guest.log()));
    assert!(status.success() && guest.log().contains("stopped on request"), "{status}: {}", guest.log());
}

/// What the node knows of the pod's address.
fn pod_neighbour() -> String {
    run(std::process::Command::new("ip").args(["neighbour", "show", ADDRESS])).stdout
}

pub fn frames_keep_to_a_given_size() {
    let pod = Pod::new(POD_MTU);
    redirect(&pod, POD_MTU);
    for mtu in [1280, 1450] {
        let guest = Unikernel::start(&pod, &[&format!("MTU={mtu}")]);
        large_answer(&pod);
        assert_full(&guest.sent(), mtu);
    }
}

pub fn large_answers_arrive() {
    let pod = Pod::new(POD_MTU);
    redirect(&pod, POD_MTU);
    let guest = Unikernel::start(&pod, &[]);
    // A peer with the same packets tells what it can take.
    assert!(curl(&url("/metrics"), &[]).body.len() > LARGE_BYTES);
    assert_full(&guest.sent(), POD_MTU.into());
    let first = large_answer(&pod);
    let sent = guest.sent();
    assert!(sent.iter().any(|size| *size > POD_MTU.into()), "nothing was too large: {sent:?}");
    let second = large_answer(&pod);
    assert!(second < first, "it has learnt nothing: {first:?}, then {second:?}");
}
