//! One container: started by the client, looked at through the daemon, removed when its value goes.
//!
//! Does not know which program it runs.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};
use serde_json::Value;

use super::engine::Engine;
use crate::child::{self, Running};

/// How old the copy of a running container's log may get while somebody asks for it.
const LOG_AGE: Duration = Duration::from_secs(1);
/// Lines of a log that are copied.
const LOG_LINES: u32 = 1000;
/// How long a container's supervisor may take to end after its container.
const SUPERVISOR_LIMIT: Duration = Duration::from_secs(2);

/// What the daemon knows by a name. It is removed when this value goes.
struct Named {
    engine: Arc<Engine>,
    name: String,
    /// Its program, while or after it runs.
    main: Option<OwnedFd>,
    /// The container's supervisor, which is this process's child when its starter has gone.
    supervisor: Option<i32>,
}

/// A container that has been started.
pub struct Container {
    named: Named,
    /// Its address and ports, as the daemon told after its start.
    network: Value,
    /// Its processes: the program, its supervisor, and what forwards its published ports.
    pub processes: Vec<i32>,
    log: PathBuf,
    copied: Instant,
}

impl Container {
    /// Runs `docker run` with `arguments`, which end with the image, for an instance of that name.
    ///
    /// # Errors
    /// When the daemon refuses or has gone, or the container ends at once.
    pub fn run(engine: &Arc<Engine>, instance: &str, arguments: Vec<String>, log: PathBuf) -> Result<Self> {
        engine.check()?;
        let name = engine.names.container(instance);
        let mut named = Named { engine: Arc::clone(engine), name, main: None, supervisor: None };
        let label = engine.names.label();
        let own = ["run", "--detach", "--pull", "never", "--log-driver", "json-file", "--name", &named.name];
        let own = own.into_iter().chain(["--label", &label]).map(str::to_owned);
        engine.run(&own.chain(arguments).collect::<Vec<_>>(), &format!("starting {instance} in Docker"))?;
        let description = named.describe()?;
        let pid = description["State"]["Pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
        let Some(main) = pid.and_then(Pid::from_raw) else {
            bail!(
                "{instance} ended at once: {}\n{}",
                how(&description),
                String::from_utf8_lossy(&named.log()?)
            );
        };
        let descriptor = pidfd_open(main, PidfdFlags::empty());
        let descriptor =
            descriptor.with_context(|| format!("{instance} is no process of this machine ({main:?})"))?;
        let main_pid = main.as_raw_nonzero().get();
        named.main = Some(descriptor);
        named.supervisor = child::parent(main_pid).ok();
        let network = description["NetworkSettings"].clone();
        let mut processes = vec![main_pid];
        processes.extend(named.supervisor);
        let mut container = Self { named, network, processes, log, copied: Instant::now() };
        container.processes.extend(container.forwarders()?);
        Ok(container)
    }

    /// Its address on Docker's bridge.
    pub fn address(&self) -> Result<Ipv4Addr> {
        let address = self.network["Networks"]["bridge"]["IPAddress"].as_str().unwrap_or_default();
        address.parse().with_context(|| format!("{} has no address on Docker's bridge", self.named.name))
    }

    /// Where a port of it is published.
    pub fn published(&self, port: u16) -> Result<SocketAddrV4> {
        let published = &self.network["Ports"][format!("{port}/tcp")][0]["HostPort"];
        let host = published.as_str().and_then(|port| port.parse().ok());
        let host = host.with_context(|| format!("port {port} of {} is not published", self.named.name))?;
        Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, host))
    }

    /// The daemon's processes that forward its published ports.
    fn forwarders(&self) -> Result<Vec<i32>> {
        if self.network["Ports"].as_object().is_none_or(|ports| ports.values().all(Value::is_null)) {
            return Ok(Vec::new());
        }
        let address = format!("\0{}\0", self.address()?);
        let all = fs::read_dir("/proc").context("cannot list /proc")?;
        let pids = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(pids.filter(|pid| forwards(*pid, &address)).collect())
    }

    fn copy_log(&mut self) {
        // Without it, an error has less to show.
        if let Ok(log) = self.named.log() {
            let _ = fs::write(&self.log, log);
        }
        self.copied = Instant::now();
    }
}

