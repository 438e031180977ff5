//! Settings of the whole kernel that a kubelet changes for itself: they are put back in the end.

use std::fs;

/// As kubelet's container manager sets them (setupKernelTunables).
const PATHS: [&str; 6] = [
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/panic_on_oom",
    "/proc/sys/kernel/panic",
    "/proc/sys/kernel/panic_on_oops",
    "/proc/sys/kernel/keys/root_maxkeys",
    "/proc/sys/kernel/keys/root_maxbytes",
];

/// How they were. They become so again when this value goes.
pub struct Saved(Vec<(&'static str, String)>);

impl Saved {
    /// Reads those that are there.
    pub fn read() -> Self {
        Self(PATHS.into_iter().filter_map(|path| Some((path, fs::read_to_string(path).ok()?))).collect())
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        for (path, value) in &self.0 {
            if fs::read_to_string(path).is_ok_and(|now| now != *value)
                && let Err(error) = fs::write(path, value)
            {
                eprintln!("{path} is not as it was, {:?}: {error}", value.trim());
            }
        }
    }
}
