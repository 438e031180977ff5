//! `cargo doctor`: what this machine has and lacks for the project; each line says how to fix it.
//!
//! It only probes; it changes nothing except its own caches.

use std::fmt;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::commands::description;
use crate::commands::options::DoctorOptions;
use crate::network;
use image_build::bed;
use image_build::tool::packages;
use image_build::tool::packages::table::{DOCKER_ENGINE, QEMU};
use image_build::tool::process;
use image_build::tool::progress::Patience;
use image_build::tool::workspace::Workspace;
use image_build::toolchain::libraries;
use image_build::toolchain::{Part, Toolchain};
use image_build::vm::vmm::Vmm;
use image_build::vm::{fitness, install, probe, vhost};

/// What can make machines in QEMU's place.
const OTHER_VMMS: [Vmm; 3] = [Vmm::Uhyve, Vmm::Firecracker, Vmm::CloudHypervisor];

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    /// It is there.
    Good,
    /// It is not there, and something optional does without.
    Optional,
    /// It is not there, and images cannot be built or booted.
    Lacking,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    severity: Severity,
    what: &'static str,
    text: String,
}

impl Finding {
    fn good(what: &'static str, text: impl Into<String>) -> Self {
        Self { severity: Severity::Good, what, text: text.into() }
    }

    fn optional(what: &'static str, text: impl Into<String>) -> Self {
        Self { severity: Severity::Optional, what, text: text.into() }
    }