impl Running for Container {
    fn ended(&mut self) -> Option<String> {
        match self.named.has_ended() {
            Ok(true) => {
                self.copy_log();
                Some(self.named.how_it_ended().unwrap_or_else(|error| format!("{error:#}")))
            }
            Ok(false) => {
                if self.copied.elapsed() > LOG_AGE {
                    self.copy_log();
                }
                None
            }
            Err(error) => Some(format!("{error:#}")),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.copy_log();
    }
}

impl Named {
    fn ask(&self, method: &str, rest: &str) -> Result<Vec<u8>> {
        self.engine.ask(method, &format!("/containers/{}{rest}", self.name))
    }

    fn describe(&self) -> Result<Value> {
        self.engine.describe(&format!("/containers/{}/json", self.name))
    }

    fn log(&self) -> Result<Vec<u8>> {
        let frames = self.ask("GET", &format!("/logs?stdout=1&stderr=1&tail={LOG_LINES}"))?;
        Ok(output_text(&frames))
    }

    fn has_ended(&self) -> Result<bool> {
        self.main.as_ref().map_or(Ok(true), |main| child::has_ended(main.as_fd(), Duration::ZERO))
    }

    /// How it ended, once the daemon knows that it has.
    fn how_it_ended(&self) -> Result<String> {
        self.engine.check()?;
        self.ask("POST", "/wait")?;
        Ok(how(&self.describe()?))
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let removed = self.ask("DELETE", "?force=1&v=1");
        if let (Err(_), Some(main)) = (removed, &self.main) {
            // A daemon that has gone leaves its containers running, beside whatever is measured next. Its
            // name stays for the guard or the next run to remove.
            let _ = pidfd_send_signal(main, Signal::KILL);
        }
        if let Some(supervisor) = self.supervisor {
            await_supervisor(supervisor);
        }
    }
}

/// Waits until a container's supervisor has gone: what is measured next has the processor to itself.
fn await_supervisor(pid: i32) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    if let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) {
        let _ = child::has_ended(process.as_fd(), SUPERVISOR_LIMIT);
    }
    // In a contained run this process is the first of all, whose children all orphans become. Elsewhere
    // it is no child, and that is all right.
    let _ = waitpid(Some(pid), WaitOptions::NOHANG);
}

/// The text of a container's output: frames of a stream's number, three zeros, a length and its bytes.
///
/// See "Attach to a container", "Stream format" in the Engine API's reference.
fn output_text(mut frames: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(frames.len());
    while let Some((head, rest)) = frames.split_first_chunk::<8>() {
        let bytes = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let (frame, rest) = rest.split_at(bytes.min(rest.len()));
        text.extend_from_slice(frame);
        frames = rest;
    }
    text
}

/// How a container ended, in words.
fn how(description: &Value) -> String {
    let state = &description["State"];
    if state["OOMKilled"].as_bool() == Some(true) {
        let limit = description["HostConfig"]["Memory"].as_u64().unwrap_or(0) >> 20;
        return format!("killed by the system for want of memory (limit {limit} MiB)");
    }
    let error = state["Error"].as_str().filter(|error| !error.is_empty());
    let code = state["ExitCode"].as_i64().map_or_else(|| "unknown".to_owned(), |code| code.to_string());
    format!("exit status {code}{}", error.map_or_else(String::new, |error| format!(", {error}")))
}

/// Whether a process forwards a port to the container at `address`, given between zeros.
fn forwards(pid: i32, address: &str) -> bool {
    let is = |name: &str, condition: &dyn Fn(&str) -> bool| {
        fs::read_to_string(format!("/proc/{pid}/{name}")).is_ok_and(|text| condition(&text))
    };
    is("comm", &|comm| comm.trim() == "docker-proxy") && is("cmdline", &|line| line.contains(address))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_out_of_memory_kill_is_recognized() {
        let killed =
            json!({"State": {"OOMKilled": true, "ExitCode": 137}, "HostConfig": {"Memory": 6 << 20}});
        assert_eq!(how(&killed), "killed by the system for want of memory (limit 6 MiB)");
        let failed = json!({"State": {"OOMKilled": false, "ExitCode": 2, "Error": ""}});
        assert_eq!(how(&failed), "exit status 2");
    }

    #[test]
    fn this_process_forwards_nothing() {
        assert!(!forwards(std::process::id().cast_signed(), "\0"));
    }

    #[test]
    fn output_is_assembled_from_frames_and_the_last_may_be_torn() {
        let frames = b"\x01\0\0\0\0\0\0\x03one\x02\0\0\0\0\0\0\x04 two\x01\0\0\0\0\0\0\x09 th";
        assert_eq!(output_text(frames), b"one two th");
        assert_eq!(output_text(b"\x01\0\0"), b"");
    }
}
