//! QEMU's monitor (QMP, docs/interop/qmp-spec): how many instructions a guest has executed, whether it
//! rests, and when it runs at all.
//!
//! Under `-icount` QEMU counts instructions exactly, and `query-replay` tells the count: as of when the
//! processor last stopped executing, so it is true only of a guest that rests. Starts no guest.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// Under `-icount shift=0` an instruction takes 1 ns, and the counter goes up with each.
pub const COUNTED_MHZ: u16 = 1000;
/// What makes QEMU count instructions. Where it can emulate x2APIC (from 9.0), that reads the clock where
/// counting forbids it ("Bad icount read"). The real-time clock goes with the counted time, or the guest would take each
/// pause of the host for a leap and look into it. What rings the network card's bell is an access as others are.
pub const COUNTED: [&str; 8] = [
    "-icount",
    "shift=0",
    "-rtc",
    "clock=vm",
    "-cpu",
    "max,-x2apic",
    "-global",
    "virtio-net-pci.ioeventfd=off",
];

/// How long QEMU may take to listen, and to answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Longest message that is read.
const MESSAGE_BYTES_MAX: u64 = 1 << 20;
/// Time between two looks at a guest that may be at rest.
const REST: Duration = Duration::from_millis(5);
/// Looks in a row that must find it at rest, with the same count. Together they take longer than the 10 ms
/// of silence after which a guest looks at its timers: what follows a request belongs to it.
const LOOKS: u32 = 6;
/// Rest that is taken for the end of a boot: a machine that waits for its disk or its timer rests, too, but not as
/// long.
const BOOT_REST: Duration = Duration::from_millis(150);
/// What a guest that rests may execute meanwhile: it looks at its timers and, several times a second, whether it is
/// told to stop. A boot takes hundreds of times as many.
const RESTING_INSTRUCTIONS_MAX: u64 = 50_000;
/// How `info registers` says that the processor waits for an interrupt.
const HALTED: &str = "HLT=1";

/// QEMU's names of accesses to emulated devices' registers.
const ACCESSES: [&str; 2] = ["memory_region_ops_read", "memory_region_ops_write"];
/// How the log says that a device made one: a message-signalled interrupt is such a write.
const BY_A_DEVICE: &str = " cpu -1 ";

/// Whether a line of QEMU's log is about an access that the guest made.
pub fn is_access_of_guest(line: &str) -> bool {
    ACCESSES.iter().any(|name| line.contains(name)) && !line.contains(BY_A_DEVICE)
}

/// A monitor.
pub struct Monitor(BufReader<UnixStream>);

