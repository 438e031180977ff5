//! The examples as a reader runs them: the smallest unikernel says its line and ends, the smallest service gives back
//! what it is sent.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use tests::client::wait_for;
use tests::command::{cargo, run};
use tests::running::{RunningService, images, linux_programs};

/// An answer on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// More than all buffers on the way hold.
const SENT_BYTES: usize = 1 << 20;
const GUEST_PORT: u16 = 7007;

/// What comes back for `sent` after the end of it was told; none before the service answers.
fn echo(address: SocketAddr, sent: &[u8]) -> Option<Vec<u8>> {
    let mut connection = TcpStream::connect(address).ok()?;
    connection.set_read_timeout(Some(ANSWER_LIMIT)).expect("a limit");
    let mut writer = connection.try_clone().expect("a second handle");
    let bytes = sent.to_vec();
    let writing =
        thread::spawn(move || writer.write_all(&bytes).and_then(|()| writer.shutdown(Shutdown::Write)));
    let mut answer = Vec::new();
    let read = connection.read_to_end(&mut answer);
    writing.join().expect("no panic").ok()?;
    read.ok().filter(|_| !answer.is_empty())?;
    Some(answer)
}

fn gives_back(running: &RunningService) {
    let address = running.addresses[0].into();
    let sent: Vec<u8> = (0..SENT_BYTES).map(|at| (at % 251) as u8).collect();
    let small = wait_for(ANSWER_LIMIT, || echo(address, b"hello\n"));
    assert_eq!(small.as_deref(), Some(&b"hello\n"[..]), "{}", running.log());
    assert!(echo(address, &sent).is_some_and(|answer| answer == sent), "{}", running.log());
}

#[test]
fn the_smallest_unikernel_says_its_line_and_ends_with_success() {
    let mut command = cargo(&["run", "--quiet", "--target", "x86_64-unknown-hermit", "-p", "hello"]);
    let outcome = run(command.env("INSTANCE", "reader"));
    assert!(outcome.success, "{}\n{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stdout.contains("hello, reader"), "{}\n{}", outcome.stdout, outcome.stderr);
}

#[test]
fn the_smallest_unikernel_is_a_linux_process_too() {
    let outcome = run(&mut cargo(&["run", "--quiet", "-p", "hello"]));
    assert!(outcome.success && outcome.stderr.contains("hello, world"), "{}", outcome.stderr);
}

#[test]
fn the_smallest_service_gives_back_every_byte_as_a_unikernel() {
    gives_back(&RunningService::guest(&images(&["echo"])[0], &[GUEST_PORT], &[]));
}

#[test]
fn the_smallest_service_gives_back_every_byte_as_a_linux_process() {
    gives_back(&RunningService::linux(&linux_programs(&["echo"])[0], &["PORT"], &[]));
}
