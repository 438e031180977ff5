//! One vote image alone: time from QEMU's start to the first answer, and the least memory for one.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use image_build::vm::accelerator::Accelerator;
use image_build::vm::machine::{Forward, Launch, Machine, Network, Serial};
use image_build::vm::qemu;
use tests::command::free_port;

/// How long a question waits: QEMU takes connections before the guest is there.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(50);
/// Pause between questions.
const PAUSE: Duration = Duration::from_millis(2);
/// A guest that has not answered by then does not.
const START_LIMIT: Duration = Duration::from_secs(5);
/// Memory that is tried, in MiB.
const MEMORY_MIB: std::ops::RangeInclusive<u32> = 8..=32;
const GUEST_PORT: u16 = 8080;

/// How the guests of a measurement are started.
pub struct Guests<'a> {
    /// The vote service's image.
    pub image: &'a Path,
    /// The virtual hardware.
    pub machine: Machine,
    /// What runs the instructions.
    pub accelerator: Accelerator,
}

impl Guests<'_> {
    /// Starts `count` guests, one after the other: median and 95th percentile.
    pub fn starts(&self, count: usize) -> Result<String> {
        let mut times = Vec::new();
        for _ in 0..count {
            times.push(self.start(32)?.context("the guest does not answer")?.as_millis());
        }
        times.sort_unstable();
        Ok(format!("{} ms ({} ms)", times[count / 2], times[count * 95 / 100]))
    }

    /// The least memory with which a guest answers.
    pub fn least_memory(&self) -> Result<String> {
        for memory_mib in MEMORY_MIB {
            if self.start(memory_mib)?.is_some() {
                return Ok(format!("{memory_mib} MiB"));
            }
        }
        Ok(format!("more than {} MiB", MEMORY_MIB.end()))
    }

    /// Time from the start of QEMU to the first 200; none when there is no answer.
    fn start(&self, memory_mib: u32) -> Result<Option<Duration>> {
        let host = SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_port());
        let mut launch = Launch::new("measure", self.image.to_owned(), self.machine, self.accelerator);
        launch.memory_mib = memory_mib;
        launch.serial = Serial::None;
        launch.network =
            Network::User { forwards: vec![Forward { host, guest_port: GUEST_PORT }], outgoing: true };
        let settings = [("IP", "10.0.2.15/24"), ("GATEWAY", "10.0.2.2"), ("REDIS_URL", "redis://10.0.2.2:1")];
        let pairs = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        launch.command_line.environment.extend(pairs);
        let mut command = qemu::command(&launch)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let mut guest = Guest(command.spawn()?);
        while begun.elapsed() < START_LIMIT && guest.0.try_wait()?.is_none() {
            if answers(host) {
                return Ok(Some(begun.elapsed()));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(None)
    }
}

/// A QEMU that is killed when this value goes.
struct Guest(Child);

impl Drop for Guest {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn answers(host: SocketAddrV4) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&host.into(), ANSWER_TIMEOUT)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

/// The machine's name as QEMU has it.
pub fn name(machine: Machine) -> &'static str {
    match machine {
        Machine::Q35 => "q35",
        Machine::Microvm => "microvm",
    }
}
