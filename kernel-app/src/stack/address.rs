//! The node's IPv4 address and name servers: configured, or leased by DHCP (RFC 2131).
//!
//! `dial` resolves names.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv4Addr;
use core::time::Duration;

use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::{dhcpv4, dns};
use smoltcp::wire::{DhcpPacket, IpAddress, IpCidr, Ipv4Address, Ipv4Cidr};

use super::time::stack_duration;
use crate::settings::{SettingError, Settings};
use wire::Instant;

/// Names that are resolved at the same time.
const QUERIES_MAX: usize = 4;
/// How long DHCP waits for an answer at first, and at most; up to a quarter of it is added by chance, so that machines
/// that start together do not ask together.
const QUESTION_WAIT_MIN: Duration = Duration::from_millis(500);
const QUESTION_WAIT_MAX: Duration = Duration::from_secs(64);

/// What is asked for: subnet mask, router, name servers, the link's MTU (RFC 2132).
const PARAMETERS: &[u8] = &[1, 3, 6, OPTION_MTU];
const OPTION_MTU: u8 = 26;
/// Room for the longest answer.
const ANSWER_BYTES_MAX: usize = 1_500;

/// What `MTU` may be, and what of a server's word about it is believed.
const MTU_RANGE: core::ops::RangeInclusive<u16> = 576..=1_500;

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
        /// Name servers, if any, with commas between them.
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

/// The largest packet by the setting `MTU`, where that is given: what any host takes up to what Ethernet does.
///
/// # Errors
/// When it is no such number.
pub fn mtu(settings: &Settings) -> Result<Option<u16>, SettingError> {
    let Some(value) = settings.get("MTU") else { return Ok(None) };
    let mtu = value.parse().ok().filter(|mtu| MTU_RANGE.contains(mtu));
    mtu.map(Some).ok_or_else(|| SettingError {
        name: "MTU",
        value: value.chars().take(40).collect(),
        expected: "the bytes of the largest packet, from 576 to 1500",
    })
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
    lease: Option<Lease>,
    own: Option<Ipv4Cidr>,
    gateway: Option<Ipv4Address>,
    /// What the link carries, where DHCP says so.
    mtu: Option<u16>,
    /// The first of them is asked.
    servers: Vec<IpAddress>,
    pub(super) resolver: SocketHandle,
}

/// DHCP's side of it.
struct Lease {
    socket: SocketHandle,
    /// Since when there is none.
    wanted_since: Option<Instant>,
}

impl Addressing {
    pub fn new(
        address: &Address,
        interface: &mut Interface,
        sockets: &mut SocketSet<'static>,
    ) -> Result<Self, AddressError> {
        let queries: Vec<Option<dns::DnsQuery>> = (0..QUERIES_MAX).map(|_| None).collect();
        let resolver = sockets.add(dns::Socket::new(&[], queries));
        let mut addressing =
            Self { lease: None, own: None, gateway: None, mtu: None, servers: Vec::new(), resolver };
        match address {
            Address::Dhcp => {
                let mut socket = dhcpv4::Socket::new();
                socket.set_parameter_request_list(PARAMETERS);
                socket.set_receive_packet_buffer(vec![0; ANSWER_BYTES_MAX].leak());
                let socket = sockets.add(socket);
                addressing.lease = Some(Lease { socket, wanted_since: None });
            }
            Address::Static { cidr, gateway, dns } => {
                addressing.own = Some(parse("IP", cidr)?);
                addressing.gateway = gateway.as_ref().map(|text| parse("GATEWAY", text)).transpose()?;
                let servers = dns.iter().flat_map(|text| text.split(','));
                let servers = servers.map(|text| parse("DNS", text.trim()).map(IpAddress::Ipv4));
                addressing.servers = servers.collect::<Result<_, _>>()?;
                addressing.apply(interface, sockets);
            }
        }
        Ok(addressing)
    }

    /// This node's address and prefix length, once it has them.
    pub fn own(&self) -> Option<Ipv4Cidr> {
        self.own
    }

    /// The largest packet that the link carries, where DHCP has said so.
    pub fn mtu(&self) -> Option<u16> {
        self.mtu
    }

