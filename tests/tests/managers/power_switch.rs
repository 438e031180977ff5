//! Two machines on one host, and the switch that takes their power: namespaces, whose first process is killed.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tests::client::wait_for;

use super::network::{Namespace, does};

/// Where the stand-in for a machine's controller is asked.
const PORT: u16 = 6230;
/// A namespace has its first process within this time, and ends with it.
const PROCESS_LIMIT: Duration = Duration::from_secs(10);
/// Who asks the switch has asked by then.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// A machine: processes with files, names and a network of their own.
pub struct Machine {
    /// Its host name.
    pub name: &'static str,
    /// The first process, which all others end with.
    first: Pid,
    process: Mutex<Child>,
}

impl Machine {
    /// Switches one on, with a cable from its `eth0` to `outside`. It has these folders for itself.
    pub fn start(name: &'static str, outside: &str, own_folders: &[&str]) -> Self {
        let network = Namespace::new(name);
        network.plug(outside, 1500);
        let mut command = network.command("unshare");
        command.args(["--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.args(["--", "sh", "-c", "hostname \"$0\"; while :; do sleep 1000; done", name]);
        let process = command.stdin(Stdio::null()).spawn().expect("unshare starts");
        let children = format!("/proc/{0}/task/{0}/children", process.id());
        let first = wait_for(PROCESS_LIMIT, || {
            let text = fs::read_to_string(&children).ok()?;
            let first = text.split_whitespace().next()?.parse().ok()?;
            // It is in its own namespaces once it is no longer `unshare`.
            let is_shell = fs::read_to_string(format!("/proc/{first}/comm")).ok()?.trim() == "sh";
            Pid::from_raw(first).filter(|_| is_shell)
        });
        let machine = Self { name, first: first.expect("a first process"), process: Mutex::new(process) };
        for folder in own_folders {
            does(machine.command("mount").args(["-t", "tmpfs", "none", folder]));
        }
        machine
    }

    /// A program on it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.first.as_raw_nonzero()));
        command.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--", program]);
        command
    }

    /// Whether it has power.
    pub fn is_on(&self) -> bool {
        let mut process = self.process.lock().expect("nobody panics with it");
        process.try_wait().expect("a child").is_none()
    }

    /// Takes its power; whether all of it has ended.
    pub fn switch_off(&self) -> bool {
        // It fails when it has ended.
        let _ = kill_process(self.first, Signal::KILL);
        // Its parent sees the end once no process of the namespace is left.
        wait_for(PROCESS_LIMIT, || (!self.is_on()).then_some(())).is_some()
    }
}

/// Listens at the addresses of the machines' controllers, as long as the test runs.
pub fn listen(machines: Vec<(Ipv4Addr, Arc<Machine>)>) {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).expect("the port is free in here");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A machine whose cable is cut breaks off.
            let _ = answer(stream, &machines);
        }
    });
}

fn answer(mut stream: TcpStream, machines: &[(Ipv4Addr, Arc<Machine>)]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(REQUEST_TIMEOUT))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && !line.trim().is_empty() {
        line.clear();
    }
    let SocketAddr::V4(asked) = stream.local_addr()? else { return Ok(()) };
    let machine = machines.iter().find(|(address, _)| address == asked.ip()).map(|(_, machine)| machine);
    let is_done = machine.is_some_and(|machine| !request.starts_with("GET /off ") || machine.switch_off());
    let status = if is_done { "200 OK" } else { "500 Internal Server Error" };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}
