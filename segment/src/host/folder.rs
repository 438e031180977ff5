//! The folder of a segment's sockets, and the name of each socket.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folder of a segment's sockets, inside that of its application. Only its owner may look into it.
const MODE: u32 = 0o700;

/// A folder whose sockets are named by short paths, however long its own is: a socket's address has room
/// for 108 bytes (unix(7)).
#[derive(Debug)]
pub struct Folder(File);

impl Folder {
    /// Opens it.
    ///
    /// # Errors
    /// When it is not there.
    pub fn open(path: &Path) -> Result<Self> {
        let mut options = File::options();
        options.read(true).custom_flags(rustix::fs::OFlags::DIRECTORY.bits().cast_signed());
        Ok(Self(options.open(path).with_context(|| format!("cannot open {}", path.display()))?))
    }

    /// The path of one of its sockets, good for this process.
    pub fn socket(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()))
    }
}

/// Name of the socket through which a machine is plugged in.
pub fn link_name(station: &str) -> String {
    format!("{station}.link")
}

/// Name of the socket that stands for a port of a station.
pub fn port_name(station: &str, port: u16) -> String {
    format!("{station}-{port}.sock")
}

/// Connects to one of the sockets of a folder.
///
/// # Errors
/// When nobody listens there.
pub fn connect(path: &Path) -> std::io::Result<std::os::unix::net::UnixStream> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folder =
        Folder::open(folder).map_err(|error| std::io::Error::new(std::io::ErrorKind::NotFound, error))?;
    std::os::unix::net::UnixStream::connect(folder.socket(name))
}

/// Makes the folder of a network's sockets anew.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    // What an earlier run left behind: sockets that nobody listens at.
    let _ = std::fs::remove_dir_all(path);
    std::fs::DirBuilder::new()
        .mode(MODE)
        .create(path)
        .with_context(|| format!("cannot make the folder {}", path.display()))
}
