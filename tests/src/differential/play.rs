//! Plays a stream to a server, and keeps every reply.

use super::step::{CONNECTIONS, Step};
use crate::redis::Server;

/// The replies to `steps`, in order, of a server that is emptied first. What follows on a connection that the
/// server has ended is sent on a new one.
///
/// # Panics
/// When the server goes away.
pub fn play(server: &Server, steps: &[Step]) -> Vec<Vec<u8>> {
    empty(server);
    let mut connections: Vec<_> = (0..CONNECTIONS).map(|_| server.connect()).collect();
    let mut replies = Vec::with_capacity(steps.len());
    for run in steps.chunk_by(|one, next| one.connection == next.connection && one.name() != "quit") {
        let connection = &mut connections[run[0].connection];
        let bytes: Vec<u8> = run.iter().flat_map(Step::bytes).collect();
        let sent = connection.send(&bytes);
        sent.unwrap_or_else(|error| panic!("{} takes no more: {error}", server.name));
        for step in run {
            let reply = connection.reply();
            replies
                .push(reply.unwrap_or_else(|error| panic!("{}: no reply to {step}: {error}", server.name)));
        }
        if run[run.len() - 1].name() == "quit" {
            let rest = connection.rest().expect("the server ends the connection after QUIT");
            assert!(rest.is_empty(), "{} says something after QUIT: {}", server.name, rest.escape_ascii());
            *connection = server.connect();
        }
    }
    replies
}

fn empty(server: &Server) {
    let mut connection = server.connect();
    // Without a password the first is refused, and that is all.
    let asked = connection.ask(&[b"AUTH", b"secret"]).and_then(|_| connection.ask(&[b"FLUSHALL"]));
    assert_eq!(asked.expect("the server answers"), b"+OK\r\n", "{}", server.name);
}
