//! What the machine runs: the caller's program or a shell, in the caller's folder and environment.

use std::env;
use std::fs;
use std::io::{IsTerminal, stdin};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::termios::tcgetwinsize;

use crate::image::BUILD;
use crate::tool::process::TOOL_VARIABLE;
use crate::tool::workspace::Workspace;
use crate::toolchain::Toolchain;

/// Set in the environment of what runs there.
const INSIDE: &str = "VOTING_APP_BED";

/// Whether this process runs in such a machine.
pub fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Name of the script, in the machine's folder.
pub(super) const ENTRY: &str = "entry";
/// Name of the folder with what stands before other programs in `PATH`.
const PROGRAMS: &str = "programs";
/// The tool as cargo has built it, in the target directory.
const TOOL: &str = "tool/image-build";
const CLUSTER: &str = "tool/cluster";
/// Commands that are the tool's, and no subcommand of it.
const COMMANDS: &str = "up|down|ps|logs|attach|fault|doctor";

/// Writes what the machine's first program runs.
pub(super) fn write(folder: &Path, workspace: &Workspace, program: &[String]) -> Result<()> {
    let programs = folder.join(PROGRAMS);
    fs::create_dir(&programs).context("no room for the machine's files")?;
    let cargo = programs.join("cargo");
    fs::write(&cargo, cargo_script(workspace)?).context("no room for the machine's files")?;
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).context("the script is ours")?;
    fs::write(folder.join(ENTRY), entry(workspace, &programs, program)?)
        .context("no room for the machine's files")
}

/// A `cargo` that runs the tool as it was built; a real one would compile, or look for an hour whether it has to.
fn cargo_script(workspace: &Workspace) -> Result<String> {
    let path = |name: &str| quote(&workspace.target.join(name));
    let (cluster, image) = (path(CLUSTER)?, path(TOOL)?);
    let cargo = quote(&Toolchain::find(workspace)?.sysroot.join("bin/cargo"))?;
    let lines = [
        "#!/bin/sh".to_owned(),
        "case \"$1\" in".to_owned(),
        format!("{COMMANDS}) exec {cluster} \"$@\" ;;"),
        format!("image) shift; exec {image} \"$@\" ;;"),
        format!("*) exec {cargo} \"$@\" ;;"),
        "esac".to_owned(),
    ];
    Ok(lines.join("\n") + "\n")
}

fn entry(workspace: &Workspace, programs: &Path, program: &[String]) -> Result<String> {
    let mut lines: Vec<String> = env::vars().filter_map(|(name, value)| export(&name, &value)).collect();
    lines.push(format!("export PATH={}:\"$PATH\"", quote(programs)?));
    lines.push(format!("export CARGO={}", quote(&programs.join("cargo"))?));
    lines.push(format!("export {TOOL_VARIABLE}={}", quote(&workspace.target.join(TOOL))?));
    lines.push(format!("export {BUILD}=never {INSIDE}=1"));
    lines.push(format!("cd {}", quote(&env::current_dir()?)?));
    if program.is_empty() {
        let size = stdin().is_terminal().then(|| tcgetwinsize(stdin()).ok()).flatten();
        lines.extend(size.map(|size| format!("stty rows {} cols {}", size.ws_row, size.ws_col)));
        lines.push(
            "echo 'A machine with KVM; what is written here ends with it. Try: cargo up --accel kvm'"
                .to_owned(),
        );
        // Without its user's settings, which could put another cargo first, and take long there.
        lines.push("command -v bash > /dev/null && exec bash --norc".to_owned());
        lines.push("exec sh".to_owned());
    } else {
        // Its lines end as they do here.
        lines.push("stty -onlcr".to_owned());
        lines.push(format!("exec {}", shell_words::join(program)));
    }
    Ok(lines.join("\n") + "\n")
}

/// A variable of the environment; none where a shell cannot have it.
fn export(name: &str, value: &str) -> Option<String> {
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit());
    is_name.then(|| format!("export {name}={}", shell_words::quote(value)))
}

fn quote(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("the path {} is not UTF-8", path.display()))?;
    Ok(shell_words::quote(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_the_callers_environment_word_by_word() {
        assert_eq!(export("A_1", "it's $HOME").as_deref(), Some("export A_1='it'\\''s $HOME'"));
        assert_eq!(export("BASH_FUNC_x%%", "() { :; }"), None);
        assert_eq!(export("1A", ""), None);
        let program = ["ls", "a b"].map(str::to_owned);
        let workspace = Workspace { root: "/w".into(), target: "/w/target".into() };
        let text = entry(&workspace, Path::new("/p"), &program).expect("a script");
        assert!(text.ends_with("\nstty -onlcr\nexec ls 'a b'\n"), "{text}");
        assert!(text.contains("\nexport PATH=/p:\"$PATH\"\n"), "{text}");
    }
}
