//! The folder of one running application: its lock, its state file, its logs. It starts and stops nothing.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::state::model::{STATE_VERSION, State};
use crate::state::targets;

/// Rights of the folder.
const MODE: u32 = 0o700;
/// Longest state file that is read, in bytes.
const STATE_BYTES_MAX: u64 = 1024 * 1024;

/// The folder.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
    /// The file that says who can be asked for metrics, for Prometheus.
    targets: Option<PathBuf>,
}

/// The right to run the application of this folder; given back when dropped, also by a crash.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl RunDir {
    /// The folder at a path; made when missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let mut builder = fs::DirBuilder::new();
        // Logs and addresses are their owner's alone.
        builder.recursive(true).mode(MODE).create(&path).with_context(|| {
            format!(
                "cannot make the folder {}: set XDG_STATE_HOME to one that can be written",
                path.display()
            )
        })?;
        Ok(Self { path, targets: None })
    }

    /// The same, which also says in a file who can be asked for metrics.
    pub fn with_targets(self, targets: Option<PathBuf>) -> Self {
        Self { targets, ..self }
    }

    /// That file.
    pub fn targets(&self) -> Option<&Path> {
        self.targets.as_deref()
    }

    /// Absolute path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock; `None` when another process has it.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn try_lock(&self) -> Result<Option<Lock>> {
        let path = self.path.join("lock");
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// The state; `None` when nothing has been left running.
    ///
    /// # Errors
    /// When the file is not a state file of this version.
    pub fn read_state(&self) -> Result<Option<State>> {
        let path = self.state_path();
        let length = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let mend = || format!("{} is no state file of this version: `cargo down` removes it", path.display());
        if length > STATE_BYTES_MAX {
            bail!(mend());
        }
        let text = match fs::read(&path) {
            // Whoever ran the application has just stopped it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let state: State = serde_json::from_slice(&text).ok().with_context(mend)?;
        if state.version != STATE_VERSION {
            bail!(mend());
        }
        Ok(Some(state))
    }

    /// Writes the state, and who can be asked for metrics, each whole or not at all.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn write_state(&self, state: &State) -> Result<()> {
        write_json(&self.state_path(), state)?;
        let Some(targets) = &self.targets else { return Ok(()) };
        // `cargo clean` may have taken its folder.
        targets.parent().map(fs::create_dir_all).transpose().with_context(|| unwritable(targets))?;
        write_json(targets, &targets::of(state))
    }

    /// Whether what was written last is still there.
    pub fn is_written(&self) -> bool {
        self.state_path().exists() && self.targets.as_ref().is_none_or(|targets| targets.exists())
    }

    /// Forgets the state.
    ///
    /// # Errors
    /// When the file is there and cannot be removed.
    pub fn remove_state(&self) -> Result<()> {
        let paths = [self.state_path()].into_iter().chain(self.targets.clone());
        for path in paths.flat_map(|path| [next_of(&path), path]) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The log file of an instance.
    pub fn log_path(&self, instance: &str) -> PathBuf {
        self.path.join(format!("{instance}.log"))
    }

    /// The instances that have logs, by name.
    pub fn logged_instances(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.path)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".log")?.to_owned()))
            .collect();
        names.sort();
        names
    }

    /// Removes the logs of an earlier run.
    pub fn remove_logs(&self) {
        for instance in self.logged_instances() {
            let path = self.log_path(&instance);
            // A log that stays does no harm: the new run continues it.
            let _ = fs::remove_file(crate::log::file::older(&path));
            let _ = fs::remove_file(path);
        }
    }

    fn state_path(&self) -> PathBuf {
        self.path.join("state.json")
    }
}

/// The name under which a file is written before it takes the place of the old one.
fn next_of(path: &Path) -> PathBuf {
    path.with_added_extension("next")
}

/// Writes a file whole or not at all.
fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let next = next_of(path);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&next)?;
        serde_json::to_writer_pretty(&mut file, value)?;
        file.flush()?;
        fs::rename(&next, path)
    };
    write().with_context(|| unwritable(path))
}

