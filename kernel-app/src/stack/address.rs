//! The node's IPv4 address and name servers: given, or leased by DHCP (RFC 2131).
//!
//! Resolves no names; `dial` does.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::{dhcpv4, dns};
use smoltcp::wire::{IpAddress, IpCidr, Ipv4Address, Ipv4Cidr};

use crate::settings::Settings;

/// Names that are resolved at the same time.
const QUERIES_MAX: usize = 4;

/// Where the address comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Leased by DHCP.
    Dhcp,
    /// Given.
    Static {
        /// Address and prefix length, such as `10.0.2.15/24`.
        cidr: String,
        /// Default route, if any.
        gateway: Option<String>,
        /// Name server, if any.
        dns: Option<String>,
    },
}

impl Address {
    /// From `IP`, `GATEWAY` and `DNS`; by DHCP when `IP` is not set.
    pub fn from_settings(settings: &Settings) -> Self {
        let text = |name| settings.get(name).map(ToString::to_string);
        match text("IP") {
            None => Self::Dhcp,
            Some(cidr) => Self::Static { cidr, gateway: text("GATEWAY"), dns: text("DNS") },
        }
    }
}

/// An address setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError {
    name: &'static str,
    value: String,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let example = if self.name == "IP" { "10.0.2.15/24" } else { "10.0.2.2" };
        write!(f, "{}={:?} is no IPv4 address: give one such as {example}", self.name, self.value)
    }
}

impl core::error::Error for AddressError {}

/// Keeps the interface's address up to date.
pub(super) struct Addressing {
    lease: Option<SocketHandle>,
    own: Option<Ipv4Cidr>,
    pub(super) resolver: SocketHandle,
}

impl Addressing {
    pub fn new(
        address: &Address,
        interface: &mut Interface,
        sockets: &mut SocketSet<'static>,
    ) -> Result<Self, AddressError> {
        let queries: Vec<Option<dns::DnsQuery>> = (0..QUERIES_MAX).map(|_| None).collect();
        let mut resolver = dns::Socket::new(&[], queries);
        let mut own = None;
        let lease = match address {
            Address::Dhcp => Some(sockets.add(dhcp_socket())),
            Address::Static { cidr, gateway, dns } => {
                let cidr: Ipv4Cidr = parse("IP", cidr)?;
                let gateway = gateway.as_ref().map(|text| parse("GATEWAY", text)).transpose()?;
                let server = dns.as_ref().map(|text| parse("DNS", text)).transpose()?;
                let servers: Vec<IpAddress> = server.into_iter().map(IpAddress::Ipv4).collect();
                resolver.update_servers(&servers);
                own = Some(cidr);
                set_address(interface, own, gateway);
                None
            }
        };
        Ok(Self { lease, own, resolver: sockets.add(resolver) })
    }

    /// This node's address and prefix length, once it has them.
    pub fn own(&self) -> Option<Ipv4Cidr> {
        self.own
    }

    /// Takes over what DHCP has learnt.
    pub fn poll(&mut self, interface: &mut Interface, sockets: &mut SocketSet<'static>) {
        let Some(lease) = self.lease else { return };
        let (address, gateway, servers) = match sockets.get_mut::<dhcpv4::Socket>(lease).poll() {
            None => return,
            Some(dhcpv4::Event::Configured(config)) => {
                (Some(config.address), config.router, config.dns_servers)
            }
            Some(dhcpv4::Event::Deconfigured) => (None, None, Default::default()),
        };
        match address {
            Some(address) => log::info!("DHCP lease: {address}"),
            // The protocol also starts in this state.
            None if interface.ipv4_addr().is_none() => {}
            None => log::warn!("DHCP lease lost, asking for a new one"),
        }
        self.own = address;
        set_address(interface, address, gateway);
        let servers: Vec<IpAddress> = servers.into_iter().map(IpAddress::Ipv4).collect();
        sockets.get_mut::<dns::Socket>(self.resolver).update_servers(&servers);
    }
}

fn dhcp_socket() -> dhcpv4::Socket<'static> {
    let mut socket = dhcpv4::Socket::new();
    let mut retry = socket.get_retry_config();
    // A local network answers at once; the protocol's own 10 s would be most of a boot.
    retry.discover_timeout = smoltcp::time::Duration::from_millis(500);
    retry.initial_request_timeout = smoltcp::time::Duration::from_millis(500);
    socket.set_retry_config(retry);
    socket
}

fn set_address(interface: &mut Interface, address: Option<Ipv4Cidr>, gateway: Option<Ipv4Address>) {
    interface.update_ip_addrs(|addresses| {
        addresses.clear();
        // One address always fits the list that was just emptied.
        let _ = address.map(|cidr| addresses.push(IpCidr::Ipv4(cidr)));
    });
    interface.routes_mut().remove_default_ipv4_route();
    // The route table has room for the default route that was just removed.
    let _ = gateway.map(|gateway| interface.routes_mut().add_default_ipv4_route(gateway));
}

fn parse<T: core::str::FromStr>(name: &'static str, value: &str) -> Result<T, AddressError> {
    value.parse().map_err(|_| AddressError { name, value: value.chars().take(40).collect() })
}
