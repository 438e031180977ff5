//! How a worker is, for `/readyz` and for one log line per change.
//!
//! Decides nothing.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::fmt;

use crate::received::Fault;
use kernel_app::network::Unreachable;

/// The setting that leads to the store, for operators.
const SETTING: &str = "REDIS_URL";

/// Whether votes are being counted, and if not, why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// There is no connection to the store.
    #[default]
    Away,
    /// The store could not be reached.
    Unreachable(Unreachable),
    /// There is a connection, on which nothing was done yet.
    Starting,
    /// Votes are counted as they come.
    Well,
    /// The store answers with this error.
    Failing(String),
    /// The results are kept elsewhere, and do not take the votes; the reason names its setting.
    Unrecorded(String),
    /// The last connection was given up because of this.
    Broken(Fault),
}

impl Condition {
    /// Becomes another condition, and logs it if it is another.
    pub fn change(&mut self, to: Self) {
        if *self == to {
            return;
        }
        match &to {
            Self::Failing(message) => {
                log::warn!("{SETTING}: the store takes no votes, they are kept: {message}")
            }
            Self::Broken(fault) => log::warn!("{SETTING}: the store takes no votes, they are kept: {fault}"),
            Self::Unrecorded(reason) => log::warn!("no votes are counted, they are kept: {reason}"),
            Self::Well => log::info!("counting votes"),
            // The runtime tells of these.
            Self::Away | Self::Unreachable(_) | Self::Starting => {}
        }
        *self = to;
    }

    /// Whether votes are being counted.
    ///
    /// # Errors
    /// Why not.
    pub fn readiness(&self) -> Result<(), Cow<'_, str>> {
        let reason: &dyn fmt::Display = match self {
            Self::Well => return Ok(()),
            Self::Away => &"the store is away: no connection yet",
            Self::Unreachable(reason) => reason,
            Self::Starting => &"the store has not answered yet",
            Self::Failing(message) => message,
            Self::Unrecorded(reason) => return Err(reason.into()),
            Self::Broken(fault) => fault,
        };
        Err(format!("{SETTING}: {reason}").into())
    }
}