impl Monitor {
    /// Connects to the monitor at `socket`, once QEMU listens there.
    ///
    /// # Errors
    /// When it does not in time, or speaks something else.
    pub fn open(socket: &Path) -> Result<Self> {
        let begun = Instant::now();
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if begun.elapsed() > LIMIT => {
                    bail!("QEMU does not open its monitor at {}: {error}", socket.display())
                }
                Err(_) => std::thread::sleep(REST),
            }
        };
        stream.set_read_timeout(Some(LIMIT))?;
        let mut monitor = Self(BufReader::new(stream));
        ensure!(monitor.message()?.get("QMP").is_some(), "{} is no monitor of QEMU", socket.display());
        monitor.execute(&[json!({ "execute": "qmp_capabilities" })])?;
        Ok(monitor)
    }

    /// The count when the guest rests: when its processor waits, with the same count, for some
    /// milliseconds.
    ///
    /// # Errors
    /// When it does not rest within `limit`, or QEMU does not count.
    pub fn instructions_at_rest(&mut self, limit: Duration) -> Result<u64> {
        let begun = Instant::now();
        let (mut last, mut looks) = (None, 0);
        while looks < LOOKS {
            ensure!(begun.elapsed() < limit, "the guest does not come to rest within {} s", limit.as_secs());
            let now = self.look()?;
            looks = if now.is_some() && now == last { looks + 1 } else { 0 };
            last = now;
            std::thread::sleep(REST);
        }
        last.context("the guest's count at rest is not known")
    }

    /// The count when a guest has booted: when it rests after having executed anything at all, and hardly executes
    /// anything any more.
    ///
    /// # Errors
    /// When it does not within `limit`, or QEMU does not count.
    pub fn instructions_of_boot(&mut self, limit: Duration) -> Result<u64> {
        let begun = Instant::now();
        let mut last = self.instructions_at_rest(limit)?;
        loop {
            std::thread::sleep(BOOT_REST);
            let now = self.instructions_at_rest(limit)?;
            if last > 0 && now - last <= RESTING_INSTRUCTIONS_MAX {
                return Ok(last);
            }
            ensure!(
                begun.elapsed() < limit,
                "the guest still executes much, {} s after its start",
                limit.as_secs()
            );
            last = now;
        }
    }

    /// The count, if the processor waits for an interrupt now.
    ///
    /// # Errors
    /// When QEMU does not count, or does not answer.
    pub fn look(&mut self) -> Result<Option<u64>> {
        let registers = json!({ "command-line": "info registers" });
        let answers = self.execute(&[
            json!({ "execute": "query-replay" }),
            json!({ "execute": "human-monitor-command", "arguments": registers }),
        ])?;
        let count = answers[0]["icount"].as_u64();
        let count = count.context("QEMU does not count instructions: start it with -icount")?;
        let text = answers[1].as_str().context("QEMU does not tell the registers")?;
        Ok(text.contains(HALTED).then_some(count))
    }

    /// Holds the guest and its clock.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub fn hold(&mut self) -> Result<()> {
        self.execute(&[json!({ "execute": "stop" })]).map(drop)
    }

    /// Lets the guest go on.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub fn release(&mut self) -> Result<()> {
        self.execute(&[json!({ "execute": "cont" })]).map(drop)
    }

    /// Has QEMU write every access to an emulated device into its log, or not.
    ///
    /// # Errors
    /// When this QEMU was built without it.
    pub fn log_accesses(&mut self, on: bool) -> Result<()> {
        let events = ACCESSES.map(
            |name| json!({ "execute": "trace-event-set-state", "arguments": { "name": name, "enable": on } }),
        );
        self.execute(&events).map(drop)
    }

    /// Has QEMU write each instruction that the guest executes into its log, or not.
    ///
    /// # Errors
    /// When this QEMU cannot execute them one by one.
    pub fn log_instructions(&mut self, on: bool) -> Result<()> {
        let one_by_one = if on { "on" } else { "off" };
        // The newer name (QEMU 8.1), then the older one. QEMU tells of a command that it does not know.
        let mut refusal = self.human(&format!("one-insn-per-tb {one_by_one}"))?;
        if !refusal.is_empty() {
            refusal = self.human(&format!("singlestep {one_by_one}"))?;
        }
        ensure!(refusal.is_empty(), "QEMU does not execute instruction by instruction: {refusal}");
        self.human(if on { "log exec,nochain" } else { "log none" }).map(drop)
    }

    /// What QEMU answers to a command of its monitor for people.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub fn human(&mut self, command: &str) -> Result<String> {
        let arguments = json!({ "command-line": command });
        let answers =
            self.execute(&[json!({ "execute": "human-monitor-command", "arguments": arguments })])?;
        Ok(answers[0].as_str().unwrap_or_default().trim().to_owned())
    }

    /// Waits until QEMU has looked at all its sockets so many times: its main loop does so once for each
    /// question that it answers.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub fn rounds(&mut self, count: usize) -> Result<()> {
        self.execute(&vec![json!({ "execute": "query-status" }); count]).map(drop)
    }

    /// What QEMU answers to each of these, which are sent together.
    fn execute(&mut self, commands: &[Value]) -> Result<Vec<Value>> {
        let text: String = commands.iter().map(|command| format!("{command}\n")).collect();
        self.0.get_mut().write_all(text.as_bytes()).context("QEMU's monitor is gone")?;
        commands.iter().map(|command| self.answer(command)).collect()
    }

    fn answer(&mut self, command: &Value) -> Result<Value> {
        loop {
            let mut message = self.message()?;
            if let Some(answer) = message.get_mut("return") {
                return Ok(answer.take());
            }
            // What is neither answer nor error is an event.
            if let Some(error) = message.get("error") {
                let reason = error["desc"].as_str().unwrap_or("no reason given");
                bail!("QEMU refuses {}: {reason}", command["execute"].as_str().unwrap_or_default());
            }
        }
    }

    fn message(&mut self) -> Result<Value> {
        let mut line = String::new();
        let read = (&mut self.0).take(MESSAGE_BYTES_MAX).read_line(&mut line);
        ensure!(read.context("QEMU's monitor does not answer")? > 0, "QEMU's monitor is closed");
        serde_json::from_str(&line).context("QEMU's monitor says what is no JSON")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// A monitor that answers each line with the next of these.
    fn monitor(answers: &'static [&'static str]) -> Result<Monitor> {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("q");
        let listener = UnixListener::bind(&socket).expect("a socket");
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut lines = BufReader::new(stream.try_clone().expect("a clone")).lines();
            for answer in answers {
                stream.write_all(answer.as_bytes()).expect("a reader");
                lines.next();
            }
        });
        Monitor::open(&socket)
    }

    const GREETING: &str = "{\"QMP\":{}}\n";
    const DONE: &str = "{\"return\":{}}\n";
    const COUNT: &str = "{\"event\":\"RTC_CHANGE\"}\n{\"return\":{\"mode\":\"none\",\"icount\":42}}\n";

    #[test]
    fn instructions_are_read_only_while_the_processor_halts() {
        let waits: &[&str] = &[GREETING, DONE, COUNT, "{\"return\":\"EIP=1 HLT=1\\r\\nES\"}\n"];
        assert_eq!(monitor(waits).expect("a monitor").look().expect("a count"), Some(42));
        let works: &[&str] = &[GREETING, DONE, COUNT, "{\"return\":\"EIP=1 HLT=0\\r\\nES\"}\n"];
        assert_eq!(monitor(works).expect("a monitor").look().expect("a count"), None);
    }

    #[test]
    fn a_qemu_without_icount_is_an_error() {
        let answers: &[&str] =
            &[GREETING, DONE, "{\"return\":{\"mode\":\"none\"}}\n", "{\"return\":\"HLT=1\"}\n"];
        let error = monitor(answers).expect("a monitor").look().expect_err("no count").to_string();
        assert_eq!(error, "QEMU does not count instructions: start it with -icount");
    }

    #[test]
    fn a_refusal_is_told_in_qemu_s_words() {
        let answers: &[&str] = &[GREETING, DONE, "{\"error\":{\"desc\":\"no such command\"}}\n"];
        let error = monitor(answers).expect("a monitor").hold().expect_err("refused").to_string();
        assert_eq!(error, "QEMU refuses stop: no such command");
    }

    #[test]
    fn a_device_s_interrupt_is_no_access_of_the_guest() {
        let line =
            |cpu, name| format!("{name} cpu {cpu} mr 0x56 addr 0xfee000b0 value 0x0 size 4 name 'apic-msi'");
        assert!(is_access_of_guest(&line("0", "memory_region_ops_write")));
        assert!(is_access_of_guest(&line("0", "7@1.5:memory_region_ops_read")));
        assert!(!is_access_of_guest(&line("-1", "memory_region_ops_write")));
        assert!(!is_access_of_guest(&line("0", "virtio_notify")));
    }

    #[test]
    fn what_is_no_monitor_is_refused() {
        assert!(monitor(&["220 mail.example ESMTP\n"]).is_err());
    }
}
