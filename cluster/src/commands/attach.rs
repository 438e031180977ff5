//! `cargo attach`: a debugger for a running machine, with its program's symbols at the program's address.
//!
//! It builds nothing and stops nothing: QEMU pauses the machine while a debugger is attached, and continues it
//! afterwards. The debugger sees the image itself; its line tables are next to it, in the program's ELF file.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

use crate::commands::options::AttachOptions;
use crate::state::debugger::socket_name;
use crate::state::run_dir::RunDir;
use crate::state::{InstanceState, State};
use image_build::image::PROGRAM_START;
use image_build::tool::output;
use image_build::tool::packages;
use image_build::tool::packages::table::GDB;
use image_build::tool::process;
use image_build::vm::refusal;
use image_build::vm::vmm::Feature;

/// A machine, as a debugger needs to know it.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    instance: String,
    socket: PathBuf,
    program: PathBuf,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, socket, program } = self;
        writeln!(f, "{instance} waits for a debugger at unix:{}", socket.display())?;
        writeln!(f, "its program lies at {PROGRAM_START:#x}, its symbols are in {}", program.display())?;
        writeln!(f, "`cargo attach {instance} --gdb` starts gdb with both")
    }
}

/// Says where a debugger finds a machine and its symbols, or starts gdb with them; then with its status.
///
/// # Errors
/// When there is no such machine, its symbols are of another build than what it runs, or there is no gdb.
pub fn attach(run_dir: &RunDir, options: &AttachOptions) -> Result<ExitCode> {
    let state = run_dir.read_state()?.filter(|state| state.supervisor.runs());
    let state = state.context("nothing runs: start it with `cargo up`")?;
    let target = target(&state, &options.service)?;
    if !options.gdb {
        output::print(&target.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(process::is_installed(GDB.program), "gdb is not installed: {}", packages::advice_for(&[&GDB]));
    // The terminal's Ctrl-C is meant for gdb, which is this process from here on.
    Err(process::become_program(gdb(&target).args(&options.arguments)))
}

fn gdb(target: &Target) -> Command {
    let mut command = Command::new(GDB.program);
    // Commands in quotes as gdb reads them, where a backslash escapes.
    let quoted = |path: &PathBuf| {
        format!("\"{}\"", path.display().to_string().replace('\\', "\\\\").replace('"', "\\\""))
    };
    command.arg("-q");
    command.args(["-ex", &format!("symbol-file {} -o {PROGRAM_START:#x}", quoted(&target.program))]);
    command.args(["-ex", &format!("target remote {}", target.socket.display())]);
    command
}

fn target(state: &State, service: &str) -> Result<Target> {
    let instance = chosen(&state.instances, service)?;
    let name = &instance.instance;
    ensure!(instance.process.runs(), "{name} does not run: see `cargo ps` and `cargo logs {name}`");
    refusal::require(state.plan.platform.vmm, Feature::Debugger, "a debugger")?;
    let planned = state.plan.instances.iter().find(|planned| planned.name == *name);
    let image = planned.and_then(|planned| state.plan.images.get(&planned.source.to_string()));
    let program = image.map(|image| image.program.clone()).with_context(|| format!("{name} has no image"))?;
    let written = fs::metadata(&program).and_then(|metadata| metadata.modified());
    let written =
        written.with_context(|| format!("the symbols of {name} are gone: {}", program.display()))?;
    ensure!(
        written <= started(instance),
        "{} was built anew after {name} had been started, so its symbols are not those of what runs: `cargo down`, then `cargo up`",
        program.display()
    );
    // By its process: however long the folder's path, that of a socket may have 107 bytes.
    let socket = format!("/proc/{}/cwd/{}", instance.process.pid, socket_name(name)).into();
    Ok(Target { instance: name.clone(), socket, program })
}

fn started(instance: &InstanceState) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(instance.started_ms)
}

/// The instance of this name, or the only one of this service.
fn chosen<'a>(instances: &'a [InstanceState], service: &str) -> Result<&'a InstanceState> {
    if let Some(instance) = instances.iter().find(|it| it.instance == service) {
        return Ok(instance);
    }
    match instances.iter().filter(|it| it.service == service).collect::<Vec<_>>()[..] {
        [instance] => Ok(instance),
        [] => bail!("there is no service or instance {service:?}: choose one of {}", names(instances)),
        ref several => {
            bail!(
                "{service} has {} instances: choose one of {}",
                several.len(),
                names(several.iter().copied())
            )
        }
    }
}

