//! Limits on new voters per minute, from one address and in total: token buckets, in a table of bounded size.
//!
//! It reads no clock. A bucket holds the tokens of one minute: that many voters may come at once, and then one at a
//! time as tokens arrive.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use kernel_app::Instant;
use kernel_app::settings::{SettingError, Settings};

/// Most addresses that are remembered; the one that has been quiet for longest goes first.
pub const ADDRESSES_MAX: usize = 4096;
/// Most new voters a minute that can be set.
pub const PER_MINUTE_MAX: u32 = 1_000_000;

const MINUTE: Duration = Duration::from_secs(60);
const EXPECTED: &str = "how many new voters may come a minute, at most 1000000; 0 for any number";

/// A bucket, as the time when it will be full again.
type FullAt = Instant;

/// The bucket of all, and one for each address.
#[derive(Debug, Default)]
pub struct Rate {
    /// Time that a token takes to come.
    in_all: Option<Duration>,
    per_address: Option<Duration>,
    all: FullAt,
    /// In order. A tree would take ten kilobytes of the image, and save a move of some at most for a new voter.
    addresses: Vec<(IpAddr, FullAt)>,
}

impl Rate {
    /// The limits that are set.
    ///
    /// # Errors
    /// When one cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, SettingError> {
        let pause = |name| {
            let number = settings.number(name, 0, PER_MINUTE_MAX, EXPECTED)?;
            Ok((number > 0).then(|| MINUTE / number))
        };
        let in_all = pause("NEW_VOTERS_PER_MINUTE")?;
        let per_address = pause("NEW_VOTERS_PER_MINUTE_PER_ADDRESS")?;
        Ok(Self { in_all, per_address, ..Self::default() })
    }

    /// Whether there is a limit.
    pub fn is_limited(&self) -> bool {
        self.in_all.is_some() || self.per_address.is_some()
    }

    /// Lets a new voter in, unless there were too many.
    pub fn admit(&mut self, address: IpAddr, now: Instant) -> bool {
        let address = network(address);
        let of_address =
            self.place(address).map_or_else(|_| FullAt::default(), |place| self.addresses[place].1);
        let (Some(all), Some(of_address)) =
            (taken(self.all, self.in_all, now), taken(of_address, self.per_address, now))
        else {
            return false;
        };
        self.all = all;
        if self.per_address.is_some() {
            self.remember(address, of_address, now);
        }
        true
    }

    /// Where an address stands, or would.
    fn place(&self, address: IpAddr) -> Result<usize, usize> {
        self.addresses.binary_search_by_key(&address, |(known, _)| *known)
    }

    /// How many addresses are remembered.
    pub fn addresses(&self) -> usize {
        self.addresses.len()
    }

    fn remember(&mut self, address: IpAddr, full_at: FullAt, now: Instant) {
        if let Ok(place) = self.place(address) {
            self.addresses[place].1 = full_at;
            return;
        }
        if self.addresses.len() >= ADDRESSES_MAX {
            // A full bucket is like none.
            self.addresses.retain(|(_, full_at)| *full_at > now);
        }
        if self.addresses.len() >= ADDRESSES_MAX {
            let soonest = self.addresses.iter().enumerate().min_by_key(|(_, (_, full_at))| *full_at);
            if let Some(place) = soonest.map(|(place, _)| place) {
                self.addresses.remove(place);
            }
        }
        let (Ok(place) | Err(place)) = self.place(address);
        self.addresses.insert(place, (address, full_at));
    }
}

/// A bucket after a token was taken from it; none when there is no token.
fn taken(full_at: FullAt, pause: Option<Duration>, now: Instant) -> Option<FullAt> {
    let Some(pause) = pause else { return Some(full_at) };
    let full_at = full_at.max(now) + pause;
    (full_at.since(now) <= MINUTE).then_some(full_at)
}

/// Whom an address belongs to: of IPv6, everybody has 64 bits to choose from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    fn rate(in_all: &str, per_address: &str) -> Rate {
        let names = ["NEW_VOTERS_PER_MINUTE", "NEW_VOTERS_PER_MINUTE_PER_ADDRESS"];
        Rate::new(&Settings::from_pairs(names.into_iter().zip([in_all, per_address]))).expect("numbers")
    }

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    /// How many of the given number of attempts are admitted.
    fn admitted(rate: &mut Rate, tries: u32, from: impl Fn(u32) -> IpAddr, at: Instant) -> usize {
        (0..tries).filter(|number| rate.admit(from(*number), at)).count()
    }

    #[test]
    fn a_rate_allows_a_burst_and_then_one_at_a_time() {
        let (mut rate, start) = (rate("", "6"), Instant::from_millis(90_000));
        assert!(rate.is_limited());
        let mut try_at =
            |seconds, tries| admitted(&mut rate, tries, |_| address(1), start + Duration::from_secs(seconds));
        assert_eq!(try_at(0, 10), 6);
        assert_eq!(try_at(9, 10), 0);
        assert_eq!(try_at(10, 10), 1);
        assert_eq!(try_at(30, 10), 2);
        assert_eq!(try_at(3_600, 10), 6, "no more than a minute's");
        assert_eq!(admitted(&mut rate, 10, |_| address(2), start), 6, "another address has its own");
    }

    #[test]
    fn all_together_have_a_limit_too_and_who_is_refused_takes_nothing() {
        let (mut rate, now) = (rate("10", "4"), Instant::from_millis(1));
        assert_eq!(admitted(&mut rate, 9, |_| address(1), now), 4);
        assert_eq!(admitted(&mut rate, 9, address, now), 6);
        assert_eq!(admitted(&mut rate, 9, |_| address(77), now), 0);
        assert_eq!(rate.addresses(), 7, "nobody is remembered for having been refused");
    }

    #[test]
    fn without_a_limit_nobody_is_counted() {
        for mut rate in [rate("", ""), rate("0", "0")] {
            assert!(!rate.is_limited());
            assert_eq!(admitted(&mut rate, 1_000, |_| address(1), Instant::ZERO), 1_000);
            assert_eq!(rate.addresses(), 0);
        }
        let wrong = Settings::from_pairs([("NEW_VOTERS_PER_MINUTE", "many")]);
        assert_eq!(Rate::new(&wrong).expect_err("no number").name, "NEW_VOTERS_PER_MINUTE");
    }

    #[test]
    fn the_table_is_bounded_and_the_most_quiet_go_first() {
        let (mut rate, now) = (rate("", "1"), Instant::from_millis(1_000));
        assert!(rate.admit(address(0), now));
        let later = now + Duration::from_secs(1);
        let many = u32::try_from(ADDRESSES_MAX).expect("few");
        assert_eq!(admitted(&mut rate, many, |number| address(number + 1), later), ADDRESSES_MAX);
        assert_eq!(rate.addresses(), ADDRESSES_MAX);
        assert!(rate.admit(address(0), later), "it was forgotten");
        assert!(!rate.admit(address(many), later));
        let after = later + MINUTE;
        assert!(rate.admit(address(many + 7), after));
        assert_eq!(rate.addresses(), 1, "all of them may come again, so nothing need be known of them");
    }

    #[test]
    fn a_site_of_ipv6_is_one_address_and_ipv4_in_ipv6_is_ipv4() {
        let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(network(parse("2001:db8:1:2:3:4:5:6")), network(parse("2001:db8:1:2::9")));
        assert_ne!(network(parse("2001:db8:1:2::1")), network(parse("2001:db8:1:3::1")));
        assert_eq!(network(parse("::ffff:192.0.2.1")), parse("192.0.2.1"));
    }
}
