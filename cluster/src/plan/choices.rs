//! The command line's changes to an application, and the combinations that are refused.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use wire::postgres::url::UrlError;

/// What the command line changes about an application.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// Instances by service.
    pub scale: BTreeMap<String, u16>,
    /// Host port of the first instance by service, in place of the described one.
    pub publish: BTreeMap<String, u16>,
    /// A Redis to use instead of the described store.
    pub redis: Option<String>,
    /// Where results are kept instead of the store.
    pub results: Option<String>,
    /// The folder that volumes are kept in; without one, data go with their machines.
    pub data: Option<PathBuf>,
    /// Variables that values of the description name, as `${NAME}`.
    pub settings: BTreeMap<String, String>,
}

/// A choice that does not fit the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// An option names a service that is not described.
    NoSuchService {
        /// The command-line option, such as `--scale`.
        option: &'static str,
        /// The name given.
        service: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// More or fewer instances than the service allows.
    Scale {
        /// Name of the service, as given.
        service: String,
        /// The number given.
        given: u16,
        /// The most it allows.
        max: u16,
    },
    /// Two services at one port of the host.
    SamePort {
        /// The port of the host.
        port: u16,
        /// The two services that want the same port.
        services: [String; 2],
    },
    /// `--publish` for a service without ports.
    NotPublished {
        /// Name of the service, as given.
        service: String,
    },
    /// A database's address that the services would refuse.
    Database {
        /// The option or setting.
        option: &'static str,
        /// The value given, without its password.
        value: String,
        /// Why.
        reason: UrlError,
    },
    /// An address option with another shape than a URL of the scheme.
    Url {
        /// The command-line option, such as `--scale`.
        option: &'static str,
        /// The value given.
        value: String,
        /// What it should look like.
        expected: &'static str,
    },
    /// An option that no service of the application takes.
    NobodyTakes {
        /// The command-line option, such as `--scale`.
        option: &'static str,
        /// The setting that it would fill.
        setting: &'static str,
    },
    /// `--data` where nothing has a volume.
    NothingToKeep {
        /// Whether `--redis` has taken a service out.
        is_replaced: bool,
    },
    /// A service that an option takes out is still needed.
    StillNeeded {
        /// The command-line option, such as `--scale`.
        option: &'static str,
        /// The service to be taken out.
        service: String,
        /// The service that needs it.
        by: String,
        /// The setting that names it.
        setting: String,
    },
    /// An option takes all services out.
    NothingLeft {
        /// The command-line option, such as `--scale`.
        option: &'static str,
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchService { option, service, known } => {
                write!(f, "{option}: there is no service {service:?}: choose one of {}", known.join(", "))
            }
            Self::Scale { service, given, max } => {
                write!(f, "--scale {service}={given} cannot be used: give 0 to {max}")
            }
            Self::SamePort { port, services: [one, other] } => write!(
                f,
                "{one} and {other} are both published at port {port}: give one of them another, such as --publish {other}={}",
                port.checked_add(1).unwrap_or(1024)
            ),
            Self::NotPublished { service } => {
                write!(f, "--publish {service}: the service has no port: give it `ports` in the file")
            }
            Self::Database { option, value, reason } => write!(f, "{option} {value}: {reason}"),
            Self::Url { option, value, expected } => {
                write!(f, "{option} {value} is not a valid address: give one such as {expected}")
            }
            Self::NobodyTakes { option, setting } => {
                write!(f, "{option}: no service uses {setting}: list it in the `environment` of one")
            }
            Self::NothingToKeep { is_replaced: true } => {
                f.write_str("--data is for a service, which --redis replaces: leave out one of them")
            }
            Self::NothingToKeep { is_replaced: false } => {
                f.write_str("--data: no service has a volume: give one `volumes` in the file")
            }
            Self::StillNeeded { option, service, by, setting } => {
                write!(
                    f,
                    "{option} would leave out {service}, but {setting} of {by} needs it: change that setting too"
                )
            }
            Self::NothingLeft { option } => write!(f, "{option} would leave nothing to run: keep a service"),
        }
    }
}

impl std::error::Error for PlanError {}
