//! QEMU's monitor (QMP, docs/interop/qmp-spec): how many instructions a guest has executed.
//!
//! Under `-icount` QEMU counts them exactly, and `query-replay` tells the count. Nothing else is asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// How long QEMU may take to listen, and to answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Longest message that is read.
const MESSAGE_BYTES_MAX: u64 = 1 << 20;
/// Time between two readings of a guest that may be at rest.
const REST: Duration = Duration::from_millis(5);
/// Equal readings in a row that are taken for rest. Together they take longer than the 10 ms of silence
/// after which a guest looks at its timers: what follows a request belongs to it, also on a busy host.
const EQUAL_READINGS: u32 = 6;

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
        monitor.execute("qmp_capabilities")?;
        Ok(monitor)
    }

    /// Instructions that the guest has executed so far.
    ///
    /// # Errors
    /// When QEMU does not count them.
    pub fn instructions(&mut self) -> Result<u64> {
        let answer = self.execute("query-replay")?;
        answer["icount"].as_u64().context("QEMU does not count instructions: start it with -icount")
    }

    /// The count when the guest rests: when it stays the same for some milliseconds.
    ///
    /// # Errors
    /// When it does not rest within `limit`.
    pub fn instructions_at_rest(&mut self, limit: Duration) -> Result<u64> {
        let begun = Instant::now();
        let (mut last, mut equal) = (self.instructions()?, 0);
        while equal < EQUAL_READINGS {
            ensure!(begun.elapsed() < limit, "the guest does not come to rest within {} s", limit.as_secs());
            std::thread::sleep(REST);
            let now = self.instructions()?;
            equal = if now == last { equal + 1 } else { 0 };
            last = now;
        }
        Ok(last)
    }

    fn execute(&mut self, command: &str) -> Result<Value> {
        let line = format!("{}\n", json!({ "execute": command }));
        self.0.get_mut().write_all(line.as_bytes()).context("QEMU's monitor is gone")?;
        loop {
            let mut message = self.message()?;
            if let Some(answer) = message.get_mut("return") {
                return Ok(answer.take());
            }
            // What is neither answer nor error is an event.
            if let Some(error) = message.get("error") {
                bail!("QEMU refuses {command}: {}", error["desc"].as_str().unwrap_or("no reason given"));
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

    #[test]
    fn events_between_answers_are_passed_over() {
        let answers: &[&str] = &[
            "{\"QMP\":{}}\n",
            "{\"return\":{}}\n",
            "{\"event\":\"RTC_CHANGE\"}\n{\"return\":{\"mode\":\"none\",\"icount\":42}}\n",
        ];
        assert_eq!(monitor(answers).expect("a monitor").instructions().expect("a count"), 42);
    }

    #[test]
    fn a_refusal_is_told_in_qemu_s_words() {
        let answers: &[&str] =
            &["{\"QMP\":{}}\n", "{\"return\":{}}\n", "{\"error\":{\"desc\":\"no such command\"}}\n"];
        let error = monitor(answers).expect("a monitor").instructions().expect_err("refused").to_string();
        assert_eq!(error, "QEMU refuses query-replay: no such command");
    }

    #[test]
    fn what_is_no_monitor_is_refused() {
        assert!(monitor(&["220 mail.example ESMTP\n"]).is_err());
    }
}
