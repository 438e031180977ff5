//! Debian's cloud kernel and its static busybox, fetched and unpacked without installing them.
//!
//! Needs `apt-get` and `dpkg-deb`; other systems have no such kernel, and the report says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use image_build::note;
use image_build::tool::process;

use super::only_entry;

/// The package that depends on the newest cloud kernel.
const KERNEL: &str = "linux-image-cloud-amd64";
/// The package with the shell.
const BUSYBOX: &str = "busybox-static";
/// Written last, so that a set of files that was interrupted is fetched again.
const COMPLETE: &str = "complete";

/// Unpacked packages.
pub struct Packages {
    root: PathBuf,
}

impl Packages {
    /// The shell with its commands.
    ///
    /// # Errors
    /// When the package has none.
    pub fn busybox(&self) -> Result<PathBuf> {
        let places = ["bin/busybox", "usr/bin/busybox"].map(|place| self.root.join(place));
        places.into_iter().find(|path| path.is_file()).context("Debian's busybox-static has no busybox")
    }

    /// A kernel module, by its path without an ending.
    ///
    /// # Errors
    /// When this kernel has no such module.
    pub fn module(&self, name: &str) -> Result<PathBuf> {
        let modules = ["lib/modules", "usr/lib/modules"].map(|place| self.root.join(place));
        let modules = modules.into_iter().find(|path| path.is_dir()).context("the kernel has no modules")?;
        let path = only_entry(&modules)?.join("kernel").join(format!("{name}.ko"));
        ensure!(path.is_file(), "Debian's cloud kernel has no module {name}.ko");
        Ok(path)
    }
}

/// Fetches what is not in `directory` yet.
///
/// # Errors
/// When this system has no Debian packages, or they cannot be fetched.
pub fn ensure(directory: &Path) -> Result<Packages> {
    let root = directory.join("root");
    if directory.join(COMPLETE).is_file() {
        return Ok(Packages { root });
    }
    for tool in ["apt-get", "apt-cache", "dpkg-deb"] {
        ensure!(
            process::is_installed(tool),
            "its kernel is a package of Debian, and there is no {tool} here"
        );
    }
    note!("fetching Debian's cloud kernel and busybox (once, 28 MB)");
    let kernel = match newest_kernel()? {
        Some(kernel) => kernel,
        None => {
            // A fresh system has no lists yet.
            process::output(Command::new("apt-get").args(["update", "-qq"]), "updating package lists")?;
            newest_kernel()?.with_context(|| format!("apt knows no {KERNEL}"))?
        }
    };
    fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
    for package in [kernel.as_str(), BUSYBOX] {
        unpack(directory, package, &root).with_context(|| format!("cannot get {package}"))?;
    }
    fs::write(directory.join(COMPLETE), kernel).context("cannot write")?;
    Ok(Packages { root })
}

/// The compressed kernel below `directory`.
///
/// # Errors
/// When it has not been fetched.
pub fn kernel(directory: &Path) -> Result<PathBuf> {
    let boot = directory.join("root/boot");
    let entries = fs::read_dir(&boot).with_context(|| format!("no kernel in {}", boot.display()))?;
    let is_kernel =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"));
    let mut paths = entries.flatten().map(|entry| entry.path());
    paths.find(is_kernel).with_context(|| format!("no kernel in {}", boot.display()))
}

/// Name of the package that [`KERNEL`] stands for, if apt's lists know it.
fn newest_kernel() -> Result<Option<String>> {
    let mut cache = Command::new("apt-cache");
    let Ok(text) = process::output(cache.args(["depends", KERNEL]), "asking apt") else { return Ok(None) };
    let depends = |line: &str| line.trim().strip_prefix("Depends: ").map(str::to_owned);
    Ok(text.lines().filter_map(depends).find(|name| name.starts_with("linux-image-")))
}

fn unpack(directory: &Path, package: &str, root: &Path) -> Result<()> {
    let downloads = directory.join("packages").join(package);
    fs::create_dir_all(&downloads).with_context(|| format!("cannot create {}", downloads.display()))?;
    let mut get = Command::new("apt-get");
    get.current_dir(&downloads).args(["download", "-qq", package]);
    process::output(&mut get, "downloading it")?;
    let mut deb = Command::new("dpkg-deb");
    deb.arg("--extract").arg(only_entry(&downloads)?).arg(root);
    process::output(&mut deb, "unpacking it").map(drop)
}
