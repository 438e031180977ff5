//! redis-py, in an environment of its own. Its calls are in `client.py`.

use std::process::Command;

use tests::command::run;
use tests::packages::python_programs;
use tests::redis::store;

#[test]
fn redis_py_makes_its_ordinary_calls() {
    let python = python_programs().join("python");
    let server = store(&[]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/redis_clients/client.py");
    let outcome =
        run(Command::new("timeout").arg("60").arg(python).args([script, &server.address.port().to_string()]));
    assert!(outcome.success && outcome.stdout.starts_with("well"), "{}{}", outcome.stdout, outcome.stderr);
}
