//! `redis-cli`: typed at, fed by a file, and with `--pipe`.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::Command;

use tests::command::run;
use tests::programs::program;
use tests::redis::{Server, request, store};

use tests::terminal::Terminal;

fn cli(server: &Server) -> Command {
    let mut command = program("redis-cli");
    command.args(["-p", &server.address.port().to_string()]);
    command
}

/// Runs `redis-cli` with a file as its input; what it prints.
fn fed(server: &Server, arguments: &[&str], input: &[u8]) -> String {
    let path = server.dir().join("input");
    fs::write(&path, input).expect("a file");
    let outcome = run(cli(server).args(arguments).stdin(File::open(&path).expect("the file")));
    outcome.stdout
}

#[test]
fn redis_cli_is_typed_at() {
    let server = store(&[]);
    let mut terminal = Terminal::start(&mut cli(&server));
    let prompt = format!("127.0.0.1:{}> ", server.address.port());
    terminal.expect(&prompt);
    for (line, answer) in [
        ("PING", "PONG"),
        ("RPUSH votes a \"b c\"", "(integer) 2"),
        ("LRANGE votes 0 -1", "2) \"b c\""),
        ("HSET h f \"\\x00\\n\"", "(integer) 1"),
        ("hgetall h", "2) \"\\x00\\n\""),
        ("GET nothing", "(nil)"),
        ("INCR votes", "(error) WRONGTYPE Operation against a key"),
        ("NONSENSE x", "(error) ERR unknown command 'NONSENSE', with args beginning with: 'x' "),
        ("MULTI", "OK"),
        ("LPOP votes", "QUEUED"),
        ("EXEC", "1) \"a\""),
        ("BLPOP nothing 0.01", "(nil)"),
        ("SELECT 0", "OK"),
        ("CONFIG GET maxclients", "1) \"maxclients\""),
        ("INFO keyspace", "db0:keys=2"),
    ] {
        terminal.type_line(line);
        terminal.expect(answer);
    }
    terminal.type_line("QUIT");
    assert!(terminal.end().success());
}

#[test]
fn redis_cli_is_fed_by_a_file() {
    let server = store(&[]);
    let printed = fed(
        &server,
        &[],
        b"SET n 41\nINCR n\nRPUSH l a b\nLRANGE l 0 -1\nNONSENSE\nMULTI\nLPOP l\nEXEC\nGET none\n",
    );
    let expected =
        "OK\n42\n2\na\nb\nERR unknown command 'NONSENSE', with args beginning with: \n\nOK\nQUEUED\na\n\n";
    assert_eq!(printed, expected);
}

#[test]
fn redis_cli_pipes_commands_in_bulk() {
    const VOTES: usize = 50_000;
    let server = store(&[("MAXMEMORY", "256mb")]);
    let vote = |number: usize| request(&["RPUSH", "votes", &format!("{{\"voter_id\":\"{number}\"}}")]);
    let printed = fed(&server, &["--pipe"], &(0..VOTES).flat_map(vote).collect::<Vec<_>>());
    assert!(printed.contains(&format!("errors: 0, replies: {VOTES}")), "{printed}");
    assert_eq!(run(cli(&server).args(["LLEN", "votes"])).stdout, format!("{VOTES}\n"));

    let mut lines = String::new();
    (0..1000).for_each(|number| write!(lines, "HSET h f{number} {number}\r\n").expect("a string"));
    let printed = fed(&server, &["--pipe"], (lines + "NONSENSE\r\n").as_bytes());
    assert!(printed.contains("errors: 1, replies: 1001"), "{printed}");
}

#[test]
fn redis_cli_gives_the_password_and_has_its_own_ways() {
    let server = store(&[("REQUIREPASS", "s3cret")]);
    let ask = |arguments: &[&str]| run(cli(&server).args(["--no-auth-warning"]).args(arguments)).stdout;
    assert!(ask(&["PING"]).starts_with("NOAUTH Authentication required."));
    assert_eq!(ask(&["-a", "s3cret", "PING"]), "PONG\n");
    assert_eq!(ask(&["-a", "s3cret", "-r", "3", "INCR", "n"]), "1\n2\n3\n");
    assert_eq!(ask(&["-a", "s3cret", "--csv", "RPUSH", "l", "a"]), "1\n");
    assert_eq!(ask(&["-a", "s3cret", "--no-raw", "LRANGE", "l", "0", "-1"]), "1) \"a\"\n");
    let other = run(cli(&server).args(["--no-auth-warning", "-a", "s3cret", "-n", "1", "PING"]));
    assert!((other.stdout + &other.stderr).contains("DB index is out of range"));
    let hash = "1# \"f\" => \"1\"\n";
    assert_eq!(ask(&["-a", "s3cret", "-3", "HSET", "h", "f", "1"]), "1\n");
    assert_eq!(ask(&["-a", "s3cret", "-3", "--no-raw", "HGETALL", "h"]), hash, "RESP3 has maps");
}