    fn lacking(what: &'static str, text: impl Into<String>) -> Self {
        Self { severity: Severity::Lacking, what, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.severity {
            Severity::Good => "ok",
            Severity::Optional => "note",
            Severity::Lacking => "LACK",
        };
        write!(f, "{mark:<5}{:<17}{}", self.what, self.text)
    }
}

/// Prints the report; the status fails when something necessary is lacking.
///
/// # Errors
/// When the toolchain cannot be asked at all, or the description of the application cannot be read.
pub fn run(workspace: &Workspace, options: &DoctorOptions) -> Result<ExitCode> {
    let application = description::read(workspace, &description::find(workspace, options.file.as_deref())?)?;
    let patience = Patience::start("looking at this machine, and trying QEMU on it where there is one");
    let toolchain = Toolchain::find(workspace)?;
    let mut findings = vec![emulator()];
    // What cannot be tried is not said to fail.
    if findings[0].severity == Severity::Good {
        findings.extend([accelerator(workspace), sandbox(workspace)]);
    }
    findings.extend(OTHER_VMMS.map(|vmm| other_vmm(workspace, vmm)));
    findings.extend(parts(&toolchain));
    findings.extend([core(&toolchain), docker(), tap(), vhost_net(), tests()]);
    let published = application.services.values().flat_map(|service| &service.ports);
    findings.extend(published.map(|mapping| port(mapping.host)));
    drop(patience);
    findings.iter().try_for_each(|finding| say!("{finding}"))?;
    let lacking = findings.iter().filter(|finding| finding.severity == Severity::Lacking).count();
    if lacking == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    say!("{lacking} lacking: `cargo image setup` mends the toolchain, `cargo up` installs QEMU as well")?;
    Ok(ExitCode::FAILURE)
}

fn emulator() -> Finding {
    match process::output(Command::new(QEMU.program).arg("--version"), "asking QEMU") {
        Ok(text) => Finding::good("QEMU", text.lines().next().unwrap_or_default()),
        Err(error) => Finding::lacking("QEMU", format!("{error}: {}", packages::advice())),
    }
}

fn other_vmm(workspace: &Workspace, vmm: Vmm) -> Finding {
    let label = vmm.label();
    let found = install::find(workspace, vmm, None)
        .and_then(|program| Ok((fitness::version(vmm, &program)?, program)));
    match (found, probe::check_kvm()) {
        (Err(unfit), _) => Finding::optional(label, unfit.to_string()),
        (Ok((version, program)), Ok(())) => Finding::good(label, format!("{version}, {}", program.display())),
        (Ok((version, program)), Err(obstacle)) => {
            Finding::optional(label, format!("{version}, {}; {obstacle}", program.display()))
        }
    }
}

fn accelerator(workspace: &Workspace) -> Finding {
    match probe::probe(workspace) {
        Ok(probe) => match probe.kvm_obstacle {
            None if bed::is_inside() => Finding::good(
                "accelerator",
                "KVM, tried; it is emulated, so that no time here tells anything",
            ),
            None => Finding::good("accelerator", format!("KVM, tried; {} MHz", probe.mhz)),
            Some(obstacle) => Finding::optional(
                "accelerator",
                format!(
                    "TCG (emulation), {} MHz; KVM: {obstacle}; `cargo image bed` makes a machine that has it",
                    probe.mhz
                ),
            ),
        },
        Err(error) => Finding::lacking("accelerator", format!("cannot be tried: {error:#}")),
    }
}

fn sandbox(workspace: &Workspace) -> Finding {
    match probe::probe(workspace) {
        Ok(probe) => match probe.sandbox_obstacle {
            None => Finding::good("sandbox", "QEMU filters its system calls, tried"),
            Some(obstacle) => Finding::optional(
                "sandbox",
                format!("QEMU's -sandbox does not work ({obstacle}): use a build with seccomp"),
            ),
        },
        Err(error) => Finding::lacking("sandbox", format!("cannot be tried: {error:#}")),
    }
}

fn parts(toolchain: &Toolchain) -> impl Iterator<Item = Finding> {
    Part::ALL.into_iter().map(|part| {
        if toolchain.has(part) {
            Finding::good("toolchain", part.to_string())
        } else {
            let words = part.rustup_words().join(" ");
            Finding::lacking(
                "toolchain",
                format!("{part} is missing: run `rustup {words}` or `cargo image setup`"),
            )
        }
    })
}

fn core(toolchain: &Toolchain) -> Finding {
    if libraries::is_installed(toolchain) {
        Finding::good("Hermit", "core, alloc and the kernel are in the toolchain")
    } else {
        let text = "core or the kernel is missing or of another compiler: run `cargo image setup`";
        Finding::lacking("Hermit", text)
    }
}

fn docker() -> Finding {
    let mut command = Command::new("docker");
    match process::output(command.args(["version", "--format", "{{.Server.Version}}"]), "asking Docker") {
        Ok(version) => Finding::good("Docker", version.trim()),
        Err(error) => {
            let missing = packages::missing(&DOCKER_ENGINE.iter().collect::<Vec<_>>());
            let mend = match missing.is_empty() {
                true => "start its daemon (`systemctl start docker`)".to_owned(),
                false => packages::lack(&missing),
            };
            let reason = error.to_string();
            let reason = reason.lines().next_back().unwrap_or_default();
            Finding::optional("Docker", format!("no engine, which only comparisons need; {mend} ({reason})"))
        }
    }
}

fn tap() -> Finding {
    match network::tap_obstacle() {
        None => Finding::good("tap", "`cargo up --net tap` can make its bridge"),
        Some(obstacle) => {
            Finding::optional("tap", format!("--net tap {obstacle}; the other networks do without"))
        }
    }
}

fn vhost_net() -> Finding {
    match vhost::obstacle() {
        None => Finding::good("vhost-net", "the kernel moves the packets of taps, under KVM"),
        Some(obstacle) => Finding::optional(
            "vhost-net",
            format!(
                "QEMU moves the packets of taps: {obstacle}; under KVM `modprobe vhost_net` makes it faster"
            ),
        ),
    }
}

fn tests() -> Finding {
    let wanted = packages::tests();
    let missing = packages::missing(&wanted);
    if missing.is_empty() {
        return Finding::good("tests", format!("all {} programs that they use are there", wanted.len()));
    }
    Finding::optional("tests", format!("{} (`cargo test` does that)", packages::lack(&missing)))
}

fn port(port: u16) -> Finding {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Finding::good("port", format!("{port} is free")),
        Err(error) => Finding::optional(
            "port",
            format!("{port} is in use ({error}): run `cargo down`, or stop the program that listens there"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_the_way_out() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let number = listener.local_addr().expect("bound").port();
        let finding = port(number);
        assert_eq!(finding.severity, Severity::Optional);
        assert!(
            finding.text.contains(&number.to_string()) && finding.text.contains("cargo down"),
            "{finding}"
        );
    }
}
