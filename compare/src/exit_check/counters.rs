//! KVM's own counters of one virtual machine, in debugfs.
//!
//! Reference: Linux, virt/kvm/kvm_main.c (`kvm_create_vm_debugfs`).

use std::fs;
use std::io;
use std::ops::Sub;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Where KVM keeps a folder of counters for each machine, named by process and descriptor.
const FOLDER: &str = "/sys/kernel/debug/kvm";

/// The counters of one machine.
pub struct Counters {
    folder: PathBuf,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exits {
    /// Times that the processor has left the guest.
    all: u64,
    /// Those for interrupts of the host, whose number goes with the time that passes and not with what the guest does.
    for_host: u64,
}

impl Exits {
    /// Those that the guest has caused.
    pub fn of_guest(self) -> u64 {
        self.all.saturating_sub(self.for_host)
    }
}

impl Sub for Exits {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { all: self.all - other.all, for_host: self.for_host - other.for_host }
    }
}

impl Counters {
    /// Those of the machine that a process runs. They are named after the thread that has made it.
    ///
    /// # Errors
    /// When KVM runs none there, or its counters cannot be read.
    pub fn of_process(pid: i32) -> Result<Self> {
        let threads = threads(pid).with_context(|| format!("the threads of process {pid} are not known"))?;
        let folder = find(Path::new(FOLDER), &threads).context(
            "KVM's counters cannot be read: that needs root, and `mount -t debugfs debugfs /sys/kernel/debug`",
        )?;
        let folder = folder.with_context(|| format!("KVM runs no machine in process {pid}"))?;
        Ok(Self { folder })
    }

    /// What was counted since the machine was made.
    ///
    /// # Errors
    /// When the machine has ended.
    pub fn read(&self) -> Result<Exits> {
        Ok(Exits { all: self.counter("exits")?, for_host: self.counter("irq_exits")? })
    }

    fn counter(&self, name: &str) -> Result<u64> {
        let path = self.folder.join(name);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        text.trim().parse().with_context(|| format!("{} has no number but {text:?}", path.display()))
    }
}

fn threads(pid: i32) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn find(kvm: &Path, threads: &[String]) -> io::Result<Option<PathBuf>> {
    for entry in kvm.read_dir()? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.split_once('-').is_some_and(|(thread, _)| threads.iter().any(|own| own == thread)) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_found_by_a_thread_of_its_process_and_read() {
        let kvm = tempfile::tempdir().expect("a folder");
        for (name, exits) in [("12-9", "70"), ("123-9", "50\n")] {
            let folder = kvm.path().join(name);
            fs::create_dir(&folder).expect("a folder");
            fs::write(folder.join("exits"), exits).expect("a counter");
            fs::write(folder.join("irq_exits"), "20\n").expect("a counter");
        }
        let folder =
            find(kvm.path(), &["1", "123"].map(str::to_owned)).expect("a folder").expect("a machine");
        let counters = Counters { folder };
        assert_eq!(counters.read().expect("counters").of_guest(), 30);
        assert!(find(kvm.path(), &["1".to_owned()]).expect("a folder").is_none());
        fs::write(counters.folder.join("exits"), "many").expect("a counter");
        let error = counters.read().expect_err("no number").to_string();
        assert!(error.ends_with("/123-9/exits has no number but \"many\""), "{error}");
    }
}
