//! The command line with which uhyve runs a machine.
//!
//! It loads the program's own ELF file and hands the settings over in a device tree. The card has the hardware address
//! of its tap interface.

use std::process::Command;

use anyhow::Result;

use crate::vm::machine::{Launch, Network};

/// Settings of uhyve's own that must not come from the caller's environment.
const OWN_SETTINGS: [&str; 4] =
    ["HERMIT_GDB_PORT", "HERMIT_MEMORY_SIZE", "HERMIT_CPU_COUNT", "HERMIT_CONFIG"];

/// The command that starts uhyve.
///
/// # Errors
/// When the settings cannot be passed to a guest.
pub(super) fn command(launch: &Launch) -> Result<Command> {
    let line = launch.command_line_now();
    // It hands them over word by word; this only checks them.
    line.render(None)?;
    let mut command = Command::new(&launch.program);
    for name in OWN_SETTINGS {
        command.env_remove(name);
    }
    // Its panics end with what was wrong, and not with where.
    command.env("RUST_BACKTRACE", "0").arg("--tempdir").arg(&launch.folder);
    // Nobody's configuration: it would take that of the folder or the user.
    command.args(["--config", "/dev/null", "--memory-size", &format!("{}MiB", launch.memory_mib)]);
    // With random addresses, its loading a program can take a minute.
    command.args(["--cpu-count", "1", "--no-aslr"]);
    if let Network::Tap { interface, .. } = &launch.network {
        command.arg(format!("--net=tap:{interface}"));
    }
    for (name, value) in line.passed() {
        command.arg(format!("--env-vars={name}={value}"));
    }
    command.arg(&launch.image);
    if !line.arguments.is_empty() {
        // The first ends uhyve's options, the second the kernel's.
        command.args(["--", "--"]).args(&line.arguments);
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::accelerator::Accelerator;
    use crate::vm::command_line::CommandLine;
    use crate::vm::machine::Machine;
    use crate::vm::vmm::Vmm;

    #[test]
    fn a_program_gets_its_settings_one_by_one_and_its_card_by_name() {
        let mut command_line = CommandLine::from_environment([("OPTION_A", "Cats & Dogs")]);
        command_line.arguments = vec!["-a".to_owned()];
        let network = Network::Tap { interface: "station0".to_owned(), mac: [2, 0, 0, 0, 0, 0], mtu: 1500 };
        let launch = Launch {
            vmm: Vmm::Uhyve,
            program: "/v/uhyve".into(),
            command_line,
            network,
            ..Launch::new("vote", "/i/vote".into(), Machine::Q35, Accelerator::Kvm { mhz: 0 })
        };
        let command = command(&launch).expect("a launch that can be made");
        let words: Vec<&str> = command.get_args().filter_map(|word| word.to_str()).collect();
        assert_eq!(command.get_program(), "/v/uhyve");
        assert!(words.contains(&"--net=tap:station0") && words.contains(&"--no-aslr"), "{words:?}");
        assert!(words.contains(&"--env-vars=OPTION_A=Cats & Dogs"), "{words:?}");
        assert!(words.windows(2).any(|pair| pair == ["--memory-size", "32MiB"]), "{words:?}");
        assert!(words.ends_with(&["/i/vote", "--", "--", "-a"]), "{words:?}");
        let taken = command.get_envs().filter(|(_, value)| value.is_none()).count();
        assert_eq!(taken, OWN_SETTINGS.len(), "its own settings do not come from the environment");
    }
}
