//! The few servers outside that settings name (`--redis`, `--results`): on the segment each is a port of the gateway,
//! and nothing else outside can be reached.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result, bail};
use segment::gateway::is_relay_port;
use segment::layout::GATEWAY;

use crate::application::template::Template;
use crate::plan::{HOST_SEEN_BY_GUESTS, Instance};

/// First port for servers whose own port is taken.
const PORT_FIRST: u16 = 40_000;
/// Most servers.
const SERVERS_MAX: usize = 64;
/// Ports of URLs without one.
const PORTS: [(&str, u16); 4] = [("redis", 6379), ("postgres", 5432), ("postgresql", 5432), ("http", 80)];

/// Servers outside, with the names that machines have for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    servers: Vec<Server>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Server {
    /// Port of the gateway that stands for it.
    own_port: u16,
    host: String,
    port: u16,
    /// The setting that names it, for people.
    setting: String,
}

/// A URL in its parts: everything before the host, host, port if there is one, everything after.
struct Url<'a> {
    before: &'a str,
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
    after: &'a str,
}

impl Outgoing {
    /// The servers that these instances' settings name.
    ///
    /// # Errors
    /// When there are too many.
    pub fn of(instances: &[Instance]) -> Result<Self> {
        let mut outgoing = Self::default();
        let settings = instances.iter().flat_map(|instance| &instance.environment);
        for (setting, value) in settings {
            let Some((host, port)) = server(value) else { continue };
            if outgoing.find(&host, port).is_none() {
                let own_port = outgoing.free_port(port);
                outgoing.servers.push(Server { own_port, host, port, setting: setting.clone() });
            }
        }
        if outgoing.servers.len() > SERVERS_MAX {
            bail!("the settings name more than {SERVERS_MAX} servers outside: name fewer");
        }
        Ok(outgoing)
    }

    /// The ports of the gateway that an instance may use.
    pub fn ports_of(&self, instance: &Instance) -> Vec<u16> {
        let named = instance.environment.values().filter_map(|value| server(value));
        named.filter_map(|(host, port)| self.find(&host, port)).map(|server| server.own_port).collect()
    }

    /// A filled setting as a machine on the segment needs it; none when it names no server outside.
    pub fn rewrite(&self, value: &str) -> Option<String> {
        let (host, port) = address(value)?;
        let Server { own_port, .. } = self.find(&host, port)?;
        let Url { before, after, .. } = parse(value)?;
        Some(format!("{before}{GATEWAY}:{own_port}{after}"))
    }

    /// The servers' addresses, by the ports that stand for them.
    ///
    /// # Errors
    /// When a name has none.
    pub fn resolve(&self) -> Result<Vec<(u16, SocketAddr)>> {
        let resolve = |server: &Server| {
            let Server { own_port, host, port, setting } = server;
            let found = (host.as_str(), *port).to_socket_addrs().ok().and_then(|mut found| found.next());
            let found =
                found.with_context(|| format!("{setting}: {host} has no address: is the name right?"))?;
            Ok((*own_port, found))
        };
        self.servers.iter().map(resolve).collect()
    }

    fn find(&self, host: &str, port: u16) -> Option<&Server> {
        self.servers.iter().find(|server| server.host == host && server.port == port)
    }

    /// The server's own port number if it is free.
    fn free_port(&self, port: u16) -> u16 {
        let is_free =
            |port: &u16| !is_relay_port(*port) && self.servers.iter().all(|it| it.own_port != *port);
        // There are more numbers than servers.
        std::iter::once(port).chain(PORT_FIRST..).find(is_free).unwrap_or(PORT_FIRST)
    }
}

/// Host and port of the server outside that a setting names: it is a URL, and refers to no service.
fn server(value: &str) -> Option<(String, u16)> {
    if Template::parse(value).ok()?.references().next().is_some() {
        return None;
    }
    address(value)
}

/// Host and port that a URL names.
fn address(value: &str) -> Option<(String, u16)> {
    let url = parse(value)?;
    let of_scheme = || PORTS.iter().find(|(scheme, _)| *scheme == url.scheme).map(|(_, port)| *port);
    let host = if url.host == HOST_SEEN_BY_GUESTS { "127.0.0.1" } else { url.host };
    Some((host.to_owned(), url.port.or_else(of_scheme)?))
}

fn parse(value: &str) -> Option<Url<'_>> {
    let (scheme, rest) = value.split_once("://")?;
    let end_of_server = |text: &str| text.find(['/', '?', '#']).unwrap_or(text.len());
    // As the services read it: a login may hold anything.
    let has_login = matches!(scheme, "redis" | "postgres" | "postgresql");
    let login_within = if has_login { rest } else { &rest[..end_of_server(rest)] };
    let place = &rest[login_within.rfind('@').map_or(0, |at| at + 1)..];
    let (server, after) = place.split_at(end_of_server(place));
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (server, None),
    };
    let before = &value[..value.len() - place.len()];
    (!host.is_empty()).then_some(Url { before, scheme, host, port, after })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::draft::tests::one_service;

    fn rewritten(values: &[&str]) -> Vec<Option<String>> {
        let mut instance = one_service(1, 1).instances.remove(0);
        instance.environment =
            (0..).zip(values).map(|(n, value)| (format!("S{n}"), (*value).to_owned())).collect();
        let outgoing = Outgoing::of(&[instance]).expect("few");
        values.iter().map(|value| outgoing.rewrite(value)).collect()
    }

    #[test]
    fn only_outside_servers_are_replaced_by_the_gateways_address() {
        let values = [
            "redis://:pass@10.0.2.2:7000/2",
            "redis://db.example",
            "redis://other.example",
            "postgres://u:p@10.0.2.2/votes?a=b",
            "postgres://u:p/w?@10.0.2.2/votes",
            "http://10.0.2.2/?from=a@b",
            "redis://{store:6379}",
            "Cats",
        ];
        let expected = [
            Some("redis://:pass@10.0.2.2:7000/2"),
            Some("redis://10.0.2.2:6379"),
            Some("redis://10.0.2.2:40000"),
            Some("postgres://u:p@10.0.2.2:5432/votes?a=b"),
            Some("postgres://u:p/w?@10.0.2.2:5432/votes"),
            Some("http://10.0.2.2:80/?from=a@b"),
            None,
            None,
        ];
        assert_eq!(rewritten(&values), expected.map(|value| value.map(str::to_owned)));
    }

    #[test]
    fn a_name_without_an_address_is_told_with_its_setting() {
        let mut instance = one_service(1, 1).instances.remove(0);
        instance.environment = [("REDIS_URL".to_owned(), "redis://no.such.invalid".to_owned())].into();
        let outgoing = Outgoing::of(&[instance]).expect("one");
        let error = outgoing.resolve().expect_err("no address").to_string();
        assert!(error.starts_with("REDIS_URL: no.such.invalid has no address"), "{error}");
    }
}
