//! Commands that wait: who is served, with what, when; and that nobody who left takes an element along.

use std::time::{Duration, Instant};

use tests::client::wait_for;
use tests::redis::{Connection, Server};

use crate::alike;

/// How long a condition may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);
/// How long nothing must come, where nothing is to come.
const QUIET: Duration = Duration::from_millis(60);

/// Connections of a scene, by letters, and what they hear.
struct Fixture<'a> {
    server: &'a Server,
    operator: Connection,
    clients: Vec<Connection>,
    blocked: usize,
}

impl<'a> Fixture<'a> {
    fn new(server: &'a Server, clients: usize) -> Self {
        let clients = (0..clients).map(|_| server.connect()).collect();
        Self { server, operator: server.connect(), clients, blocked: 0 }
    }

    /// Sends an inline command that waits, and waits until it does.
    fn block(&mut self, client: usize, command: &str) {
        self.send(client, command);
        self.blocked += 1;
        self.wait_for_blocked(self.blocked);
    }

    fn send(&mut self, client: usize, command: &str) {
        self.clients[client].send(format!("{command}\r\n").as_bytes()).expect("connected");
    }

    fn wait_for_blocked(&mut self, count: usize) {
        let wanted = format!("blocked_clients:{count}\r\n");
        let operator = &mut self.operator;
        let is_so = || {
            let info = operator.ask(&[b"INFO", b"clients"]).expect("an answer");
            String::from_utf8_lossy(&info).contains(&wanted).then_some(())
        };
        assert!(wait_for(LIMIT, is_so).is_some(), "{}: not {wanted}", self.server.name);
        self.blocked = count;
    }

    /// What the operator is told to inline commands.
    fn told(&mut self, commands: &[&str]) -> Vec<String> {
        let tell = |command: &&str| {
            self.operator.send(format!("{command}\r\n").as_bytes()).expect("connected");
            shown(self.operator.reply().expect("an answer"))
        };
        commands.iter().map(tell).collect()
    }

    /// The next reply to a client.
    fn heard(&mut self, client: usize) -> String {
        shown(self.clients[client].reply().expect("an answer"))
    }

    /// The next replies to all clients.
    fn all_heard(&mut self) -> Vec<String> {
        (0..self.clients.len()).map(|client| self.heard(client)).collect()
    }
}

fn shown(reply: Vec<u8>) -> String {
    reply.escape_ascii().to_string()
}

#[test]
fn a_wait_ends_after_its_time_and_not_before() {
    alike(|server| {
        let mut fixture = Fixture::new(server, 1);
        ["BLPOP k 0.2", "BRPOP k l 0.2", "BLMOVE k l LEFT RIGHT 0.2"].map(|command| {
            let begun = Instant::now();
            fixture.send(0, command);
            let reply = fixture.heard(0);
            let took = begun.elapsed();
            assert!(took >= Duration::from_millis(199), "{}: {command} took {took:?}", server.name);
            reply
        })
    });
}

#[test]
fn who_came_first_is_served_first() {
    let heard = alike(|server| {
        let mut fixture = Fixture::new(server, 4);
        for (client, command) in
            ["BLPOP k 0", "BRPOP k 0", "BLMOVE k l LEFT LEFT 0", "BLPOP k 0"].iter().enumerate()
        {
            fixture.block(client, command);
        }
        let told = fixture.told(&["RPUSH k 1 2 3 4 5", "LRANGE k 0 -1", "LRANGE l 0 -1"]);
        (fixture.all_heard(), told)
    });
    assert!(heard.0[1].contains("$1\\r\\n5\\r\\n"), "{heard:?}");
}

#[test]
fn of_several_keys_the_first_that_has_an_element_is_taken() {
    alike(|server| {
        let mut fixture = Fixture::new(server, 1);
        let mut heard = fixture.told(&["RPUSH c 1", "RPUSH b 2"]);
        for command in ["BLPOP a b c 0", "BRPOP a c b 0"] {
            fixture.send(0, command);
            heard.push(fixture.heard(0));
        }
        for push in ["RPUSH c 3", "RPUSH a 4", "LPUSH b 5 6"] {
            fixture.block(0, "BLPOP a b c a 0");
            heard.extend(fixture.told(&[push, "DBSIZE", "FLUSHALL"]));
            heard.push(fixture.heard(0));
            fixture.blocked = 0;
        }
        heard
    });
}

#[test]
fn in_a_transaction_nobody_waits() {
    let told = alike(|server| {
        let mut fixture = Fixture::new(server, 0);
        let commands = [
            "MULTI",
            "BLPOP k 0",
            "RPUSH k 1",
            "BRPOP k 0",
            "BLMOVE k l LEFT LEFT 0",
            "BLPOP k l 0.5",
            "EXEC",
        ];
        fixture.told(&commands)
    });
    assert!(told[6].starts_with("*5\\r\\n*-1\\r\\n:1\\r\\n*2"), "{told:?}");
}

