//! A shell that commands of the book run in, one after the other, each within a time.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// What follows the output of each command, with its number and status.
const MARK: &str = "=end-of-the-command=";
/// Lines that a command may print.
const LINES_MAX: usize = 20_000;

/// A shell, and all that was started in it.
pub struct Session {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    commands: usize,
}

/// What a command did.
#[derive(Debug)]
pub struct Done {
    /// What it printed, on both streams.
    pub lines: Vec<String>,
    /// Its exit status.
    pub status: i32,
}

impl Session {
    /// Starts a shell in this directory, with these variables more.
    ///
    /// # Errors
    /// When there is no bash.
    pub fn start(directory: &Path, variables: &[(&str, &Path)]) -> Result<Self> {
        let mut shell = Command::new("bash");
        shell.args(["--noprofile", "--norc"]).current_dir(directory).process_group(0);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Cargo's own lines are not what a chapter is about; a test's variables are not the reader's.
        shell
            .env("CARGO_TERM_QUIET", "true")
            .env("NO_COLOR", "1")
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "dumb");
        shell.env_remove("CARGO_MANIFEST_DIR").env_remove("RUST_BACKTRACE");
        shell.envs(variables.iter().copied());
        let mut child = shell.spawn().context("bash cannot be started")?;
        let input = child.stdin.take().context("it has an input")?;
        let output = child.stdout.take().context("it has an output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut session = Self { child, input, lines, commands: 0 };
        writeln!(session.input, "exec 2>&1").context("bash does not read")?;
        Ok(session)
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// When it takes longer than this, prints without end, or ends the shell.
    pub fn run(&mut self, command: &str, limit: Duration) -> Result<Done> {
        self.begin(command)?;
        let mark = format!("{MARK}{} ", self.commands);
        let deadline = Instant::now() + limit;
        let mut lines = Vec::new();
        loop {
            let line = self.line_before(deadline).with_context(|| {
                format!("`{command}` did not end in {} s; it printed:\n{}", limit.as_secs(), lines.join("\n"))
            })?;
            if let Some(status) = line.strip_prefix(&mark) {
                return Ok(Done { lines, status: status.parse().context("a status is a number")? });
            }
            lines.push(line);
            if lines.len() > LINES_MAX {
                bail!("`{command}` printed more than {LINES_MAX} lines");
            }
        }
    }

    /// Starts a command, and returns what it has printed as soon as that is enough.
    ///
    /// # Errors
    /// When that does not happen within this time; then with what was printed.
    pub fn run_until(
        &mut self,
        command: &str,
        limit: Duration,
        mut is_enough: impl FnMut(&[String]) -> bool,
    ) -> Result<Vec<String>, Vec<String>> {
        let mut lines = Vec::new();
        if let Err(error) = self.begin(command) {
            return Err(vec![format!("{error:#}")]);
        }
        let deadline = Instant::now() + limit;
        while !is_enough(&lines) {
            match self.line_before(deadline) {
                Ok(line) if lines.len() < LINES_MAX => lines.push(line),
                _ => return Err(lines),
            }
        }
        Ok(lines)
    }

    fn begin(&mut self, command: &str) -> Result<()> {
        self.commands += 1;
        let script = format!(
            "{{ {command}\n}} </dev/null; printf '\\n%s%d %d\\n' '{MARK}' {} \"$?\"\n",
            self.commands
        );
        self.input.write_all(script.as_bytes()).context("the shell has ended")
    }

    fn line_before(&self, deadline: Instant) -> Result<String> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.lines.recv_timeout(left).context("no more output")
    }
}

impl Drop for Session {
    /// Ends the shell and all that it has started, but for what has put itself into a session of its own.
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn directory_and_variables_last_from_command_to_command() {
        let mut session = Session::start(Path::new("/"), &[("GIVEN", Path::new("5"))]).expect("a shell");
        session.run("cd tmp; a=1", LIMIT).expect("it ends");
        let done = session.run("echo $a$GIVEN; pwd >&2; cat; printf end; (exit 3)", LIMIT).expect("it ends");
        assert_eq!((done.lines.join(" ").as_str(), done.status), ("15 /tmp end", 3));
    }

    #[test]
    fn a_command_that_does_not_end_is_ended() {
        let mut session = Session::start(Path::new("/"), &[]).expect("a shell");
        let error =
            session.run("echo begun; tail -f /dev/null", Duration::from_millis(300)).expect_err("no end");
        assert!(error.to_string().contains("did not end"), "{error}");
    }

    #[test]
    fn a_command_is_waited_for_until_its_output_is_enough() {
        let mut session = Session::start(Path::new("/"), &[]).expect("a shell");
        let command = "echo one; echo two; tail -f /dev/null";
        let lines = session.run_until(command, LIMIT, |lines| lines.iter().any(|line| line == "two"));
        assert_eq!(lines.expect("it prints that"), ["one", "two"]);
    }
}
