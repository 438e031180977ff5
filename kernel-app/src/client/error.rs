//! The reasons why a server cannot be used, in words for operators.
//!
//! The code that shows them adds the name of the setting.

use core::fmt;

use super::fault::Fault;
use crate::network::Unreachable;

/// Why something was not sent. It has had no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError<F> {
    /// There is no connection yet.
    Away,
    /// The server could not be reached.
    Unreachable(Unreachable),
    /// The last connection was of no use.
    Broken(Broken<F>),
    /// The server answers with an error.
    Refused(Refusal),
    /// The server owes answers that are overdue.
    Silent,
    /// Too much waits already.
    Busy,
}

impl<F: Fault> fmt::Display for SendError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away => f.write_str(F::WORDS.away),
            Self::Unreachable(reason) => write!(f, "{}{reason}", F::WORDS.unreachable),
            Self::Broken(broken) => write!(f, "{broken}"),
            Self::Refused(refusal) => f.write_str(refusal.as_str()),
            Self::Silent => f.write_str(F::WORDS.silent),
            Self::Busy => f.write_str(F::WORDS.busy),
        }
    }
}

impl<F: Fault> core::error::Error for SendError<F> {}

/// Why a connection that was open is of no more use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken<F> {
    /// The other side ended it.
    Ended,
    /// An answer is larger than is taken.
    TooLarge,
    /// An answer came that belongs to nothing that was sent.
    Unasked,
    /// Answers are overdue for too long.
    Overdue,
    /// The server does not do now what it is there for, but another at the same name may.
    Elsewhere(Refusal),
    /// The server's name has another address now.
    Moved,
    /// What the protocol has to say.
    Protocol(F),
}

impl<F: Fault> fmt::Display for Broken<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str(F::WORDS.ended),
            Self::TooLarge => f.write_str(F::WORDS.too_large),
            Self::Unasked => f.write_str(F::WORDS.unasked),
            Self::Overdue => f.write_str(F::WORDS.overdue),
            Self::Elsewhere(refusal) => f.write_str(refusal.as_str()),
            Self::Moved => f.write_str(F::WORDS.moved),
            Self::Protocol(fault) => write!(f, "{fault}"),
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
    /// `LOADING`.
    Loading,
    /// `BUSY`.
    Busy,
    /// `READONLY`, and `UNBLOCKED` of a primary that becomes a replica.
    ReadOnly,
    /// `MASTERDOWN`.
    PrimaryDown,
    /// `NOREPLICAS`.
    NoReplicas,
    /// `CLUSTERDOWN`.
    ClusterDown,
    /// `MOVED`, `ASK`, `CROSSSLOT`.
    Cluster,
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
const CODES: [(&[u8], Refusal); 18] = [
    (b"NOAUTH", Refusal::PasswordWanted),
    (b"WRONGPASS", Refusal::Password),
    (b"ERR AUTH", Refusal::Password),
    (b"ERR invalid password", Refusal::Password),
    (b"NOPERM", Refusal::Permission),
    (b"LOADING", Refusal::Loading),
    (b"BUSY", Refusal::Busy),
    (b"READONLY", Refusal::ReadOnly),
    (b"UNBLOCKED", Refusal::ReadOnly),
    (b"MASTERDOWN", Refusal::PrimaryDown),
    (b"NOREPLICAS", Refusal::NoReplicas),
    (b"CLUSTERDOWN", Refusal::ClusterDown),
    (b"MOVED", Refusal::Cluster),
    (b"ASK ", Refusal::Cluster),
    (b"CROSSSLOT", Refusal::Cluster),
    (b"OOM", Refusal::OutOfMemory),
    (b"MISCONF", Refusal::Disk),
    (b"ERR max number of clients", Refusal::Clients),
];

/// How the answer to `EXEC` begins that was refused itself, before the reason.
const TRANSACTION_REFUSED: &[u8] = b"EXECABORT Transaction discarded because of: ";

impl Refusal {
    /// What an error is about; that of a command of the login may be about the database.
    pub(super) fn of(message: &[u8], is_login: bool) -> Self {
        let message = message.strip_prefix(TRANSACTION_REFUSED).unwrap_or(message);
        let known = CODES.iter().find(|(code, _)| message.starts_with(code)).map(|(_, refusal)| *refusal);
        known.unwrap_or(if is_login { Self::Database } else { Self::Other })
    }

    /// Whether nothing is worth being sent until the login has succeeded.
    pub(super) const fn is_final(self) -> bool {
        matches!(self, Self::PasswordWanted | Self::Password | Self::Database)
    }

    /// Whether another server may have taken this one's place, so that its name is to be looked up again. The command
    /// was not carried out.
    pub(super) const fn is_elsewhere(self) -> bool {
        matches!(
            self,
            Self::Loading
                | Self::ReadOnly
                | Self::PrimaryDown
                | Self::NoReplicas
                | Self::ClusterDown
                | Self::Cluster
        )
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
            Self::Database => "the store refuses the database number in the URL: use /0 or leave it out",
            Self::Permission => "the store forbids this user a command (NOPERM): check the store's ACL",
            Self::Loading => "the store is not ready yet (LOADING)",
            Self::Busy => "the store is busy with a script (BUSY)",
            Self::ReadOnly => {
                "the store is a read-only replica (READONLY): give a name that leads to its primary"
            }
            Self::PrimaryDown => "the store is a replica that has lost its primary (MASTERDOWN)",
            Self::NoReplicas => "the store has fewer replicas than it wants (NOREPLICAS)",
            Self::ClusterDown => "the store is a part of a cluster that is down (CLUSTERDOWN)",
            Self::Cluster => {
                "the store is a part of a cluster (MOVED): give one whose cluster mode is off, or a proxy of the cluster"
            }
            Self::OutOfMemory => "the store's memory is full (OOM): raise its maxmemory",
            Self::Disk => "the store cannot write to its disk (MISCONF)",
            Self::Clients => "the store has too many clients: raise its maxclients",
            Self::Other => "the store answers with an error: see the log",
        }
    }
}