#[test]
fn what_a_transaction_pushes_wakes_after_exec() {
    let (told, heard) = alike(|server| {
        let mut fixture = Fixture::new(server, 1);
        fixture.block(0, "BLPOP k 0");
        let mut told = fixture.told(&["MULTI", "RPUSH k 1 2", "LPOP k", "EXEC"]);
        let mut heard = vec![fixture.heard(0)];
        fixture.blocked = 0;
        fixture.block(0, "BLPOP k 0");
        told.extend(fixture.told(&["MULTI", "RPUSH k 3", "DEL k", "EXEC", "MULTI", "RPUSH k 4", "DISCARD"]));
        assert!(fixture.clients[0].is_quiet_for(QUIET).expect("connected"), "{}", server.name);
        told.extend(fixture.told(&["RPUSH k 5", "EXISTS k"]));
        heard.push(fixture.heard(0));
        (told, heard)
    });
    assert!(
        heard[0].contains("$1\\r\\n2\\r\\n") && heard[1].contains("$1\\r\\n5\\r\\n"),
        "{told:?} {heard:?}"
    );
}

#[test]
fn a_transaction_serves_by_the_order_of_its_pushes() {
    alike(|server| {
        let mut fixture = Fixture::new(server, 3);
        fixture.block(0, "BLPOP a b 0");
        fixture.block(1, "BLPOP b a 0");
        fixture.block(2, "BLMOVE b c LEFT LEFT 0");
        let told = fixture.told(&["MULTI", "RPUSH b 1 2", "RPUSH a 3", "LPUSH b 4", "EXEC"]);
        (fixture.all_heard(), told, fixture.told(&["LRANGE a 0 -1", "LRANGE b 0 -1", "LRANGE c 0 -1"]))
    });
}

#[test]
fn an_element_passes_through_all_who_wait_for_it() {
    alike(|server| {
        let mut fixture = Fixture::new(server, 3);
        fixture.block(0, "BLMOVE a b LEFT RIGHT 0");
        fixture.block(1, "BLMOVE b c RIGHT LEFT 0");
        fixture.block(2, "BRPOP c 0");
        let told = fixture.told(&["LPUSH a x", "DBSIZE"]);
        (fixture.all_heard(), told)
    });
}

#[test]
fn lmove_and_blmove_wake_who_waits_for_their_destination() {
    alike(|server| {
        let mut fixture = Fixture::new(server, 2);
        fixture.block(0, "BLPOP k 0");
        fixture.block(1, "BLPOP k 0");
        let told = fixture.told(&[
            "RPUSH s 1 2 3",
            "LMOVE s k LEFT LEFT",
            "BLMOVE s k RIGHT LEFT 0",
            "LRANGE s 0 -1",
        ]);
        (fixture.all_heard(), told)
    });
}

#[test]
fn another_type_under_the_key_wakes_nobody() {
    alike(|server| {
        let mut fixture = Fixture::new(server, 2);
        fixture.block(0, "BLPOP k 0");
        let mut told = fixture.told(&["SET k 1", "HSET h f 1", "BLPOP k 0", "DEL k"]);
        fixture.block(1, "BLMOVE s d LEFT LEFT 0");
        told.extend(fixture.told(&["SET d 1", "RPUSH s e", "LRANGE s 0 -1", "RPUSH k 2"]));
        (fixture.all_heard(), told)
    });
}

#[test]
fn a_blocked_client_that_leaves_takes_no_element() {
    let told = alike(|server| {
        let mut fixture = Fixture::new(server, 3);
        fixture.block(0, "BLPOP k 0");
        fixture.block(1, "BLMOVE k l LEFT LEFT 0");
        fixture.block(2, "BLPOP other k 0");
        drop(fixture.clients.drain(..2));
        fixture.wait_for_blocked(1);
        let mut told = fixture.told(&["RPUSH k 1", "LLEN k", "EXISTS l"]);
        told.push(fixture.heard(0));
        drop(fixture.clients.drain(..));
        told.extend(fixture.told(&["RPUSH k 2", "LRANGE k 0 -1"]));
        told
    });
    assert_eq!(told[1], ":0\\r\\n", "it went to the one who still waited");
}

#[test]
fn commands_after_a_blocking_one_are_answered_after_it() {
    alike(|server| {
        let mut fixture = Fixture::new(server, 1);
        fixture.block(0, "BLPOP k 0\r\nPING\r\nMULTI\r\nLLEN k\r\nEXEC");
        assert!(fixture.clients[0].is_quiet_for(QUIET).expect("connected"), "{}", server.name);
        let told = fixture.told(&["RPUSH k 1 2"]);
        (told, [0; 5].map(|client| fixture.heard(client)))
    });
}

#[test]
fn a_wait_without_end_outlives_one_with_an_end() {
    alike(|server| {
        let mut fixture = Fixture::new(server, 2);
        fixture.block(0, "BLPOP k 0");
        fixture.send(1, "BLPOP k 0.05");
        let late = fixture.heard(1);
        let told = fixture.told(&["RPUSH k 1"]);
        (late, told, fixture.heard(0))
    });
}
