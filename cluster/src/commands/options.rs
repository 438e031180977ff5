//! Command-line options of the commands for a running application.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::plan::Choices;
use crate::plan::{Net, NetworkPlan};
use image_build::vm::accelerator::Choice;
use image_build::vm::machine::Machine;
use image_build::vm::refusal;
use image_build::vm::select::Wanted;
use image_build::vm::vmm::{Feature, Vmm};

/// `up`: boots the whole application.
#[derive(Args, Clone, Debug, Default)]
pub struct UpOptions {
    /// Return to the shell once everything is healthy
    #[arg(short, long)]
    pub detach: bool,
    /// The program that makes the virtual machines [default: `vmm` in the description, or qemu]
    #[arg(long, value_enum)]
    pub vmm: Option<Vmm>,
    /// Where that program is [default: in PATH]
    #[arg(long, value_name = "PATH")]
    pub vmm_program: Option<PathBuf>,
    /// What executes the guests' instructions
    #[arg(long, value_enum, default_value_t)]
    pub accel: Choice,
    /// The virtual hardware of QEMU [default: q35]
    #[arg(long, value_enum)]
    pub machine: Option<Machine>,
    /// How the machines are connected [default: user with QEMU, tap with others]
    #[arg(long, value_enum)]
    pub net: Option<Net>,
    /// Run this many instances of a service, behind its one published address; 0 leaves it out
    #[arg(long, value_name = "SERVICE=NUMBER", value_parser = service_and_number)]
    pub scale: Vec<(String, u16)>,
    /// Publish a service at another port of the host; also one that the description publishes at none
    #[arg(long, value_name = "SERVICE=PORT", value_parser = service_and_port)]
    pub publish: Vec<(String, u16)>,
    /// Use this Redis instead of the service that REDIS_URL names, such as redis://127.0.0.1:6379
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// Give services this PostgreSQL as RESULTS_URL, such as postgres://user:password@127.0.0.1/votes
    #[arg(long, value_name = "URL")]
    pub results: Option<String>,
    /// Keep the volumes of the description in this folder [default: in memory only]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Capture all frames to this file, for Wireshark (only with --net switch)
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// The description of the application [default: voting-app.toml of this workspace]
    #[arg(long, value_name = "TOML")]
    pub file: Option<PathBuf>,
}

/// `doctor`: what this machine has.
#[derive(Args, Clone, Debug, Default)]
pub struct DoctorOptions {
    /// The description whose published ports are tried [default: voting-app.toml of this workspace]
    #[arg(long, value_name = "TOML")]
    pub file: Option<PathBuf>,
}

/// `ps`: what runs.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct PsOptions {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Refresh it every second, until q or Ctrl-C
    #[arg(short, long, conflicts_with = "json")]
    pub watch: bool,
}

/// `fault`: what goes wrong on the network.
#[derive(Args, Clone, Debug, Default)]
pub struct FaultOptions {
    /// The two ends: services, instances, or `host`
    #[arg(long, value_name = "ONE,OTHER", value_parser = pair, required_unless_present_any = ["list", "clear"])]
    pub between: Option<(String, String)>,
    /// Drop this percentage of the frames
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub drop: Option<f64>,
    /// Delay every frame by this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub delay: Option<Duration>,
    /// Delay each frame by a random time, at most this one; frames can overtake each other
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub jitter: Option<Duration>,
    /// Drop all frames
    #[arg(long)]
    pub partition: bool,
    /// Only in the direction from ONE to OTHER
    #[arg(long)]
    pub one_way: bool,
    /// End the fault after this time [default: with --clear]
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub time: Option<Duration>,
    /// Seed of the random choices: the same seed affects the same frames [default: random]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// List the active faults
    #[arg(long, conflicts_with_all = ["clear", "between"])]
    pub list: bool,
    /// End all faults
    #[arg(long, conflicts_with = "between")]
    pub clear: bool,
}

/// `logs`: the services' logs.
#[derive(Args, Clone, Debug, Default)]
pub struct LogsOptions {
    /// A service (vote) or one of its instances (vote-1) [default: all]
    pub service: Option<String>,
    /// Follow the logs while the application runs
    #[arg(short, long)]
    pub follow: bool,
    /// Start with this many of each instance's last lines [default: all]
    #[arg(short = 'n', long, value_name = "LINES")]
    pub tail: Option<usize>,
    /// Print a JSON object for each line: time, instance, service, level, message
    #[arg(long)]
    pub json: bool,
}

