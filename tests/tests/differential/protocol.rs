//! What is no request, what lines are, and what `COMMAND` says of each command.

use store_service::command::Command;
use tests::redis::reply_bytes;

use crate::alike;

/// Input after which both servers say what is wrong and end the connection.
const NO_REQUESTS: [&[u8]; 14] = [
    b"*x\r\n",
    b"*01\r\n",
    b"* 1\r\n",
    b"*1x\r\n",
    b"*2147483648\r\n",
    b"*99999999999999999999\r\n",
    b"*1\r\n:1\r\n",
    b"*1\r\nPING\r\n",
    b"*1\r\n$x\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$\r\n",
    b"*1\r\n$99999999999999999999\r\n",
    b"\"open\r\n",
    b"PING \"a\"b\r\n",
];

#[test]
fn a_malformed_request_is_named_and_ends_the_connection() {
    alike(|server| {
        NO_REQUESTS.map(|bytes| {
            let mut connection = server.connect();
            connection.send(&[b"PING\r\n", bytes].concat()).expect("connected");
            let rest = connection.rest();
            let rest =
                rest.unwrap_or_else(|error| panic!("{}: {}: {error}", server.name, bytes.escape_ascii()));
            rest.escape_ascii().to_string()
        })
    });
}

#[test]
fn lines_are_split_into_words_alike() {
    // None has a zero: behind one, Redis does not find the line's end.
    const LINES: [&[u8]; 9] = [
        b"  PING  ",
        b"\tECHO\ta\t",
        b"ECHO \"a\\n\\x00\\xzz\\\"b\\q\"",
        b"ECHO 'a\\n\\'b'",
        b"ECHO pre\"fix\"",
        b"ECHO \"\" ",
        b"echo a\x0bb",
        b"echo \xff\xfe",
        b"PING\r",
    ];
    alike(|server| {
        LINES.map(|line| {
            let mut connection = server.connect();
            connection.send(&[line, b"\r\nPING end\r\n"].concat()).expect("connected");
            let replies = [(); 2].map(|()| connection.reply().expect("an answer"));
            replies.concat().escape_ascii().to_string()
        })
    });
}

/// Name, number of arguments, flags and positions of the keys: what comes before the categories.
fn described(reply: &[u8]) -> String {
    let mut rest = reply.strip_prefix(b"*1\r\n*10\r\n").expect("ten parts");
    let mut parts = Vec::new();
    for _ in 0..6 {
        let length = reply_bytes(rest).expect("a part");
        parts.extend_from_slice(&rest[..length]);
        rest = &rest[length..];
    }
    parts.escape_ascii().to_string()
}

#[test]
fn commands_are_described_alike() {
    alike(|server| {
        let mut connection = server.connect();
        let describe = |command: &Command| {
            let name = command.spec().name.as_bytes();
            described(&connection.ask(&[b"COMMAND", b"INFO", name]).expect("an answer"))
        };
        Command::ALL.iter().map(describe).collect::<Vec<_>>()
    });
}
