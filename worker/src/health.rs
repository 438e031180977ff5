//! Whether votes are being counted, for `/readyz` and for one log line per change.
//!
//! The store's client knows whether the store can be reached and answers.

use alloc::borrow::Cow;
use alloc::string::String;

/// The setting that leads to the store, for operators.
const SETTING: &str = "REDIS_URL";

/// Whether votes are being counted, and if not, why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Nothing was done yet on this connection.
    #[default]
    Starting,
    /// Votes are counted as they come.
    Well,
    /// The store answers with this error.
    Failing(String),
    /// The results are kept elsewhere, and do not take the votes; the reason names its setting.
    Unrecorded(String),
}

impl Health {
    /// Becomes another, and logs it if it is another.
    pub fn change(&mut self, to: Self) {
        if *self == to {
            return;
        }
        match &to {
            Self::Failing(message) => {
                log::warn!("{SETTING}: the store accepts no votes, they stay in the queue: {message}")
            }
            Self::Unrecorded(reason) => log::warn!("no votes are counted, they stay in the queue: {reason}"),
            Self::Well => log::info!("counting votes"),
            Self::Starting => {}
        }
        *self = to;
    }

    /// Whether votes are being counted.
    ///
    /// # Errors
    /// Why not.
    pub fn readiness(&self) -> Result<(), Cow<'_, str>> {
        match self {
            Self::Well => Ok(()),
            Self::Starting => Err("REDIS_URL: the store has not answered yet".into()),
            Self::Failing(message) => Err([SETTING, ": ", message].concat().into()),
            Self::Unrecorded(reason) => Err(reason.into()),
        }
    }
}
