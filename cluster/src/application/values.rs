//! Single values of a description: sizes, port mappings, conditions. Each value is checked when it is read, so that
//! the error has its place in the file.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Deserializer, de};

use image_build::vm::disk_image::{SIZE_MIB_MAX, SIZE_MIB_MIN};
use image_build::vm::machine::{MEMORY_MIB_MAX, MEMORY_MIB_MIN};

/// Memory of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// In MiB.
    pub mib: u32,
}

/// Size of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSize {
    /// In MiB.
    pub mib: u32,
}

/// A port of the guest published at a fixed address of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortMapping {
    /// Address of the host.
    pub address: IpAddr,
    /// Port of the host for the first instance; further instances get the next free ones.
    pub host: u16,
    /// Port of the guest.
    pub guest: u16,
}

/// What a dependency has to have reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// Its virtual machines run.
    Started,
    /// All its instances answer their health check.
    Healthy,
}

/// A size in MiB.
fn size_mib(text: &str) -> Option<u32> {
    let (number, unit_mib) =
        text.strip_suffix("MiB").map(|n| (n, 1)).or_else(|| text.strip_suffix("GiB").map(|n| (n, 1024)))?;
    number.trim_end().parse::<u32>().ok()?.checked_mul(unit_mib)
}

impl PortMapping {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, ':');
        let guest = port(parts.next()?)?;
        let host = port(parts.next()?)?;
        let address = parts.next().map_or(Some(Ipv4Addr::LOCALHOST.into()), address)?;
        Some(Self { address, host, guest })
    }
}

/// An address as URLs have it: those of IPv6 in brackets.
fn address(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => text.parse().ok().map(IpAddr::V4),
    }
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

impl fmt::Display for PortMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", SocketAddr::new(self.address, self.host), self.guest)
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mib = size_mib(&text).filter(|mib| (MEMORY_MIB_MIN..=MEMORY_MIB_MAX).contains(mib));
        mib.map(|mib| Self { mib }).ok_or_else(|| {
            de::Error::custom(format!(
                "{text:?} is not a memory size: give {MEMORY_MIB_MIN}MiB to {MEMORY_MIB_MAX}MiB, such as \"32MiB\""
            ))
        })
    }
}

impl<'de> Deserialize<'de> for DiskSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mib = size_mib(&text).filter(|mib| (SIZE_MIB_MIN..=SIZE_MIB_MAX).contains(mib));
        mib.map(|mib| Self { mib }).ok_or_else(|| {
            de::Error::custom(format!(
                "{text:?} is not a disk size: give {SIZE_MIB_MIN}MiB to {SIZE_MIB_MAX}MiB, such as \"128MiB\""
            ))
        })
    }
}

impl<'de> Deserialize<'de> for PortMapping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "{text:?} publishes no port: give \"HOST:GUEST\" or \"ADDRESS:HOST:GUEST\", such as \"8080:8080\" or \"[::1]:8080:8080\""
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_published_at_addresses_of_both_kinds() {
        let parsed = |text: &str| PortMapping::parse(text).map(|mapping| mapping.to_string());
        assert_eq!(parsed("8080:80").as_deref(), Some("127.0.0.1:8080:80"));
        assert_eq!(parsed("0.0.0.0:8080:80").as_deref(), Some("0.0.0.0:8080:80"));
        assert_eq!(parsed("[::1]:8080:80").as_deref(), Some("[::1]:8080:80"));
        for wrong in ["::1:8080:80", "[::1:8080:80", "[127.0.0.1]:8080:80", "[::1]:8080", "x:1:1"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
