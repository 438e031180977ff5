//! The reasons why a command is refused, in Redis's words.
//!
//! Errors that quote the request (unknown commands, wrong numbers of arguments) are written where they occur.

use core::fmt;

use kernel_app::disk::DiskError;
use wire::buffer::Full;

/// A command that was refused and changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The key holds a value of another type.
    WrongType,
    /// An argument or a stored value is no integer.
    NotAnInteger,
    /// A count is negative or no integer.
    NotPositive,
    /// A hash's field is no integer.
    FieldNotAnInteger,
    /// A sum is beyond 64 bits.
    Overflow,
    /// An option is unknown or at odds with another.
    Syntax,
    /// `SET` was asked to let the key expire.
    NoExpiry,
    /// A timeout is no decimal number.
    TimeoutNotANumber,
    /// A timeout is below zero.
    TimeoutNegative,
    /// A timeout is beyond any use.
    TimeoutTooLong,
    /// Keys and values have reached the limit.
    OutOfMemory,
    /// The disk does not work, or has no room.
    Disk(DiskError),
    /// The data are not in memory: they could not be read from the disk again.
    Loading,
    /// The blocked clients' keys have reached their limit.
    TooManyWaiters,
    /// The reply is longer than allowed.
    ReplyTooLong,
    /// The number of arguments is wrong for this command.
    Arguments,
    /// `MULTI` after `MULTI`.
    NestedMulti,
    /// `EXEC` without `MULTI`.
    ExecWithoutMulti,
    /// `DISCARD` without `MULTI`.
    DiscardWithoutMulti,
    /// `WATCH` after `MULTI`.
    WatchInMulti,
    /// The watched keys have reached their limit.
    TooManyWatches,
    /// `EXEC` after a command that could not be queued.
    ExecAborted,
    /// `EXEC` of a command that memory does not allow.
    ExecOutOfMemory,
    /// `EXEC` of a command that the disk does not allow.
    ExecDisk(DiskError),
    /// There is one database, number 0.
    DbIndex,
    /// `SELECT` of a number beyond 32 bits.
    DbOutOfRange,
    /// `HELLO` with something else than a number.
    ProtocolNotANumber,
    /// `HELLO` with another protocol than RESP2.
    NoProtocol,
    /// `AUTH` with a password alone: there is none.
    NoPassword,
    /// `AUTH` with another user than `default`.
    WrongPassword,
    /// A command of a client that has not given the password.
    Locked,
    /// `HELLO` of a client that has not given the password.
    HelloWithoutPassword,
    /// A client name with blanks or control characters, or too long a one.
    ClientName,
}

impl Failure {
    /// The error reply, without the `-` and the line's end.
    pub fn text(self) -> &'static str {
        match self {
            Self::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Self::NotAnInteger => "ERR value is not an integer or out of range",
            Self::NotPositive => "ERR value is out of range, must be positive",
            Self::FieldNotAnInteger => "ERR hash value is not an integer",
            Self::Overflow => "ERR increment or decrement would overflow",
            Self::Syntax => "ERR syntax error",
            Self::NoExpiry => "ERR this store keeps no expiry times: SET without EX, PX, EXAT and PXAT",
            Self::TimeoutNotANumber => "ERR timeout is not a float or out of range",
            Self::TimeoutNegative => "ERR timeout is negative",
            Self::TimeoutTooLong => "ERR timeout is out of range",
            Self::OutOfMemory => "OOM command not allowed when used memory > 'maxmemory'.",
            Self::Disk(DiskError::NoSpace) => {
                "MISCONF Errors writing to the AOF file: No space left on device"
            }
            Self::Disk(_) => "MISCONF Errors writing to the AOF file: Input/output error",
            Self::Loading => "LOADING Redis is loading the dataset in memory",
            Self::TooManyWaiters => "ERR too many clients wait for keys: try again later",
            Self::ReplyTooLong => "ERR the reply would be too long: ask for fewer elements",
            Self::Arguments => "ERR wrong number of arguments",
            Self::NestedMulti => "ERR MULTI calls can not be nested",
            Self::ExecWithoutMulti => "ERR EXEC without MULTI",
            Self::DiscardWithoutMulti => "ERR DISCARD without MULTI",
            Self::WatchInMulti => "ERR WATCH inside MULTI is not allowed",
            Self::TooManyWatches => "ERR too many keys are watched: try again later",
            Self::ExecAborted => "EXECABORT Transaction discarded because of previous errors.",
            Self::ExecOutOfMemory => {
                "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > \
                 'maxmemory'."
            }
            Self::ExecDisk(DiskError::NoSpace) => {
                "EXECABORT Transaction discarded because of: MISCONF Errors writing to the AOF file: No space \
                 left on device"
            }
            Self::ExecDisk(_) => {
                "EXECABORT Transaction discarded because of: MISCONF Errors writing to the AOF file: \
                 Input/output error"
            }
            Self::DbIndex => "ERR DB index is out of range",
            Self::DbOutOfRange => "ERR value is out of range, value must between -2147483648 and 2147483647",
            Self::ProtocolNotANumber => "ERR Protocol version is not an integer or out of range",
            Self::NoProtocol => "NOPROTO unsupported protocol version",
            Self::NoPassword => {
                "ERR AUTH <password> called without any password configured for the default user. Are you \
                 sure your configuration is correct?"
            }
            Self::WrongPassword => "WRONGPASS invalid username-password pair or user is disabled.",
            Self::Locked => "NOAUTH Authentication required.",
            Self::HelloWithoutPassword => {
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH \
                 <user> <pass> option can be used to authenticate the client and select the RESP protocol \
                 version at the same time"
            }
            Self::ClientName => "ERR Client names cannot contain spaces, newlines or special characters.",
        }
    }
}

impl Failure {
    /// The failure of a transaction one of whose commands is not admitted for this reason.
    #[must_use]
    pub fn of_exec(self) -> Self {
        match self {
            Self::OutOfMemory => Self::ExecOutOfMemory,
            Self::Disk(error) => Self::ExecDisk(error),
            other => other,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Failure {}

impl From<Full> for Failure {
    fn from(_: Full) -> Self {
        Self::ReplyTooLong
    }
}