fn names<'a>(instances: impl IntoIterator<Item = &'a InstanceState>) -> String {
    instances.into_iter().map(|it| it.instance.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::log::file::now_ms;
    use crate::plan::draft::tests::platform;
    use crate::plan::draft::tests::voting;
    use crate::plan::{Choices, Image};
    use crate::state::identity::Identity;
    use crate::state::run_dir::tests::instance;
    use image_build::vm::vmm::Vmm;

    /// A worker and two votes, of one image each, that this process stands for.
    fn state(program: PathBuf) -> State {
        let choices = Choices { scale: [("vote".to_owned(), 2)].into(), ..Choices::default() };
        let draft = voting(&choices).expect("a plan");
        let image = Image { path: "/i/img".into(), bytes: 1, program };
        let images: BTreeMap<String, Image> =
            draft.sources().into_iter().map(|source| (source.to_string(), image.clone())).collect();
        let process = Identity::of(std::process::id()).expect("this process runs");
        let mut state = State::new(process.clone(), draft.complete(platform(), images));
        let names = [("worker", "worker-1"), ("vote", "vote-1"), ("vote", "vote-2")];
        let started_ms = now_ms() + 1000;
        let instances = names
            .map(|(service, name)| InstanceState { started_ms, ..instance(service, name, process.clone()) });
        state.instances = instances.into();
        state
    }

    #[test]
    fn a_single_instance_answers_to_its_service_name() {
        let program = tempfile::NamedTempFile::new().expect("a file");
        let state = state(program.path().to_owned());
        let name = |service| target(&state, service).map(|target| target.instance);
        assert_eq!(name("worker").expect("one"), "worker-1");
        assert_eq!(name("vote-2").expect("one"), "vote-2");
        let error = |service| name(service).expect_err("refused").to_string();
        assert_eq!(error("vote"), "vote has 2 instances: choose one of vote-1, vote-2");
        assert_eq!(
            error("vot"),
            "there is no service or instance \"vot\": choose one of worker-1, vote-1, vote-2"
        );
    }

    #[test]
    fn a_vmm_without_a_debugger_is_named() {
        let program = tempfile::NamedTempFile::new().expect("a file");
        let mut state = state(program.path().to_owned());
        state.plan.platform.vmm = Vmm::Uhyve;
        let error = target(&state, "worker").expect_err("refused").to_string();
        assert!(error.starts_with("a debugger does not go with uhyve: its debugger has to come"), "{error}");
    }

    #[test]
    fn symbols_of_a_later_build_are_refused() {
        let program = tempfile::NamedTempFile::new().expect("a file");
        let mut state = state(program.path().to_owned());
        state.instances[0].started_ms = 1;
        let error = target(&state, "worker").expect_err("too new").to_string();
        assert!(error.contains("was built anew after worker-1 had been started"), "{error}");
        drop(program);
        let error = target(&state, "worker").expect_err("gone").to_string();
        assert!(error.starts_with("the symbols of worker-1 are gone"), "{error}");
    }

    #[test]
    fn gdb_is_given_symbols_address_and_socket() {
        let target = Target {
            instance: "vote-1".to_owned(),
            socket: "/proc/7/cwd/vote-1.gdb".into(),
            program: r#"/a "b"\c/vote"#.into(),
        };
        let command = gdb(&target);
        let words: Vec<&str> = command.get_args().filter_map(|word| word.to_str()).collect();
        let symbols = r#"symbol-file "/a \"b\"\\c/vote" -o 0x200000"#;
        assert_eq!(words, ["-q", "-ex", symbols, "-ex", "target remote /proc/7/cwd/vote-1.gdb"]);
    }
}
