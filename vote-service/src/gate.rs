//! The decision whether a new voter may vote: the poll may be full, or too many new voters may arrive at once.
//!
//! It sends no queries. The handler looks up whether a voter has voted, and only if that matters.

use core::net::IpAddr;

use kernel_app::http::Request;
use kernel_app::settings::{SettingError, Settings};
use kernel_app::{Instant, Usage};

use crate::fullness::{Fullness, Level};
use crate::rate::{ADDRESSES_MAX, Rate};
use crate::rejection::Rejection;
use crate::sender::AddressSource;

/// What decides about a new voter.
#[derive(Debug, Default)]
pub struct Gate {
    /// How full the store is.
    pub fullness: Fullness,
    rate: Rate,
    addresses: AddressSource,
}

impl Gate {
    /// A gate with the limits that are set.
    ///
    /// # Errors
    /// When one cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, SettingError> {
        let (rate, addresses) = (Rate::new(settings)?, AddressSource::new(settings)?);
        Ok(Self { fullness: Fullness::default(), rate, addresses })
    }

    /// Whether everybody may vote, so that nobody need be looked up.
    pub fn is_open(&self) -> bool {
        self.fullness.level() == Level::Room && !self.rate.is_limited()
    }

    /// The address that a voter comes from.
    pub fn address(&self, request: &Request<'_>, peer: Option<IpAddr>) -> IpAddr {
        self.addresses.address(request, peer)
    }

    /// Lets in somebody who has not voted yet.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&mut self, address: IpAddr, now: Instant) -> Result<(), Rejection> {
        match self.fullness.level() {
            Level::Full => Err(Rejection::Full),
            Level::Behind => Err(Rejection::StoreBehind),
            Level::Room if self.rate.admit(address, now) => Ok(()),
            Level::Room => Err(Rejection::TooFast),
        }
    }

    /// What operators should know while votes are taken all the same.
    pub fn remark(&self) -> Option<&'static str> {
        match self.fullness.level() {
            Level::Room => None,
            Level::Full => Some("full for new voters: raise the store's MAXMEMORY (maxmemory)"),
            Level::Behind => Some("closed to new voters until votes are counted: start more workers"),
        }
    }

    /// How much of what is bounded here is in use.
    pub fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        report(Usage::new("addresses of new voters", self.rate.addresses(), ADDRESSES_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use wire::resp::Reply;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn new_voters_are_admitted_unless_a_limit_applies() {
        let settings = Settings::from_pairs([("NEW_VOTERS_PER_MINUTE", "1")]);
        let (mut open, mut limited) = (Gate::default(), Gate::new(&settings).expect("a number"));
        assert!(open.is_open() && !limited.is_open());
        assert_eq!(
            [(); 2].map(|()| limited.admit(ADDRESS, Instant::ZERO)),
            [Ok(()), Err(Rejection::TooFast)]
        );
        assert_eq!([(); 2].map(|()| open.admit(ADDRESS, Instant::ZERO)), [Ok(()); 2]);

        open.fullness.answered(Reply::Bulk(b"used_memory:160000\r\nmaxmemory:160000\r\n"));
        assert!(!open.is_open() && open.remark().is_some_and(|remark| remark.contains("full")));
        assert_eq!(open.admit(ADDRESS, Instant::ZERO), Err(Rejection::Full));
        open.fullness.queue_is(Reply::Integer(1_000));
        assert_eq!(open.admit(ADDRESS, Instant::ZERO), Err(Rejection::StoreBehind));
        open.fullness.answered(Reply::Bulk(b"used_memory:0\r\nmaxmemory:160000\r\n"));
        assert_eq!((open.admit(ADDRESS, Instant::ZERO), open.remark()), (Ok(()), None));
    }
}
