//! What the kernel lets this process do, as in capabilities(7).

use std::fs;

/// A right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    number: u32,
    /// Its name.
    pub name: &'static str,
}

/// To make and change network interfaces.
pub const NET_ADMIN: Capability = Capability { number: 12, name: "CAP_NET_ADMIN" };
/// To make namespaces.
pub const SYS_ADMIN: Capability = Capability { number: 21, name: "CAP_SYS_ADMIN" };

/// Whether this process has a right.
pub fn has(capability: Capability) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    is_among(&status, capability)
}

/// Whether the effective capabilities in `/proc/self/status` have this one.
fn is_among(status: &str, capability: Capability) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = line.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    bits.is_some_and(|bits| bits & (1 << capability.number) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_status() {
        assert!(is_among("Name:\tx\nCapEff:\t000001ffffffffff\n", NET_ADMIN));
        assert!(!is_among("CapPrm:\t000001ffffffffff\nCapEff:\t0000000000000400\n", NET_ADMIN));
        assert!(!is_among("", SYS_ADMIN));
    }
}
