//! The container's environment, as far as the runner and its guest read it.

use std::collections::BTreeMap;
use std::ffi::OsString;

use anyhow::{Context, Result};
use image_build::vm::run::SETTINGS;
use image_build::vm::serial_line::TIME_SERVER;

/// The variable with the guest's memory.
pub const MEMORY: &str = "MEMORY_MIB";
/// The variable that chooses what runs the guest's instructions.
pub const ACCELERATOR: &str = "ACCEL";
/// The variable with the folder of the data: a volume.
pub const DATA: &str = "DATA";
/// The variable that chooses the guest's network.
pub const NETWORK: &str = "NETWORK";
/// The variable that chooses the form of what is printed.
pub const FORMAT: &str = "LOG_FORMAT";
/// What a container's engine calls it: a pod's name, for example.
const HOSTNAME: &str = "HOSTNAME";
/// The setting with the guest's name.
pub const INSTANCE: &str = "INSTANCE";

/// The variables that are known, as texts.
pub struct Settings(BTreeMap<&'static str, String>);

impl Settings {
    /// # Errors
    /// When one is no text.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let mut known = BTreeMap::new();
        for name in SETTINGS.into_iter().chain([MEMORY, ACCELERATOR, NETWORK, DATA, FORMAT, HOSTNAME]) {
            if let Some(value) = variable(name) {
                let value = value.into_string().ok().with_context(|| format!("{name} is not UTF-8"))?;
                known.insert(name, value);
            }
        }
        Ok(Self(known))
    }

    /// The value of one, if it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Those that the guest gets. It is called as its container is, and has these addresses, unless it is said
    /// otherwise.
    pub fn of_guest(&self, addresses: Vec<(&'static str, String)>) -> BTreeMap<String, String> {
        let given = SETTINGS.into_iter().filter_map(|name| Some((name, self.get(name)?.to_owned())));
        let name = self.get(HOSTNAME).map(|name| (INSTANCE, name.to_owned()));
        let time_server = (TIME_SERVER.0, TIME_SERVER.1.to_owned());
        let own = addresses.into_iter().chain(name).chain([time_server]);
        own.chain(given).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[cfg(test)]
    pub fn of(pairs: &[(&'static str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_called_as_its_container_and_hears_only_what_programs_know() {
        let guest = Settings::of(&[("HOSTNAME", "vote-7d4b"), ("OPTION_A", "Tea"), ("ACCEL", "tcg")])
            .of_guest(Vec::new());
        let expected = [("INSTANCE", "vote-7d4b"), ("OPTION_A", "Tea"), ("TIME_SERVER", "serial")];
        assert_eq!(guest, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let named = Settings::of(&[("HOSTNAME", "a"), ("INSTANCE", "b")]).of_guest(Vec::new());
        assert_eq!(named["INSTANCE"], "b");
    }
}
