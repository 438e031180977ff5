//! The control group in which all pods are: one of our own in each hierarchy, of version 1 or 2.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::waiting::wait_until;

const MOUNTS: &str = "/proc/self/mounts";
const UNIFIED: &str = "/sys/fs/cgroup";
/// A file that only a hierarchy of version 2 has.
const CONTROLLERS: &str = "cgroup.controllers";
const SUBTREE: &str = "cgroup.subtree_control";
/// What a kubelet refuses to run without (validateSystemRequirements).
const NEEDED: [&str; 4] = ["cpu", "cpuacct", "cpuset", "memory"];
const NEEDED_UNIFIED: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];
/// How groups of this test are called; the id of the process that made one follows.
const NAME: &str = "voting-app-test-";
/// A group can be removed when its last process has gone.
const REMOVED_WITHIN: Duration = Duration::from_secs(15);

/// A group, which is removed when this value goes.
pub struct Cgroup {
    /// Its name, from the root of each hierarchy.
    pub name: String,
    folders: Vec<PathBuf>,
}

/// What is missing for one, if anything is.
pub fn lacking() -> Option<String> {
    let (has, needed) = match fs::read_to_string(Path::new(UNIFIED).join(CONTROLLERS)) {
        Ok(controllers) => (controllers.split_whitespace().map(ToOwned::to_owned).collect(), &NEEDED_UNIFIED),
        Err(_) => (controllers(&fs::read_to_string(MOUNTS).unwrap_or_default()), &NEEDED),
    };
    let missing: Vec<&str> =
        needed.iter().filter(|name| !has.iter().any(|has| has == *name)).copied().collect();
    if !missing.is_empty() {
        return Some(format!("the cgroup controllers {}", missing.join(" ")));
    }
    let tried = Cgroup::make("trial-");
    tried.err().map(|error| format!("control groups that can be made ({error:#})"))
}

/// The controllers of version 1 among mounts.
fn controllers(mounts: &str) -> Vec<String> {
    let options = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let of_v1 = options.filter(|fields| fields.get(2) == Some(&"cgroup"));
    of_v1
        .filter_map(|fields| fields.get(3).copied())
        .flat_map(|all| all.split(','))
        .map(ToOwned::to_owned)
        .collect()
}

/// Where hierarchies are mounted: those of version 1, and the one of version 2 beside them, where runc makes groups
/// too.
pub fn hierarchies(mounts: &str) -> Vec<PathBuf> {
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let of_cgroups =
        fields.filter(|fields| fields.get(2).is_some_and(|kind| matches!(*kind, "cgroup" | "cgroup2")));
    let mut places: Vec<PathBuf> = of_cgroups.filter_map(|fields| fields.get(1).map(PathBuf::from)).collect();
    places.sort();
    places.dedup();
    places
}

impl Cgroup {
    /// Makes one for this process, and removes those that killed processes have left.
    ///
    /// # Errors
    /// When a hierarchy cannot be written.
    pub fn make(purpose: &str) -> Result<Self> {
        let unified = Path::new(UNIFIED);
        let roots = if unified.join(CONTROLLERS).exists() {
            pass_on_controllers(unified);
            vec![unified.to_owned()]
        } else {
            hierarchies(&fs::read_to_string(MOUNTS).with_context(|| format!("{MOUNTS} cannot be read"))?)
        };
        ensure!(!roots.is_empty(), "no cgroup hierarchy is mounted at {UNIFIED}");
        let name = format!("{NAME}{purpose}{}", std::process::id());
        let mut group = Self { name, folders: Vec::new() };
        for root in roots {
            abandoned(&root).iter().for_each(|folder| drop(remove(folder)));
            let folder = root.join(&group.name);
            match fs::create_dir(&folder) {
                Ok(()) => group.folders.push(folder.clone()),
                // Two controllers at one place, by two names.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => {
                    return Err(error).with_context(|| format!("{} cannot be made", folder.display()));
                }
            }
            inherit_cpuset(&root, &folder);
            check_controllers(&folder)?;
        }
        Ok(group)
    }
}

/// Groups of this test in a folder, whose processes have ended.
pub fn abandoned(root: &Path) -> Vec<PathBuf> {
    let is_abandoned = |folder: &PathBuf| {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let id = name.strip_prefix(NAME).and_then(|rest| rest.rsplit('-').next()?.parse::<u32>().ok());
        id.is_some_and(|id| !Path::new("/proc").join(id.to_string()).exists())
    };
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(is_abandoned).collect()
}

/// In a new group of version 1 no processor is allowed until it is said which.
fn inherit_cpuset(root: &Path, folder: &Path) {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let value = fs::read_to_string(root.join(file)).unwrap_or_default();
        if folder.join(file).exists() && !value.trim().is_empty() {
            // A group that has them from above refuses, and needs nothing.
            let _ = fs::write(folder.join(file), value.trim());
        }
    }
}

/// In version 2, a group has the controllers that the one above it passes on.
fn pass_on_controllers(root: &Path) {
    for controller in fs::read_to_string(root.join(CONTROLLERS)).unwrap_or_default().split_whitespace() {
        // The kubelet says which it misses, if one cannot be passed on.
        let _ = fs::write(root.join(SUBTREE), format!("+{controller}"));
    }
}

/// Whether a group of version 2 has what a kubelet needs.
fn check_controllers(folder: &Path) -> Result<()> {
    let Ok(has) = fs::read_to_string(folder.join(CONTROLLERS)) else { return Ok(()) };
    // Beside hierarchies of version 1, it has none.
    let is_beside = folder.parent() != Some(Path::new(UNIFIED));
    let lacks = |name: &&&str| !has.split_whitespace().any(|has| has == **name);
    let missing: Vec<&str> = NEEDED_UNIFIED.iter().filter(lacks).copied().collect();
    ensure!(
        is_beside || missing.is_empty(),
        "{UNIFIED} does not pass on {}: move the processes in it into a group of their own",
        missing.join(" ")
    );
    Ok(())
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for folder in &self.folders {
            let removed = wait_until("the end of its processes", REMOVED_WITHIN, || Ok(remove(folder)?));
            if let Err(error) = removed {
                eprintln!("{} is left behind: {error:#}", folder.display());
            }
        }
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}