    /// How many name servers there are.
    pub fn servers(&self) -> usize {
        self.servers.len()
    }

    /// The name server that is asked.
    pub fn server(&self) -> Option<Ipv4Addr> {
        self.servers.first().map(|IpAddress::Ipv4(address)| *address)
    }

    /// From now on another name server is asked, if there is one.
    pub fn ask_next_server(&mut self, sockets: &mut SocketSet<'static>) {
        if !self.servers.is_empty() {
            self.servers.rotate_left(1);
        }
        self.tell_resolver(sockets);
    }

    /// This node's address, and the neighbour by which another address is reached.
    pub fn way_to(&self, address: Ipv4Addr) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let own = self.own?;
        let next = if own.contains_addr(&address) { address } else { self.gateway? };
        Some((own.address(), next))
    }

    /// Takes over what DHCP has learnt, and spaces its questions; each may be late by a part that `jitter` draws.
    pub fn poll(
        &mut self,
        interface: &mut Interface,
        sockets: &mut SocketSet<'static>,
        now: Instant,
        jitter: impl FnOnce() -> u64,
    ) {
        let Some(lease) = &mut self.lease else { return };
        let socket = sockets.get_mut::<dhcpv4::Socket>(lease.socket);
        let event = socket.poll();
        let (address, gateway, mtu, servers) = match event {
            None => {
                if let Some(since) = lease.wanted_since {
                    space_questions(socket, now.since(since), jitter());
                }
                return;
            }
            Some(dhcpv4::Event::Configured(config)) => {
                let mtu = config.packet.as_ref().and_then(link_mtu);
                (Some(config.address), config.router, mtu, config.dns_servers)
            }
            Some(dhcpv4::Event::Deconfigured) => (None, None, None, Default::default()),
        };
        match address {
            // A lease that is renewed is told once.
            Some(_) if (address, mtu) == (self.own, self.mtu) => {}
            Some(address) => match mtu {
                None => log::info!("DHCP lease: {address}"),
                Some(mtu) => log::info!("DHCP lease: {address}, packets of {mtu} bytes at most"),
            },
            // The protocol also starts in this state.
            None if self.own.is_none() => {}
            None => log::warn!("DHCP lease lost, asking for a new one"),
        }
        if address.is_none() {
            space_questions(socket, Duration::ZERO, jitter());
        }
        lease.wanted_since = address.is_none().then_some(now);
        (self.own, self.gateway, self.mtu) = (address, gateway, mtu);
        self.servers = servers.into_iter().map(IpAddress::Ipv4).collect();
        self.apply(interface, sockets);
    }

    /// Tells the interface and the resolver what is known.
    pub fn apply(&self, interface: &mut Interface, sockets: &mut SocketSet<'static>) {
        set_address(interface, self.own, self.gateway);
        self.tell_resolver(sockets);
    }

    fn tell_resolver(&self, sockets: &mut SocketSet<'static>) {
        let first = &self.servers[..self.servers.len().min(1)];
        sockets.get_mut::<dns::Socket>(self.resolver).update_servers(first);
    }
}

/// The MTU that an answer tells.
fn link_mtu(answer: &DhcpPacket<&[u8]>) -> Option<u16> {
    let told = answer.options().find(|option| option.kind == OPTION_MTU)?;
    Some(u16::from_be_bytes(told.data.try_into().ok()?)).filter(|mtu| MTU_RANGE.contains(mtu))
}

/// Sets when DHCP asks again if it is not answered: as long after its next question as it has waited already, so that
/// each wait is twice the one before (RFC 2131 section 4.1). A local network answers at once; the protocol's own first
/// wait would be most of a boot.
fn space_questions(socket: &mut dhcpv4::Socket<'_>, waited: Duration, jitter: u64) {
    let wait = waited.clamp(QUESTION_WAIT_MIN, QUESTION_WAIT_MAX);
    let wait = wait + wait * (jitter % 256) as u32 / 1024;
    let mut retry = socket.get_retry_config();
    retry.discover_timeout = stack_duration(wait);
    retry.initial_request_timeout = stack_duration(QUESTION_WAIT_MIN);
    socket.set_retry_config(retry);
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
