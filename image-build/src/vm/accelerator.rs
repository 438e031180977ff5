//! What executes a guest's instructions: the host's processor through KVM, or QEMU's translator, TCG.

use std::fs;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What the user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
pub enum Choice {
    /// KVM where it works, else TCG.
    #[default]
    Auto,
    /// The host's processor; an error where it does not work.
    Kvm,
    /// Emulation.
    Tcg,
}

/// What runs a guest's instructions. The rate is the one of the counter that the guest will read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// The host's processor through `/dev/kvm`.
    Kvm {
        /// Rate of the time stamp counter in MHz.
        mhz: u16,
    },
    /// QEMU's own translator.
    Tcg {
        /// Rate of the time stamp counter in MHz.
        mhz: u16,
    },
}

impl Accelerator {
    /// QEMU's arguments.
    pub fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Kvm { .. } => ["-accel", "kvm", "-cpu", "host,migratable=no,+invtsc"],
            Self::Tcg { .. } => ["-accel", "tcg", "-cpu", "max"],
        }
    }

    /// Rate of the guest's time stamp counter in MHz, when it was learnt.
    pub fn mhz(self) -> Option<u16> {
        let (Self::Kvm { mhz } | Self::Tcg { mhz }) = self;
        (mhz != 0).then_some(mhz)
    }

    /// Whether a guest's processor has no random numbers, so that it needs a device for them. QEMU's own has some.
    pub fn lacks_entropy(self) -> bool {
        matches!(self, Self::Kvm { .. })
            && !has_random(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default())
    }

    /// Name as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm { .. } => "kvm",
            Self::Tcg { .. } => "tcg",
        }
    }
}

fn has_random(cpu_info: &str) -> bool {
    has_flag(cpu_info, &["rdrand", "rdseed"])
}

/// Whether the processor that `/proc/cpuinfo` describes has one of these flags.
pub(crate) fn has_flag(cpu_info: &str, wanted: &[&str]) -> bool {
    let flags = cpu_info.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split_whitespace().any(|flag| wanted.contains(&flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_are_a_flag_and_not_a_part_of_one() {
        assert!(has_random("flags : fpu rdrand") && has_random("flags : rdseed"));
        assert!(!has_random("flags : rd"));
    }
}
