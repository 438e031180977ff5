//! A peer's description as it is written, and what can be wrong with it.

use std::net::Ipv4Addr;
use std::path::{Component, Path};

use anyhow::{Context as _, Error, Result, anyhow, bail, ensure};
use image_build::vm::machine::{Firmware, MEMORY_MIB_MIN, Machine};
use serde::Deserialize;

use super::template::fill;
use super::{Archive, Handover, Kernel, Network, PROGRAM, Peer};

/// Longest name.
const NAME_BYTES_MAX: usize = 32;
/// Longest command line: as much as Linux takes.
const COMMAND_LINE_BYTES_MAX: usize = 2048;
/// Most memory to begin with: a store's machine has its data's besides.
const MEMORY_MIB_MAX: u32 = 1024;
/// The only package with a kernel.
const PACKAGE: &str = "linux-image-cloud-amd64";
/// What is filled in to see whether it can be.
const SAMPLE: Network = Network { ip: Ipv4Addr::LOCALHOST, gateway: Ipv4Addr::LOCALHOST };

/// A description as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    name: String,
    title: String,
    version: String,
    kernel: Option<String>,
    kernel_package: Option<String>,
    program: Way,
    initrd: Option<Initrd>,
    disk: Option<String>,
    command_line: String,
    env: Option<String>,
    machine: Machine,
    firmware: Option<Firmware>,
    card: Option<String>,
    memory_mib: u32,
}

/// How a program is handed over.
#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    Initrd,
    Disk,
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Initrd {
    program: String,
    init: Option<String>,
    #[serde(default)]
    modules: Vec<String>,
}

/// A fault of a key's value.
fn fault(key: &str, value: &str, mend: &str) -> Error {
    anyhow!("{key} = {value:?}: {mend}")
}

impl Description {
    /// The peer that it describes.
    ///
    /// # Errors
    /// For the first thing that is wrong, without the file's name.
    pub fn check(self, file: &Path) -> Result<Peer> {
        check_name(&self.name)?;
        self.check_memory()?;
        self.check_line()?;
        let card = self.card.as_deref().map(check_card).transpose()?;
        let q35_only = "only q35 has a choice of it: leave it out";
        ensure!(self.firmware.is_none() || self.machine == Machine::Q35, "firmware: {q35_only}");
        let (kernel, program) = (self.kernel()?, self.handover()?);
        let env = self.env.unwrap_or_else(|| "{name}={value}".to_owned());
        let peer = Peer {
            file: file.to_owned(),
            kernel,
            program,
            name: self.name,
            title: self.title,
            version: self.version,
            command_line: self.command_line,
            env,
            machine: self.machine,
            firmware: self.firmware.unwrap_or(Firmware::Usual),
            card: card.map(str::to_owned),
            memory_mib: self.memory_mib,
        };
        peer.check_templates()?;
        Ok(peer)
    }

    fn check_memory(&self) -> Result<()> {
        let range = MEMORY_MIB_MIN..=MEMORY_MIB_MAX;
        let mib = self.memory_mib;
        ensure!(
            range.contains(&mib),
            "memory_mib = {mib}: give {MEMORY_MIB_MIN} to {MEMORY_MIB_MAX}, with which it surely starts"
        );
        Ok(())
    }

    fn check_line(&self) -> Result<()> {
        let bytes = self.command_line.len();
        ensure!(
            bytes <= COMMAND_LINE_BYTES_MAX,
            "command_line: it has {bytes} bytes: keep it under {COMMAND_LINE_BYTES_MAX}"
        );
        let is_used = self.command_line.contains("{env}");
        match &self.env {
            Some(env) if !is_used => Err(fault("env", env, "nothing uses it: put {env} into command_line")),
            _ => Ok(()),
        }
    }

    fn kernel(&self) -> Result<Kernel> {
        match (&self.kernel, &self.kernel_package) {
            (Some(path), None) => Ok(Kernel::File(path.clone())),
            (None, Some(package)) if package == PACKAGE => Ok(Kernel::Package),
            (None, Some(package)) => {
                let mend = format!("give {PACKAGE}, or the path of a file as `kernel`");
                Err(fault("kernel_package", package, &mend))
            }
            (Some(path), Some(_)) => {
                Err(fault("kernel", path, "kernel_package is there as well: give one of the two"))
            }
            (None, None) => bail!("kernel: it is missing: give the path of the kernel that QEMU starts"),
        }
    }

