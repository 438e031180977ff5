//! The socket at which a machine waits for a debugger, and whether one is connected.

use std::collections::HashSet;
use std::fs;

use image_build::vm::backlog;

/// Whoever debugs a machine: while it is held, it answers nobody.
#[derive(Clone, Debug)]
pub struct Debugger {
    socket: String,
    pid: i32,
}

impl Debugger {
    /// That of the instance that this process runs.
    pub fn of(instance: &str, pid: i32) -> Self {
        Self { socket: socket_name(instance), pid }
    }

    /// Whether one is connected.
    pub fn is_there(&self) -> bool {
        let sockets = fs::read_to_string("/proc/net/unix").unwrap_or_default();
        let connected = connected_inodes(&sockets, &self.socket);
        backlog::sockets_of(self.pid).iter().any(|inode| connected.contains(inode))
    }
}

/// The inodes of connected sockets of this name in the text of /proc/net/unix (proc(5)), in which state 03 is
/// connected.
fn connected_inodes(text: &str, name: &str) -> HashSet<u64> {
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [.., "03", inode, path] = fields.as_slice() else { return None };
        inode.parse().ok().filter(|_| *path == name)
    };
    text.lines().filter_map(inode).collect()
}

/// Name of the socket at which an instance's QEMU waits for a debugger, in the folder that it was started in.
pub fn socket_name(instance: &str) -> String {
    format!("{instance}.gdb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debugger_is_seen_where_it_is_connected() {
        let text = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 17 vote-1.gdb\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 18 vote-1.gdb\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 19 vote-2.gdb\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 20\n";
        assert_eq!(connected_inodes(text, "vote-1.gdb"), HashSet::from([18]));
    }
}
