//! A Python environment of the original's own, with what its requirements name.
//!
//! Leaves the system's Python as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use image_build::tool::packages;
use image_build::tool::packages::table::PYTHON_VENV;
use image_build::tool::process;

/// File in the environment with the requirements that it was made for, written last.
const STAMP: &str = "requirements.txt";

/// An environment that has been installed.
pub struct Environment {
    root: PathBuf,
}

impl Environment {
    /// Makes an environment in `artifacts` for a requirements file, unless there is one already.
    ///
    /// # Errors
    /// When Python is missing, or the requirements cannot be installed.
    pub fn install(artifacts: &Path, requirements: &Path) -> Result<()> {
        let this = Self::in_directory(artifacts);
        let wanted = fs::read_to_string(requirements)
            .with_context(|| format!("cannot read {}", requirements.display()))?;
        if this.is_made_for(&wanted) {
            return Ok(());
        }
        packages::ensure(&PYTHON_VENV)?;
        if this.root.exists() {
            fs::remove_dir_all(&this.root)
                .with_context(|| format!("cannot remove {}", this.root.display()))?;
        }
        let root = this.root.to_str().context("a path is not UTF-8")?;
        run(Path::new(PYTHON_VENV.program), &["-m", "venv", root], "making a Python environment")?;
        let file = requirements.to_str().context("a path is not UTF-8")?;
        let install = ["-m", "pip", "install", "--quiet", "--no-cache-dir", "-r", file];
        run(&this.program("python"), &install, "installing what the original's vote service requires")?;
        fs::write(this.root.join(STAMP), wanted).context("cannot write to the Python environment")
    }

    /// The environment in `artifacts`.
    pub fn open(artifacts: &Path) -> Result<Self> {
        let this = Self::in_directory(artifacts);
        ensure!(this.root.join(STAMP).is_file(), "{} has not been made", this.root.display());
        Ok(this)
    }

    fn in_directory(artifacts: &Path) -> Self {
        Self { root: artifacts.join("python") }
    }

    /// Whether it has these requirements, and the Python that it was made with is still there.
    fn is_made_for(&self, requirements: &str) -> bool {
        fs::read_to_string(self.root.join(STAMP)).is_ok_and(|stamp| stamp == requirements)
            && self.versions().is_ok()
    }

    fn program(&self, name: &str) -> PathBuf {
        self.root.join("bin").join(name)
    }

    /// The server of the vote service.
    pub fn gunicorn(&self) -> PathBuf {
        self.program("gunicorn")
    }

    /// Its parts with their versions.
    ///
    /// # Errors
    /// When they do not say.
    pub fn versions(&self) -> Result<String> {
        const QUESTION: &str = "import platform; from importlib.metadata import version; \
            print(f\"gunicorn {version('gunicorn')}, Flask {version('flask')}, \
            Python {platform.python_version()}\")";
        let answer = run(&self.program("python"), &["-c", QUESTION], "asking for versions")?;
        run(&self.gunicorn(), &["--version"], "asking gunicorn")?;
        Ok(answer.trim().to_owned())
    }

    /// What a start of the application in a directory reads, as far as Python says: its executable and
    /// the modules that are loaded.
    pub fn files(&self, application: &Path) -> Vec<PathBuf> {
        const QUESTION: &str = "import sys; sys.path.insert(0, sys.argv[1])\n\
            import app, gunicorn.app.wsgiapp, gunicorn.workers.sync\n\
            for module in list(sys.modules.values()):\n \
            for path in (getattr(module, '__file__', None), getattr(module, '__cached__', None)):\n  \
            path and print(path)";
        let application = application.to_string_lossy();
        let python = self.program("python");
        let modules = run(&python, &["-c", QUESTION, &application], "asking for modules").unwrap_or_default();
        let executables = [self.gunicorn()].into_iter().chain(fs::canonicalize(python));
        executables.chain(modules.lines().map(PathBuf::from)).filter(|path| path.is_file()).collect()
    }
}

/// Runs a program of Python's without the user's own settings of it.
fn run(program: &Path, arguments: &[&str], purpose: &str) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).env_remove("PYTHONPATH").env_remove("PYTHONHOME");
    process::output(&mut command, purpose)
}
