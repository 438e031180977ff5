//! What a database sends: nothing may panic, a message's parts are incomplete, and whatever comes the client tells
//! each of its statements' owners exactly once.

use std::time::Duration;

use kernel_app::client::postgres::{LOGIN_WITHIN, Statement};
use kernel_app::client::{DatabaseClient, DatabaseLogin, Outcome};
use kernel_app::connections::INPUT_BYTES_MAX;
use kernel_app::secret::Secret;
use kernel_app::{Connections, Context, Instant, Origin};
use simulator::random::NoEntropy;
use wire::postgres::{COLUMNS_MAX, parse_message};

const STATEMENT: Statement = Statement { name: "fuzzed", sql: "select $1" };
/// Statements that are under way when the input arrives.
const STATEMENTS: u32 = 3;
/// A login without a password, so that an input is about statements as well: `AuthenticationOk`, readiness.
const ACCEPTED: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";

/// Gives `bytes` to a client as a database's answer.
pub fn check(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(INPUT_BYTES_MAX - ACCEPTED.len())];
    if let Ok(Some((_, length))) = parse_message(bytes) {
        assert!(length > 0 && length <= bytes.len());
        for cut in [0, 1, length / 2, length - 1] {
            assert_eq!(parse_message(&bytes[..cut]), Ok(None), "cut at {cut}");
        }
    }
    converse(bytes, bytes.len());
    let whole = converse(&[ACCEPTED, bytes].concat(), ACCEPTED.len());
    let cut = converse(&[ACCEPTED, bytes].concat(), ACCEPTED.len() + bytes.len() / 2);
    // Statements are sent after the first piece, so only these two are alike.
    assert!(whole == 0 || whole == STATEMENTS, "{whole}");
    assert!(cut == 0 || cut == STATEMENTS, "{cut}");
}

/// Plays a conversation in two pieces with statements sent between them, and its end; says how many owners were
/// told what became of theirs.
fn converse(bytes: &[u8], cut: usize) -> u32 {
    let mut connections = Connections::new();
    let id = connections.open(0, Origin::Peer(0)).expect("room");
    let mut client = DatabaseClient::new(DatabaseLogin {
        setting: "RESULTS_URL",
        user: "me".to_owned(),
        password: Secret::new(b"pencil"),
        database: "votes".to_owned(),
    });
    let mut told = Vec::new();
    let mut context = Context {
        now: Instant::ZERO,
        unix_time: Duration::ZERO,
        entropy: &mut NoEntropy,
        connections: &mut connections,
        disk: None,
    };
    let context = &mut context;
    client.opened(id, context);
    let mut pull = |client: &mut DatabaseClient<u32>, context: &mut Context<'_>| {
        while let Some((token, outcome)) = client.next_outcome(context) {
            if let Outcome::Answer(Ok(rows)) = outcome {
                let columns =
                    rows.flat_map(|row| (0..COLUMNS_MAX).filter_map(move |index| row.column(index)));
                assert!(columns.map(<[u8]>::len).sum::<usize>() <= INPUT_BYTES_MAX);
            }
            told.push(token);
        }
    };
    let mut sent = 0;
    for piece in [&bytes[..cut], &bytes[cut..]] {
        if let Some(connection) = context.connections.get_mut(id) {
            connection.input.write_some(piece);
        }
        pull(&mut client, context);
        while sent < STATEMENTS && client.send(&STATEMENT, &[b"x"], sent, LOGIN_WITHIN, context).is_ok() {
            sent += 1;
        }
    }
    client.closed(id);
    pull(&mut client, context);
    assert_eq!((client.pending(), client.next_deadline()), (0, None));
    told.sort_unstable();
    assert_eq!(told, (0..sent).collect::<Vec<_>>());
    sent
}
