//! How a worker is, for `/readyz` and for one log line per change.
//!
//! Decides nothing.

use alloc::borrow::Cow;
use alloc::string::String;

use crate::received::Fault;

/// Whether votes are being counted, and if not, why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// There is no connection to the store.
    #[default]
    Away,
    /// There is a connection, on which nothing was done yet.
    Starting,
    /// Votes are counted as they come.
    Well,
    /// The store answers with this error.
    Failing(String),
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
            Self::Failing(message) => log::warn!("the store takes no votes, they are kept: {message}"),
            Self::Broken(fault) => log::warn!("the store takes no votes, they are kept: {fault}"),
            Self::Well => log::info!("counting votes"),
            Self::Away | Self::Starting => {}
        }
        *self = to;
    }

    /// Whether votes are being counted.
    ///
    /// # Errors
    /// Why not.
    pub fn readiness(&self) -> Result<(), Cow<'_, str>> {
        Err(match self {
            Self::Well => return Ok(()),
            Self::Away => "the store is away: no connection; is it running, and is REDIS_URL right?".into(),
            Self::Starting => "the store has not answered yet".into(),
            Self::Failing(message) => message.into(),
            Self::Broken(fault) => fault.as_str().into(),
        })
    }
}
