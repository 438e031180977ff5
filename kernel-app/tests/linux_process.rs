//! A program as a Linux process: what it says and with which status it exits.
//!
//! The test binary starts itself as that program.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use kernel_app::settings::SettingError;
use kernel_app::{ConnectionId, Context, Endpoints, Instant, Listener, Origin, Service, Settings};
use rustix::process::{Pid, Signal, kill_process};

/// Listens, and closes on everybody.
struct Closer {
    port: u16,
}

impl Service for Closer {
    fn name(&self) -> &'static str {
        "closer"
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints { listeners: vec![Listener { name: "test", port: self.port }], peers: Vec::new() }
    }

    fn opened(&mut self, id: ConnectionId, _: Origin, context: &mut Context<'_>) {
        log::debug!("somebody\ncame");
        context.connections.close(id);
    }

    fn ready(&mut self, _: ConnectionId, _: &mut Context<'_>) {}

    fn closed(&mut self, _: ConnectionId, _: &mut Context<'_>) {}

    fn turn(&mut self, _: &mut Context<'_>) {}

    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}

fn program(settings: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    Ok(vec![Box::new(Closer { port: settings.port("PORT", 8080)? })])
}

/// Not a test: what the tests start.
#[test]
#[ignore = "started by the other tests as a process of its own"]
fn the_program() {
    std::process::exit(kernel_app::linux::run("closer", program, false));
}

fn start(environment: &[(&str, &str)]) -> Child {
    let own = std::env::current_exe().expect("this binary");
    let mut command = Command::new(own);
    command.args(["--ignored", "--exact", "the_program", "--nocapture"]).env("IP", "127.0.0.1");
    command.envs(environment.iter().copied()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().expect("started")
}

/// The exit status and all that was said.
fn outcome(environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = start(environment).wait_with_output().expect("it ends");
    (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
}

/// Starts the program on a free port and waits until it runs.
fn running(log: &str) -> (Child, BufReader<impl Read>, u16) {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = free.expect("a port").port();
    let mut child = start(&[("PORT", &port.to_string()), ("LOG", log), ("INSTANCE", "closer-7")]);
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    assert!(line.contains(" INFO  closer-7 running as a Linux process, pid "), "{line}");
    (child, said, port)
}

#[test]
fn a_signal_ends_it_with_success() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut child, mut said, _) = running("info");
        kill_process(Pid::from_child(&child), signal).expect("sent");
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
        let mut rest = String::new();
        said.read_to_string(&mut rest).expect("the rest");
        assert!(rest.ends_with(" INFO  closer-7 stopped by a signal\n"), "{rest}");
    }
}

#[test]
fn log_lines_have_time_level_and_instance() {
    let (mut child, mut said, port) = running("debug");
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    assert_eq!(client.read(&mut [0]).expect("a clean end"), 0);
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    let (time, rest) = line.split_once(' ').expect("words");
    assert_eq!(rest, "DEBUG closer-7 somebody\\ncame\n");
    assert!(time.len() == 24 && time.starts_with("20") && time.ends_with('Z'), "{time}");
    kill_process(Pid::from_child(&child), Signal::TERM).expect("sent");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn unusable_settings_end_the_program_with_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let taken = format!(
        "closer: cannot listen on port {port}: another program listens there; set PORT to a free one\n"
    );
    assert_eq!(outcome(&[("PORT", &port)]), (Some(1), taken));
    let cases = [
        ("PORT", "0", "a TCP port from 1 to 65535"),
        ("LOG", "loud", "off, error, warn, info, debug or trace"),
        ("IP", "here", "an address of this machine to listen on, such as 127.0.0.1"),
        ("IP", "203.0.113.1", "an address of this machine to listen on, such as 127.0.0.1"),
    ];
    for (name, value, expected) in cases {
        let line = format!("closer: {name}={value:?} cannot be used: give {expected}\n");
        assert_eq!(outcome(&[(name, value)]), (Some(2), line));
    }
}