    fn handover(&self) -> Result<Handover> {
        let way = self.program;
        ensure!(
            self.initrd.is_none() || way == Way::Initrd,
            "initrd: nothing uses it: give program = \"initrd\", or leave it out"
        );
        ensure!(
            self.disk.is_none() || way == Way::Disk,
            "disk: nothing uses it: give program = \"disk\", or leave it out"
        );
        match way {
            Way::Initrd => self.initrd.as_ref().map_or(Ok(Handover::Bare), |initrd| self.archive(initrd)),
            Way::Disk => {
                let disk = self.disk.as_deref();
                let disk =
                    disk.context("disk: it is missing: give the path of a raw image, such as {program}.raw")?;
                self.check_told_apart("disk", disk)?;
                Ok(Handover::Disk(disk.to_owned()))
            }
            Way::None => {
                let kernel = self.kernel.as_deref();
                let kernel =
                    kernel.context("kernel: it is missing: with program = \"none\" it holds the service")?;
                self.check_told_apart("kernel", kernel)?;
                Ok(Handover::Inside)
            }
        }
    }

    /// Four services run on it, so something must say which one.
    fn check_told_apart(&self, key: &str, path: &str) -> Result<()> {
        let has_program = |text: &str| text.contains("{program}");
        if has_program(path) || has_program(&self.command_line) {
            return Ok(());
        }
        let mend = "all services would be the same: name {program} there, or in command_line";
        Err(fault(key, path, mend))
    }

    fn archive(&self, initrd: &Initrd) -> Result<Handover> {
        let Initrd { program, init, modules } = initrd;
        let is_inside = Path::new(program).components().all(|part| matches!(part, Component::Normal(_)));
        if program.is_empty() || !is_inside {
            return Err(fault("initrd.program", program, "give a path such as bin/{program}, without .."));
        }
        let is_script = init.is_some() || !modules.is_empty();
        ensure!(
            !is_script || self.kernel_package.is_some(),
            "initrd.init, initrd.modules: busybox and modules are there with kernel_package only: leave them out"
        );
        if let Some(module) = modules.iter().find(|module| module.contains("..")) {
            return Err(fault("initrd.modules", module, "give a path such as drivers/virtio/virtio"));
        }
        let (program, init, modules) = (program.clone(), init.clone(), modules.clone());
        Ok(Handover::Archive(Archive { program, init, modules }))
    }
}

impl Peer {
    /// Fills everything in once, so that nothing can fail later but a setting.
    fn check_templates(&self) -> Result<()> {
        let sample = [("A".to_owned(), "b".to_owned())];
        self.kernel_file(PROGRAM).context("kernel")?;
        self.disk(PROGRAM).context("disk")?;
        if let Handover::Archive(archive) = &self.program {
            archive.place(PROGRAM).context("initrd.program")?;
            archive.init(SAMPLE, "").context("initrd.init")?;
        }
        fill(&self.env, &[("name", ""), ("value", "")]).context("env")?;
        if !self.env.contains("{name}") || !self.env.contains("{value}") {
            return Err(fault("env", &self.env, "give both {name} and {value}, such as {name}={value}"));
        }
        self.command_line(PROGRAM, SAMPLE, Some(0), &sample).context("command_line").map(drop)
    }
}

fn check_name(name: &str) -> Result<()> {
    let is_short = name.len() <= NAME_BYTES_MAX && name.starts_with(|first: char| first.is_ascii_lowercase());
    let is_plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if is_short && is_plain {
        return Ok(());
    }
    let mend = format!("give at most {NAME_BYTES_MAX} of a-z, 0-9 and -, a letter first");
    Err(fault("name", name, &mend))
}

/// A model of QEMU's with options, none of which says what the card is connected to.
fn check_card(card: &str) -> Result<&str> {
    let is_word = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let is_option = |text: &str| {
        let parts = text.split_once('=');
        parts.is_some_and(|(key, value)| {
            is_word(key) && key != "netdev" && (value.is_empty() || is_word(value))
        })
    };
    let mut parts = card.split(',');
    if parts.next().is_some_and(is_word) && parts.all(is_option) {
        return Ok(card);
    }
    Err(fault("card", card, "give a model with options, such as virtio-net-pci,event_idx=off, and no netdev"))
}
