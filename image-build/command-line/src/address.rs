//! The word `ip=`: an address with its prefix as urunc gives it, or Linux's fields with colons between them.
//!
//! Linux's: Documentation/admin-guide/nfs/nfsroot.rst.

use alloc::format;
use alloc::string::String;

/// How an address is found that is not given. All of them are DHCP to us.
const ASKED_FOR: [&str; 6] = ["dhcp", "on", "any", "both", "bootp", "rarp"];
/// That no address is to be found: ours without one would be of no use.
const NOT_ASKED_FOR: [&str; 2] = ["off", "none"];

/// What an `ip=` says; what it does not is empty.
pub struct Address<'a> {
    /// The machine's address.
    pub own: &'a str,
    /// The default route.
    pub gateway: &'a str,
    /// Name servers.
    pub servers: [&'a str; 2],
    mask: &'a str,
}

impl<'a> Address<'a> {
    pub fn read(value: &'a str) -> Self {
        let mut fields = value.split(':');
        let mut next = || fields.next().unwrap_or_default();
        let (own, _server, gateway, mask) = (next(), next(), next(), next());
        let (_host, _card, how) = (next(), next(), next());
        let servers = [next(), next()];
        let is_none = own == "0.0.0.0" || ASKED_FOR.contains(&own) || NOT_ASKED_FOR.contains(&own);
        let own = if is_none || ASKED_FOR.contains(&how) { "" } else { own };
        Self { own, gateway, servers, mask }
    }

    /// The length of the prefix that its mask means. What is no mask is left as it is: the program says so.
    pub fn prefix(&self) -> Option<String> {
        if self.own.is_empty() || self.mask.is_empty() {
            return None;
        }
        Some(match mask_bits(self.mask) {
            Some(bits) => format!("{bits}"),
            None => String::from(self.mask),
        })
    }
}

/// How many bits are set in a mask such as 255.255.255.0, if they come first.
fn mask_bits(mask: &str) -> Option<u32> {
    let mut bytes = [0; 4];
    let mut parts = mask.split('.');
    for byte in &mut bytes {
        *byte = parts.next()?.parse().ok()?;
    }
    let mask = u32::from_be_bytes(bytes);
    let bits = mask.leading_ones();
    (parts.next().is_none() && bits + mask.trailing_zeros() == u32::BITS).then_some(bits)
}
