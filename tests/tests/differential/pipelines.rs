//! Pipelines, cut at every byte.

use tests::redis::{Connection, Server, request};

use crate::alike;

/// Commands of all shapes: arrays, lines, errors, a transaction, values with line ends and zeros, an empty one.
fn pipeline() -> Vec<u8> {
    let mut bytes = Vec::new();
    let commands: [&[&[u8]]; 12] = [
        &[b"RPUSH", b"k\r\n", b"a\r\nb", b"", b"\0\xff"],
        &[b"HSET", b"h", b"f", b"$3\r\n", b"g", b"*1\r\n"],
        &[b"MULTI"],
        &[b"LRANGE", b"k\r\n", b"0", b"-1"],
        &[b"INCR", b"h"],
        &[b"EXEC"],
        &[b"NONSENSE", b"x"],
        &[b"GET"],
        &[b"HGETALL", b"h"],
        &[b"BLPOP", b"k\r\n", b"0"],
        &[b"MULTI"],
        &[b"DISCARD"],
    ];
    for command in commands {
        bytes.extend(request(command));
    }
    bytes.extend_from_slice(b"SET \"n\\x31\" '2'\r\n\r\n*0\r\nINCR n1\nDEL k\r\n");
    bytes.extend(request(&[&b"FLUSHALL"[..]]));
    bytes
}

/// Replies that are not empty requests'.
const REPLIES: usize = 16;

/// Sends bytes, and returns when the server has had its turn with them.
fn deliver(connection: &mut Connection, other: &mut Connection, bytes: &[u8]) {
    connection.send(bytes).expect("connected");
    assert_eq!(other.ask(&[b"PING"]).expect("an answer"), b"+PONG\r\n");
}

fn replies(connection: &mut Connection) -> Vec<u8> {
    let reply = |_| connection.reply().expect("an answer");
    (0..REPLIES).flat_map(reply).collect()
}

fn cut_everywhere(server: &Server) -> Vec<u8> {
    let bytes = pipeline();
    let (mut connection, mut other) = (server.connect(), server.connect());
    deliver(&mut connection, &mut other, &bytes);
    let whole = replies(&mut connection);
    for cut in 1..bytes.len() {
        deliver(&mut connection, &mut other, &bytes[..cut]);
        deliver(&mut connection, &mut other, &bytes[cut..]);
        let cut_replies = replies(&mut connection);
        assert_eq!(
            cut_replies.escape_ascii().to_string(),
            whole.escape_ascii().to_string(),
            "{} cut at {cut}",
            server.name
        );
    }
    bytes.iter().for_each(|byte| deliver(&mut connection, &mut other, &[*byte]));
    assert_eq!(replies(&mut connection), whole, "{}: byte by byte", server.name);
    whole
}

#[test]
fn a_pipeline_is_answered_alike_wherever_it_is_cut() {
    alike(|server| cut_everywhere(server).escape_ascii().to_string());
}
