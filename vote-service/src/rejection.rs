//! The reasons why a vote was not counted, for the voter and for metrics.
//!
//! `responder` writes the responses.

use kernel_app::client::{SendError, StoreSendError};
use kernel_app::metrics::Counter;

/// Why a vote was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The form has no field `vote`.
    Missing,
    /// The field names no option.
    UnknownOption,
    /// The body is no form.
    NoForm,
    /// The page of another site has sent it.
    Foreign,
    /// Who sent it has ended the connection before the vote was on its way to the store.
    SenderEnded,
    /// Too many new voters came at once.
    TooFast,
    /// The store has no room for new voters.
    Full,
    /// The same, until votes that wait are counted.
    StoreBehind,
    /// The store has no room for anything.
    StoreFull,
    /// There is no connection to the store, or its end came before the reply.
    StoreAway,
    /// The store's reply is overdue.
    StoreSilent,
    /// Too many votes wait for the store.
    StoreBusy,
    /// The store answered with an error.
    StoreError,
    /// Too few of the store's replicas have it.
    NotCopied,
}

/// The message to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// 400 and this text: the request is at fault.
    Fault(&'static str),
    /// The page with this notice.
    Page(Notice),
}

/// What a page says of a vote that was not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The store did not take it.
    Away,
    /// The connection was ended.
    Ended,
    /// It came from elsewhere.
    Foreign,
    /// Too many came at once.
    TooFast,
    /// There is no room for new voters.
    Full,
    /// The same, for a while.
    Behind,
    /// There is no room for anybody's vote.
    Exhausted,
}

/// When a vote may be sent again as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It will be refused again.
    Never,
    /// In a second.
    Soon,
    /// In a minute.
    Later,
}

impl Rejection {
    /// All, in the order of the discriminants.
    pub const ALL: [Self; 14] = [
        Self::Missing,
        Self::UnknownOption,
        Self::NoForm,
        Self::Foreign,
        Self::SenderEnded,
        Self::TooFast,
        Self::Full,
        Self::StoreBehind,
        Self::StoreFull,
        Self::StoreAway,
        Self::StoreSilent,
        Self::StoreBusy,
        Self::StoreError,
        Self::NotCopied,
    ];

    /// Value of the metrics' label `reason`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::UnknownOption => "unknown_option",
            Self::NoForm => "no_form",
            Self::Foreign => "foreign",
            Self::SenderEnded => "sender_ended",
            Self::TooFast => "too_fast",
            Self::Full => "full",
            Self::StoreBehind => "store_behind",
            Self::StoreFull => "store_full",
            Self::StoreAway => "store_away",
            Self::StoreSilent => "store_silent",
            Self::StoreBusy => "store_busy",
            Self::StoreError => "store_error",
            Self::NotCopied => "not_copied",
        }
    }

    /// What to tell the client.
    pub const fn told(self) -> Told {
        match self {
            Self::Missing => Told::Fault("The field \"vote\" is missing: send vote=a or vote=b.\n"),
            Self::UnknownOption => Told::Fault("There is no such option: send vote=a or vote=b.\n"),
            Self::NoForm => {
                Told::Fault("This is no form: send vote=a or vote=b, urlencoded or as multipart.\n")
            }
            Self::Foreign => Told::Page(Notice::Foreign),
            Self::SenderEnded => Told::Page(Notice::Ended),
            Self::TooFast => Told::Page(Notice::TooFast),
            Self::Full => Told::Page(Notice::Full),
            Self::StoreBehind => Told::Page(Notice::Behind),
            Self::StoreFull => Told::Page(Notice::Exhausted),
            Self::StoreAway | Self::StoreSilent | Self::StoreBusy | Self::StoreError | Self::NotCopied => {
                Told::Page(Notice::Away)
            }
        }
    }
}

impl Notice {
    /// All, in the order of the discriminants.
    pub const ALL: [Self; 7] =
        [Self::Away, Self::Ended, Self::Foreign, Self::TooFast, Self::Full, Self::Behind, Self::Exhausted];

    /// The answer's status.
    pub const fn status(self) -> u16 {
        match self {
            Self::Foreign => 403,
            Self::TooFast => 429,
            Self::Away | Self::Ended | Self::Full | Self::Behind | Self::Exhausted => 503,
        }
    }

    /// When it is worth another try.
    pub const fn retry(self) -> Retry {
        match self {
            Self::Foreign => Retry::Never,
            Self::TooFast | Self::Full | Self::Exhausted => Retry::Later,
            Self::Away | Self::Ended | Self::Behind => Retry::Soon,
        }
    }

    /// Whether the browser is to keep who it is: the store may have the vote, and the next try is then another of the
    /// same voter. Whoever is refused for being new, or does not know what their browser does, is given no name.
    pub const fn names_voter(self) -> bool {
        matches!(self, Self::Away | Self::Ended | Self::Exhausted)
    }

    /// What the page says.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Away => "Your vote was not acknowledged: the store does not answer. Please try again.",
            Self::Ended => {
                "Your vote was not acknowledged: the connection was ended before. Please try again."
            }
            Self::Foreign => "Another site sent this vote, so it was not counted. Vote here if you want to.",
            Self::TooFast => {
                "Your vote was not counted: too many new voters at once. Please try again in a minute."
            }
            Self::Full => {
                "This poll is full: your vote was not counted. Whoever has voted can still change their vote."
            }
            Self::Behind => {
                "Your vote was not counted: too many votes are waiting to be counted. Please try again later."
            }
            Self::Exhausted => {
                "Your vote was not counted: this poll is full. Your earlier vote still counts."
            }
        }
    }
}

impl From<StoreSendError> for Rejection {
    fn from(error: StoreSendError) -> Self {
        match error {
            SendError::Away | SendError::Unreachable(_) | SendError::Broken(_) | SendError::Refused(_) => {
                Self::StoreAway
            }
            SendError::Silent => Self::StoreSilent,
            SendError::Busy => Self::StoreBusy,
        }
    }
}

/// One counter for each [`Rejection`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Rejections([Counter; Rejection::ALL.len()]);

impl Rejections {
    /// Counts one.
    pub fn count(&mut self, rejection: Rejection) {
        self.0[rejection as usize].increment();
    }

    /// How often.
    pub fn value(&self, rejection: Rejection) -> u64 {
        self.0[rejection as usize].value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_counted_in_its_own_place() {
        let mut rejections = Rejections::default();
        for (index, rejection) in Rejection::ALL.into_iter().enumerate() {
            assert_eq!(rejection as usize, index);
            rejections.count(rejection);
            assert_eq!(rejections.value(rejection), 1);
        }
        assert!(Notice::ALL.into_iter().enumerate().all(|(index, notice)| notice as usize == index));
    }
}