fn unwritable(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::plan::Plan;
    use crate::state::access::Access;
    use crate::state::identity::Identity;
    use crate::state::model::{HealthAddress, InstanceState};

    /// A folder of its own, removed at the end.
    pub fn temporary() -> (tempfile::TempDir, RunDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let run_dir = RunDir::open(folder.path().join("run")).expect("a run folder");
        (folder, run_dir)
    }

    /// An instance that has just been started as this process.
    pub fn instance(service: &str, name: &str, process: Identity) -> InstanceState {
        let address = Access::Tcp(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 1));
        InstanceState {
            service: service.to_owned(),
            instance: name.to_owned(),
            process,
            endpoint: String::new(),
            published: true,
            health: HealthAddress { address, path: "/readyz".to_owned() },
            started_ms: 0,
            healthy_after_ms: None,
            ended: None,
            restarts: 0,
            restarting: false,
        }
    }

    fn state() -> State {
        let plan = Plan {
            application: "x".to_owned(),
            platform: crate::plan::draft::tests::platform(),
            instances: Vec::new(),
            images: std::collections::BTreeMap::new(),
            network: crate::plan::NetworkPlan::default(),
        };
        State::new(Identity::of(std::process::id()).expect("this process runs"), plan)
    }

    #[test]
    fn the_lock_is_had_once_and_given_back() {
        let (_folder, run_dir) = temporary();
        let lock = run_dir.try_lock().expect("a lock file");
        assert!(lock.is_some());
        assert!(run_dir.try_lock().expect("a lock file").is_none());
        drop(lock);
        assert!(run_dir.try_lock().expect("a lock file").is_some());
    }

    #[test]
    fn the_state_is_read_back_and_forgotten() {
        let (_folder, run_dir) = temporary();
        assert!(run_dir.read_state().expect("none").is_none());
        let written = state();
        run_dir.write_state(&written).expect("room");
        let read = run_dir.read_state().expect("a state").expect("a state");
        assert_eq!((read.supervisor, read.plan), (written.supervisor, written.plan));
        run_dir.remove_state().expect("removed");
        run_dir.remove_state().expect("twice does no harm");
        assert!(run_dir.read_state().expect("none").is_none());
    }

    #[test]
    fn only_running_instances_are_scrape_targets() {
        let (folder, run_dir) = temporary();
        let targets = folder.path().join("target/targets.json");
        let run_dir = run_dir.with_targets(Some(targets.clone()));
        let mut state = state();
        let instance = |name: &str, port: u16, ended: Option<&str>| {
            let mut instance = instance("vote", name, state.supervisor.clone());
            instance.health.address = Access::Tcp(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
            InstanceState { ended: ended.map(str::to_owned), ..instance }
        };
        state.instances = vec![instance("vote-1", 7, None), instance("vote-2", 8, Some("killed"))];
        run_dir.write_state(&state).expect("room");
        let read = || fs::read_to_string(&targets);
        let found: serde_json::Value = serde_json::from_str(&read().expect("a file")).expect("JSON");
        let labels = serde_json::json!({"application": "x", "instance": "vote-1", "service": "vote"});
        assert_eq!(found, serde_json::json!([{"targets": ["127.0.0.1:7"], "labels": labels}]));
        fs::remove_dir_all(folder.path().join("target")).expect("cargo clean");
        assert!(!run_dir.is_written());
        run_dir.write_state(&state).expect("room");
        assert!(run_dir.is_written() && read().is_ok());
        run_dir.remove_state().expect("removed");
        assert!(read().is_err());
    }

    #[test]
    fn a_state_that_is_not_understood_is_said_so() {
        let (_folder, run_dir) = temporary();
        for text in ["", "{", "{}", "null"] {
            fs::write(run_dir.state_path(), text).expect("written");
            let error = run_dir.read_state().expect_err(text).to_string();
            assert!(error.contains("`cargo down` removes it"), "{error}");
        }
        let mut other = state();
        other.version = 0;
        run_dir.write_state(&other).expect("written");
        assert!(run_dir.read_state().is_err());
    }
}
