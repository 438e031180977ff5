//! The addresses of this container, as the kernel and `/etc/resolv.conf` tell them.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, ensure};
use futures_util::TryStreamExt;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute};
use rtnetlink::{Handle, RouteMessageBuilder};

use super::redirect::with_kernel;

/// Where a container's name servers are named.
const RESOLVER: &str = "/etc/resolv.conf";

/// What the guest takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Name of the container's interface.
    pub interface: String,
    /// Hardware address of it.
    pub mac: [u8; 6],
    /// Largest packet.
    pub mtu: u32,
    address: Ipv4Addr,
    prefix: u8,
    gateway: Option<Ipv4Addr>,
    name_servers: Vec<Ipv4Addr>,
}

impl Addresses {
    /// As a guest's settings.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let servers: Vec<String> = self.name_servers.iter().map(ToString::to_string).collect();
        let mut settings =
            vec![("IP", format!("{}/{}", self.address, self.prefix)), ("MTU", self.mtu.to_string())];
        settings.extend(self.gateway.map(|gateway| ("GATEWAY", gateway.to_string())));
        settings.extend((!servers.is_empty()).then(|| ("DNS", servers.join(","))));
        settings
    }
}

/// Those of the interface with the default route.
///
/// # Errors
/// When there is none, or only this container itself reaches its name servers.
pub fn addresses() -> Result<Addresses> {
    let name_servers = name_servers(&fs::read_to_string(RESOLVER).unwrap_or_default())?;
    let route = with_kernel(default_route)?.context("the container has no default route")?;
    let (address, prefix) =
        with_kernel(async |handle| own_address(handle, route.index).await)?.context("it has no address")?;
    let interface = interface_name(route.index)?;
    let fact = |name: &str| {
        let path = format!("/sys/class/net/{interface}/{name}");
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    };
    let mtu = fact("mtu")?.trim().parse().context("its MTU is no number")?;
    let mac = parse_mac(fact("address")?.trim()).context("it is no Ethernet")?;
    Ok(Addresses { mac, mtu, interface, address, prefix, gateway: route.gateway, name_servers })
}

struct Route {
    index: u32,
    gateway: Option<Ipv4Addr>,
}

async fn default_route(handle: Handle) -> Result<Option<Route>> {
    let request = handle.route().get(RouteMessageBuilder::<Ipv4Addr>::new().build()).execute();
    let is_default = |message: &rtnetlink::packet_route::route::RouteMessage| {
        message.header.destination_prefix_length == 0
    };
    let routes: Vec<_> = request.try_collect().await.context("routes cannot be asked for")?;
    let attributes = routes.into_iter().filter(is_default).map(|message| message.attributes);
    Ok(attributes.into_iter().find_map(|attributes| parse_route(&attributes)))
}

fn parse_route(attributes: &[RouteAttribute]) -> Option<Route> {
    let index = attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    });
    let gateway = attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => Some(*gateway),
        _ => None,
    });
    index.map(|index| Route { index, gateway })
}

async fn own_address(handle: Handle, index: u32) -> Result<Option<(Ipv4Addr, u8)>> {
    let request = handle.address().get().set_link_index_filter(index).execute();
    let messages: Vec<_> = request.try_collect().await.context("addresses cannot be asked for")?;
    let found = messages.iter().find_map(|message| {
        let prefix = message.header.prefix_len;
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(IpAddr::V4(address)) => Some((*address, prefix)),
            _ => None,
        })
    });
    Ok(found)
}

fn interface_name(index: u32) -> Result<String> {
    let folder = "/sys/class/net";
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {folder}"))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_it = |name: &String| {
        fs::read_to_string(format!("{folder}/{name}/ifindex"))
            .is_ok_and(|text| text.trim() == index.to_string())
    };
    names.into_iter().find(is_it).with_context(|| format!("the interface {index} is not in {folder}"))
}

/// The servers in a resolver's configuration. The engine's own at a loopback address answers none but this container.
fn name_servers(text: &str) -> Result<Vec<Ipv4Addr>> {
    let named = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let servers: Vec<Ipv4Addr> = named.filter_map(|rest| rest.trim().parse().ok()).collect();
    let own = servers.iter().find(|server| server.is_loopback());
    ensure!(
        own.is_none(),
        "a guest cannot ask the container's own name server {}",
        own.map(ToString::to_string).unwrap_or_default()
    );
    Ok(servers)
}

fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_gets_the_containers_addresses() {
        let addresses = Addresses {
            interface: "eth0".to_owned(),
            mac: parse_mac("0a:58:0a:f4:01:05").expect("six bytes"),
            mtu: 1450,
            address: Ipv4Addr::new(10, 244, 1, 5),
            prefix: 24,
            gateway: Some(Ipv4Addr::new(10, 244, 1, 1)),
            name_servers: name_servers("search a.b\nnameserver 10.96.0.10\nnameserver fd00::a\n")
                .expect("usable"),
        };
        let expected =
            [("IP", "10.244.1.5/24"), ("MTU", "1450"), ("GATEWAY", "10.244.1.1"), ("DNS", "10.96.0.10")];
        assert_eq!(addresses.settings(), expected.map(|(name, value)| (name, value.to_owned())));
        assert_eq!(addresses.mac, [0x0a, 0x58, 0x0a, 0xf4, 0x01, 0x05]);
    }

    #[test]
    fn a_name_server_that_only_the_container_reaches_is_no_use() {
        let error = name_servers("nameserver 127.0.0.11\n").expect_err("the engine's own").to_string();
        assert_eq!(error, "a guest cannot ask the container's own name server 127.0.0.11");
        assert_eq!(name_servers("").expect("none"), Vec::<Ipv4Addr>::new());
    }

    #[test]
    fn hardware_addresses_have_six_bytes() {
        assert_eq!(parse_mac("00:00"), None);
        assert_eq!(parse_mac("x"), None);
    }
}
