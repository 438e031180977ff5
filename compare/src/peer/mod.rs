//! Peers: other kernels that run the services' static programs or have them inside, each as a file describes it.
//!
//! Knows what is started, with which command line. Starts nothing; `substrate` does.

mod description;
mod read;
mod template;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use image_build::vm::machine::{Firmware, Machine};
use serde::{Deserialize, Serialize};

use template::fill;

/// Placeholders of a command line.
const IP: &str = "ip";
const GATEWAY: &str = "gateway";
const ENV: &str = "env";
const PROGRAM: &str = "program";
const TSC_KHZ: &str = "tsc_khz";

/// A kernel and how the services run on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The description.
    pub file: PathBuf,
    /// Short identifier, as `--only` takes it.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Which version of it the description is for.
    pub version: String,
    pub kernel: Kernel,
    /// How it gets the service's program.
    pub program: Handover,
    command_line: String,
    /// How one setting is written in the command line.
    env: String,
    pub machine: Machine,
    pub firmware: Firmware,
    /// QEMU's name of its network card, with options; the machine's usual one without.
    pub card: Option<String>,
    /// Memory of a machine that nothing else is said of.
    pub memory_mib: u32,
}

/// Where a kernel comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernel {
    /// A file, by its path from the description's folder, which may name `{program}`.
    File(String),
    /// Debian's package for clouds.
    Package,
}

/// How a kernel gets a service's program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Handover {
    /// The program takes the place of an initial file system.
    Bare,
    /// In an initial file system.
    Archive(Archive),
    /// On a raw disk, by its path from the description's folder, which may name `{program}`.
    Disk(String),
    /// It is in the kernel.
    Inside,
}

/// What an initial file system has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Where the program lies, without a slash at the beginning; may name `{program}`.
    program: String,
    /// The text of `/init`, for which there is busybox, and Debian's modules in `/modules`.
    init: Option<String>,
    /// These modules, by their paths in the kernel's tree, without an ending.
    pub modules: Vec<String>,
}

/// A guest's network, whose netmask is 255.255.255.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub ip: Ipv4Addr,
    pub gateway: Ipv4Addr,
}

impl Peer {
    /// Its kernel, if that is a file.
    ///
    /// # Errors
    /// When the path cannot be filled in.
    pub fn kernel_file(&self, program: &str) -> Result<Option<PathBuf>> {
        match &self.kernel {
            Kernel::File(path) => self.path(path, program).map(Some),
            Kernel::Package => Ok(None),
        }
    }

    /// The disk with a program, if it is handed over so.
    ///
    /// # Errors
    /// When the path cannot be filled in.
    pub fn disk(&self, program: &str) -> Result<Option<PathBuf>> {
        match &self.program {
            Handover::Disk(path) => self.path(path, program).map(Some),
            _ => Ok(None),
        }
    }

    /// Fails when a file is missing that it needs for these programs.
    ///
    /// # Errors
    /// With the description, the key, and the path.
    pub fn check_files(&self, programs: &[&str]) -> Result<()> {
        for program in programs {
            let files = [
                ("kernel", self.kernel_file(program)?, "build it, or correct the path"),
                ("disk", self.disk(program)?, "make it, or correct the path"),
            ];
            for (key, path, mend) in files {
                let Some(path) = path else { continue };
                ensure!(
                    path.is_file(),
                    "{}: {key} = {:?}: there is no such file, which {program} needs: {mend} \
                     (paths begin at the description's folder)",
                    self.file.display(),
                    path.display().to_string()
                );
            }
        }
        Ok(())
    }

    /// The command line of a machine that runs `program` with these settings.
    ///
    /// # Errors
    /// When a setting cannot be a word of it.
    pub fn command_line(
        &self,
        program: &str,
        network: Network,
        tsc_khz: Option<u32>,
        settings: &[(String, String)],
    ) -> Result<String> {
        // What nobody knows cannot be told.
        let unknown = tsc_khz.is_none().then(|| format!("{{{TSC_KHZ}}}"));
        let is_known = |word: &&str| unknown.as_ref().is_none_or(|unknown| !word.contains(unknown.as_str()));
        let words: Vec<&str> = self.command_line.split_whitespace().filter(is_known).collect();
        let (ip, gateway) = (network.ip.to_string(), network.gateway.to_string());
        let env = self.settings(settings)?;
        let tsc_khz = tsc_khz.unwrap_or_default().to_string();
        let values =
            [(IP, ip.as_str()), (GATEWAY, &gateway), (ENV, &env), (PROGRAM, program), (TSC_KHZ, &tsc_khz)];
        fill(&words.join(" "), &values)
    }

    /// The settings as words.
    fn settings(&self, settings: &[(String, String)]) -> Result<String> {
        let word = |(name, value): &(String, String)| {
            ensure!(
                !value.contains([' ', '"', '\'', '\\', '\n']),
                "{name}={value:?} cannot be passed to {}: a setting there has no spaces, quotes or backslashes",
                self.title
            );
            fill(&self.env, &[("name", name), ("value", value)])
        };
        let words: Vec<String> = settings.iter().map(word).collect::<Result<_>>()?;
        Ok(words.join(" "))
    }

    /// The folder that paths begin at.
    fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    fn path(&self, path: &str, program: &str) -> Result<PathBuf> {
        Ok(self.folder().join(fill(path, &[(PROGRAM, program)])?))
    }
}

impl Archive {
    /// Where a program lies in it.
    ///
    /// # Errors
    /// When the path cannot be filled in.
    pub fn place(&self, program: &str) -> Result<String> {
        fill(&self.program, &[(PROGRAM, program)])
    }

    /// The text of `/init`, with the lines that load its modules.
    ///
    /// # Errors
    /// When it cannot be filled in.
    pub fn init(&self, network: Network, modules: &str) -> Result<Option<String>> {
        let (ip, gateway) = (network.ip.to_string(), network.gateway.to_string());
        let values = [(IP, ip.as_str()), (GATEWAY, &gateway), ("modules", modules)];
        self.init.as_deref().map(|text| fill(text, &values)).transpose()
    }
}

#[cfg(test)]
mod tests;
