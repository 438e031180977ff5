//! Builds with the same result whatever the user's environment and cargo configuration say: settings that affect the
//! result are given where nothing can override them. The user still decides where packages come from.
//!
//! Read first: "Configuration" in the Cargo book, about the precedence of command line, environment and files.

use std::process::Command;

/// A profile, as far as another one's configuration could change what it builds.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Name of the cargo profile.
    pub name: &'static str,
    /// Level of optimization, as TOML has it.
    pub opt_level: &'static str,
    /// Kind of link-time optimization, as TOML has it.
    pub lto: &'static str,
    /// How many parts a crate is compiled in.
    pub codegen_units: u32,
    /// The level of debug information, as a TOML value.
    pub debug: &'static str,
    /// What is taken out of programs, as TOML has it.
    pub strip: &'static str,
    /// Flags of the compiler: these and no others.
    pub rust_flags: &'static [&'static str],
}

/// For everything that runs in a guest. This target lets functions keep values below the stack pointer, in 128 bytes
/// that are called the red zone; an interrupt on the same stack overwrites them.
pub const NO_RED_ZONE: &str = "-Cno-redzone=yes";
/// Between flags in `CARGO_ENCODED_RUSTFLAGS`.
const FLAG_SEPARATOR: &str = "\x1f";

/// Settings of every profile here, which packages of it can be given apart.
const OF_PACKAGES: [(&str, &str); 3] =
    [("debug-assertions", "false"), ("overflow-checks", "false"), ("incremental", "false")];
/// Those of a whole profile.
const OF_ALL: [(&str, &str); 3] =
    [("panic", "\"abort\""), ("rpath", "false"), ("split-debuginfo", "\"off\"")];

/// Has a cargo that knows of nothing that the environment says about builds (`Toolchain::cargo`) build with this
/// profile, and with nothing that files say about it.
pub fn build_with<'a>(cargo: &'a mut Command, profile: &Profile) -> &'a mut Command {
    cargo.args(["build", "--profile", profile.name]);
    let units = profile.codegen_units.to_string();
    let of_packages = [("opt-level", profile.opt_level), ("codegen-units", &units), ("debug", profile.debug)];
    let of_packages: Vec<(&str, &str)> = of_packages.into_iter().chain(OF_PACKAGES).collect();
    for (key, value) in &of_packages {
        cargo.args(["--config", &format!("profile.{}.package.\"*\".{key}={value}", profile.name)]);
    }
    let of_all =
        [("lto", profile.lto), ("strip", profile.strip)].into_iter().chain(OF_ALL).chain(of_packages);
    for (key, value) in of_all {
        cargo.args(["--config", &format!("profile.{}.{key}={value}", profile.name)]);
    }
    // Above what a profile says, and above `build.incremental`.
    cargo.env("CARGO_INCREMENTAL", "0");
    // Above RUSTFLAGS and every flag in a file, also when it is empty.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", profile.rust_flags.join(FLAG_SEPARATOR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_user_s_is_above_what_is_given() {
        let mut cargo = Command::new("cargo");
        crate::tool::process::forget_build_settings(&mut cargo);
        let profile = Profile {
            name: "image",
            opt_level: "3",
            lto: "true",
            codegen_units: 1,
            debug: "\"limited\"",
            strip: "\"none\"",
            rust_flags: &["-Ca", "-Cb"],
        };
        build_with(&mut cargo, &profile);
        let words: Vec<&str> = cargo.get_args().filter_map(|word| word.to_str()).collect();
        for expected in ["profile.image.lto=true", "profile.image.package.\"*\".opt-level=3"] {
            assert!(words.windows(2).any(|two| two == ["--config", expected]), "{expected}: {words:?}");
        }
        let given = |name: &str| {
            let found = cargo.get_envs().find(|(known, _)| *known == name);
            found.and_then(|(_, value)| value?.to_str()).map(str::to_owned)
        };
        for name in ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"] {
            assert_eq!(given(name).as_deref(), Some(""), "{name}");
        }
        assert_eq!(given("CARGO_ENCODED_RUSTFLAGS").as_deref(), Some("-Ca\x1f-Cb"));
    }
}
