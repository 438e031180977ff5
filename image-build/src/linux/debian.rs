//! Debian's packages, downloaded and unpacked without installing them: a kernel with its modules, and busybox.
//!
//! apt checks each download against Debian's signatures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::tool::process::{is_installed, output};

/// The package with the shell.
const BUSYBOX: &str = "busybox-static";
/// What gets packages, all of it Debian's.
const TOOLS: [&str; 3] = ["apt-get", "apt-cache", "dpkg-deb"];
/// Where packages are unpacked.
const ROOT: &str = "root";
/// Written last, so that a set of files that was interrupted is fetched again.
const COMPLETE: &str = "complete";

/// One of Debian's kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// For clouds: small, with virtio's drivers.
    Cloud,
    /// For any machine: also with AMD's secure processor, which KVM wants, and the file system 9P.
    General,
}

impl Kernel {
    /// The package that depends on the newest kernel of this kind.
    fn package(self) -> &'static str {
        match self {
            Self::Cloud => "linux-image-cloud-amd64",
            Self::General => "linux-image-amd64",
        }
    }

    fn size(self) -> &'static str {
        match self {
            Self::Cloud => "28 MB",
            Self::General => "70 MB",
        }
    }
}

/// Unpacked packages: a kernel and busybox.
#[derive(Clone, Debug)]
pub struct Packages {
    root: PathBuf,
}

impl Packages {
    /// Those in this folder; fetched, unless they are there already.
    ///
    /// # Errors
    /// When this system is not a Debian, or the packages cannot be had.
    pub fn fetch(folder: &Path, kernel: Kernel) -> Result<Self> {
        let packages = Self::open(folder);
        if folder.join(COMPLETE).is_file() {
            return Ok(packages);
        }
        let lacking: Vec<&str> = TOOLS.into_iter().filter(|tool| !is_installed(tool)).collect();
        ensure!(
            lacking.is_empty(),
            "its kernel is a package of Debian, and this system has no {}",
            lacking.join(", ")
        );
        note!("fetching Debian's {} and {BUSYBOX} (once, {})", kernel.package(), kernel.size());
        let newest = newest(kernel)?;
        fs::create_dir_all(&packages.root)
            .with_context(|| format!("cannot create {}", packages.root.display()))?;
        for package in [newest.as_str(), BUSYBOX] {
            unpack(folder, package, &packages.root).with_context(|| format!("cannot get {package}"))?;
        }
        fs::write(folder.join(COMPLETE), newest).context("cannot write")?;
        Ok(packages)
    }

    /// Those that were fetched into this folder.
    pub fn open(folder: &Path) -> Self {
        Self { root: folder.join(ROOT) }
    }

    /// The compressed kernel.
    ///
    /// # Errors
    /// When there is none.
    pub fn kernel(&self) -> Result<PathBuf> {
        let boot = self.root.join("boot");
        let is_kernel = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
        };
        let mut paths = fs::read_dir(&boot).into_iter().flatten().flatten().map(|entry| entry.path());
        paths.find(is_kernel).with_context(|| format!("no kernel in {}", boot.display()))
    }

    /// A kernel module, by its path without an ending, such as `drivers/virtio/virtio`.
    ///
    /// # Errors
    /// When this kernel has no such module.
    pub fn module(&self, name: &str) -> Result<PathBuf> {
        let modules = self.either(["lib/modules", "usr/lib/modules"]).context("the kernel has no modules")?;
        let path = only_entry(&modules)?.join("kernel").join(format!("{name}.ko"));
        ensure!(path.is_file(), "Debian's kernel has no module {name}.ko");
        Ok(path)
    }

    /// The shell with its commands.
    ///
    /// # Errors
    /// When it is not there.
    pub fn busybox(&self) -> Result<PathBuf> {
        self.either(["bin/busybox", "usr/bin/busybox"]).with_context(|| format!("{BUSYBOX} has no busybox"))
    }

    fn either(&self, places: [&str; 2]) -> Option<PathBuf> {
        places.map(|place| self.root.join(place)).into_iter().find(|path| path.exists())
    }
}

/// Name of the package with the newest kernel.
fn newest(kernel: Kernel) -> Result<String> {
    if let Some(newest) = known(kernel) {
        return Ok(newest);
    }
    // A fresh system has no lists yet.
    output(Command::new("apt-get").args(["update", "-qq"]), "updating package lists")?;
    known(kernel).with_context(|| format!("apt knows no {}", kernel.package()))
}

/// The same, if apt's lists have it.
fn known(kernel: Kernel) -> Option<String> {
    let mut cache = Command::new("apt-cache");
    let text = output(cache.args(["depends", kernel.package()]), "asking apt").ok()?;
    let depends = |line: &str| line.trim().strip_prefix("Depends: ").map(str::to_owned);
    text.lines().filter_map(depends).find(|name| name.starts_with("linux-image-"))
}

fn unpack(folder: &Path, package: &str, root: &Path) -> Result<()> {
    let downloads = folder.join("packages").join(package);
    fs::create_dir_all(&downloads).with_context(|| format!("cannot create {}", downloads.display()))?;
    let mut get = Command::new("apt-get");
    get.current_dir(&downloads).args(["download", "-qq", package]);
    output(&mut get, "downloading it")?;
    let mut deb = Command::new("dpkg-deb");
    deb.arg("--extract").arg(only_entry(&downloads)?).arg(root);
    output(&mut deb, "unpacking it").map(drop)
}

/// The only entry of a folder, such as that of a kernel's modules, which is named by its version.
fn only_entry(folder: &Path) -> Result<PathBuf> {
    let unreadable = || format!("cannot list {}", folder.display());
    let mut entries = fs::read_dir(folder).with_context(unreadable)?;
    let entry = entries.next().with_context(|| format!("{} is empty", folder.display()))?;
    Ok(entry.with_context(unreadable)?.path())
}
