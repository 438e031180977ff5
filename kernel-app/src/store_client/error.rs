//! Why the store cannot be used, in words for operators.
//!
//! Decides nothing. The setting that the words are about is named by whoever shows them.

use core::fmt;

use crate::network::Unreachable;

/// Why a command was not sent. It has had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// There is no connection to the store yet.
    Away,
    /// The store could not be reached.
    Unreachable(Unreachable),
    /// The last connection was of no use.
    Broken(Broken),
    /// The store answers with an error.
    Refused(Refusal),
    /// The store owes replies that are overdue.
    Silent,
    /// Too many commands, or too many bytes, wait already.
    Busy,
}

impl SendError {
    /// The same as [`Display`](fmt::Display) says.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Away => "the store is away: no connection yet",
            Self::Unreachable(reason) => reason.as_str(),
            Self::Broken(broken) => broken.as_str(),
            Self::Refused(refusal) => refusal.as_str(),
            Self::Silent => "the store is silent: connected, but its replies are overdue",
            Self::Busy => "the store is busy: too many commands wait for it",
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for SendError {}

/// Why a connection that was open is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The other side ended it.
    Ended,
    /// What came is not RESP.
    NotResp,
    /// A reply is larger than the input may be.
    TooLarge,
    /// A reply came that no command asked for.
    Unasked,
    /// Replies are overdue for too long.
    Overdue,
}

impl Broken {
    /// What it means, in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "the store closed the connection",
            Self::NotResp => "what answers is not RESP: is it the port of a Redis?",
            Self::TooLarge => "a reply is larger than the input may be: is it a store of this application?",
            Self::Unasked => "a reply came that nobody asked for: is it a Redis?",
            Self::Overdue => "the store was silent: its replies did not come",
        }
    }
}

/// What a store's error reply is about, by its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `NOAUTH`.
    PasswordWanted,
    /// `WRONGPASS`, or `AUTH` of a store without a password.
    Password,
    /// `SELECT` was refused.
    Database,
    /// `NOPERM`.
    Permission,
    /// `LOADING`, `MASTERDOWN`, `BUSY`.
    Loading,
    /// `READONLY`.
    ReadOnly,
    /// `OOM`.
    OutOfMemory,
    /// `MISCONF`.
    Disk,
    /// Redis's limit of clients.
    Clients,
    /// Anything else.
    Other,
}

/// The codes that errors begin with.
const CODES: [(&[u8], Refusal); 12] = [
    (b"NOAUTH", Refusal::PasswordWanted),
    (b"WRONGPASS", Refusal::Password),
    (b"ERR AUTH", Refusal::Password),
    (b"ERR invalid password", Refusal::Password),
    (b"NOPERM", Refusal::Permission),
    (b"LOADING", Refusal::Loading),
    (b"MASTERDOWN", Refusal::Loading),
    (b"BUSY", Refusal::Loading),
    (b"READONLY", Refusal::ReadOnly),
    (b"OOM", Refusal::OutOfMemory),
    (b"MISCONF", Refusal::Disk),
    (b"ERR max number of clients", Refusal::Clients),
];

impl Refusal {
    /// What an error is about; that of a command of the login may be about the database.
    pub(super) fn of(message: &[u8], is_login: bool) -> Self {
        let known = CODES.iter().find(|(code, _)| message.starts_with(code)).map(|(_, refusal)| *refusal);
        known.unwrap_or(if is_login { Self::Database } else { Self::Other })
    }

    /// Whether nothing is worth being sent until the login has succeeded.
    pub(super) const fn is_final(self) -> bool {
        matches!(self, Self::PasswordWanted | Self::Password | Self::Database)
    }

    /// What it means, in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PasswordWanted => {
                "the store wants a password (NOAUTH): give it as in redis://:password@host:port"
            }
            Self::Password => {
                "the store refuses the password (WRONGPASS): is it that of REQUIREPASS, or of this user?"
            }
            Self::Database => "the store refuses the database that stands behind the port: give /0 or none",
            Self::Permission => "the store does not permit this user a command (NOPERM): see its ACL",
            Self::Loading => "the store is not ready yet (LOADING)",
            Self::ReadOnly => "the store is a read-only replica (READONLY): give the address of its master",
            Self::OutOfMemory => "the store's memory is full (OOM): raise its maxmemory",
            Self::Disk => "the store cannot write to its disk (MISCONF)",
            Self::Clients => "the store has too many clients: raise its maxclients",
            Self::Other => "the store answers with an error: the log has it",
        }
    }
}