/// `attach`: a debugger for a machine that runs.
#[derive(Args, Clone, Debug, Default)]
pub struct AttachOptions {
    /// A service with one instance (vote), or one instance (vote-2)
    pub service: String,
    /// Start gdb; without it, print what any debugger needs to know
    #[arg(long)]
    pub gdb: bool,
    /// Additional arguments for gdb, such as -ex 'break file.rs:12'
    #[arg(last = true, requires = "gdb", value_name = "ARGUMENTS")]
    pub arguments: Vec<OsString>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split(',').collect::<Vec<_>>()[..] {
        [one, other] if !one.is_empty() && !other.is_empty() => Ok((one.to_owned(), other.to_owned())),
        _ => Err("give two names with a comma between, such as worker,store".to_owned()),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse();
    number.map_err(|_| "give a number from 0 to 100, such as 5".to_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    let ms =
        units.iter().find_map(|(unit, ms)| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(*ms));
    ms.map(Duration::from_millis)
        .ok_or_else(|| "give a time with its unit, such as 50ms, 10s or 2m".to_owned())
}

fn service_and_number(text: &str) -> Result<(String, u16), String> {
    let (name, number) = text.split_once('=').unwrap_or_default();
    match number.parse() {
        Ok(number) if !name.is_empty() => Ok((name.to_owned(), number)),
        _ => Err("give a service and a number up to 65535, such as vote=2".to_owned()),
    }
}

fn service_and_port(text: &str) -> Result<(String, u16), String> {
    let given = service_and_number(text).ok().filter(|(_, port)| *port != 0);
    given.ok_or_else(|| "give a service and a port, such as vote=8000".to_owned())
}

impl UpOptions {
    /// The choices among what is possible yet.
    ///
    /// # Errors
    /// When one is not possible yet, or two contradict each other.
    pub fn choices(&self) -> Result<Choices> {
        self.capture()?;
        Ok(Choices {
            scale: distinct("--scale", &self.scale)?,
            publish: distinct("--publish", &self.publish)?,
            redis: self.redis.clone(),
            results: self.results.clone(),
            data: self.data.as_deref().map(absolute).transpose()?,
            settings: BTreeMap::new(),
        })
    }
}

impl UpOptions {
    /// What is to make the machines of an application that names this VMM, or none.
    pub fn wanted(&self, described: Option<Vmm>) -> Wanted {
        Wanted {
            vmm: self.vmm.or(described).unwrap_or_default(),
            program: self.vmm_program.clone(),
            machine: self.machine,
            accelerator: self.accel,
        }
    }

    /// The network of machines that this VMM makes.
    ///
    /// # Errors
    /// When it has no frames that could be captured, or the VMM cannot be on it.
    pub fn network(&self, vmm: Vmm) -> Result<NetworkPlan> {
        let has_own = vmm.lacks(Feature::UserNetwork).is_none();
        let net = self.net.unwrap_or(if has_own { Net::User } else { Net::Tap });
        match net {
            Net::User => refusal::require(vmm, Feature::UserNetwork, "--net user")?,
            Net::Switch => refusal::require(vmm, Feature::SocketNetwork, "--net switch")?,
            Net::Tap => {}
        }
        Ok(NetworkPlan { net, capture: self.capture()? })
    }

    fn capture(&self) -> Result<Option<PathBuf>> {
        if let Some(path) = self.pcap.as_ref().filter(|_| self.net != Some(Net::Switch)) {
            bail!(
                "--pcap {} captures the application's own network: add --net switch (each machine of the user network has one of its own)",
                path.display()
            );
        }
        self.pcap.as_deref().map(std::path::absolute).transpose().context("--pcap: name a file")
    }
}

/// The supervisor and QEMU need not run where the option was given.
fn absolute(folder: &Path) -> Result<PathBuf> {
    std::path::absolute(folder).with_context(|| format!("--data {:?}: name a folder", folder.display()))
}

fn distinct(option: &str, pairs: &[(String, u16)]) -> Result<BTreeMap<String, u16>> {
    let mut map = BTreeMap::new();
    for (service, number) in pairs {
        if map.insert(service.clone(), *number).is_some() {
            bail!("{option} is given twice for {service}: give it once");
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_options_are_refused_with_an_alternative() {
        let refusal = |options: UpOptions| options.choices().expect_err("refused").to_string();
        let data = Some(PathBuf::new());
        assert!(refusal(UpOptions { data, ..UpOptions::default() }).contains("name a folder"));
        let pcap = Some(PathBuf::from("x"));
        assert!(refusal(UpOptions { pcap, ..UpOptions::default() }).contains("add --net switch"));
        let twice = vec![("vote".to_owned(), 2), ("vote".to_owned(), 3)];
        assert!(refusal(UpOptions { scale: twice, ..UpOptions::default() }).contains("given twice for vote"));
    }

    #[test]
    fn the_command_line_comes_before_the_description_and_the_network_follows_the_vmm() {
        let options = UpOptions { vmm: Some(Vmm::Uhyve), ..UpOptions::default() };
        assert_eq!(options.wanted(Some(Vmm::Firecracker)).vmm, Vmm::Uhyve);
        assert_eq!(UpOptions::default().wanted(Some(Vmm::Firecracker)).vmm, Vmm::Firecracker);
        assert_eq!(UpOptions::default().wanted(None).vmm, Vmm::Qemu);
        let net = |options: &UpOptions, vmm| options.network(vmm).map(|plan| plan.net);
        assert_eq!(net(&options, Vmm::Uhyve).expect("tap"), Net::Tap);
        assert_eq!(net(&options, Vmm::Qemu).expect("user"), Net::User);
        for (given, word) in [(Net::User, "--net user"), (Net::Switch, "--net switch")] {
            let options = UpOptions { net: Some(given), ..UpOptions::default() };
            let refusal = net(&options, Vmm::CloudHypervisor).expect_err("refused").to_string();
            assert!(refusal.starts_with(&format!("{word} does not go with cloud-hypervisor")), "{refusal}");
        }
    }

    #[test]
    fn a_service_and_a_number_are_told_apart() {
        for parse in [service_and_number, service_and_port] {
            assert_eq!(parse("vote=2"), Ok(("vote".to_owned(), 2)));
            for wrong in ["", "vote", "=2", "vote=", "vote=x", "vote=-1", "vote=65536"] {
                assert!(parse(wrong).is_err(), "{wrong}");
            }
        }
        assert_eq!(service_and_number("vote=0"), Ok(("vote".to_owned(), 0)));
        assert!(service_and_port("vote=0").is_err(), "no port");
    }
}
