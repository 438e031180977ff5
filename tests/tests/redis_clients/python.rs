//! redis-py, in an environment of its own under `target/`. Its calls are in `client.py`.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::command::run;
use tests::redis::store;

/// Made once; its folder says so.
fn environment() -> Result<PathBuf, String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/redis-py");
    let python = dir.join("bin/python");
    let has_it = |python: &Path| {
        Command::new(python).args(["-c", "import redis"]).output().is_ok_and(|output| output.status.success())
    };
    if !has_it(&python) {
        let path = dir.to_str().ok_or("the path is no UTF-8")?;
        succeed(Command::new("python3").args(["-m", "venv", "--clear", path]))?;
        succeed(Command::new(&python).args(["-m", "pip", "install", "--quiet", "redis"]))?;
    }
    Ok(python)
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(|error| format!("{shown}: {error}"))?;
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    if output.status.success() { Ok(()) } else { Err(format!("{shown}: {said}")) }
}

#[test]
fn redis_py_makes_its_ordinary_calls() {
    let python = match environment() {
        Ok(python) => python,
        Err(reason) => {
            eprintln!("SKIPPED: redis-py cannot be had (Debian: python3-venv; PyPI: redis): {reason}");
            return;
        }
    };
    let server = store(&[]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/redis_clients/client.py");
    let outcome =
        run(Command::new("timeout").arg("60").arg(python).args([script, &server.address.port().to_string()]));
    assert!(outcome.success && outcome.stdout.starts_with("well"), "{}{}", outcome.stdout, outcome.stderr);
}
