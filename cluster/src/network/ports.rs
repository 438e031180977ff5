//! Ports of the host for the guests of a plan: found, and held until the guest takes them over. QEMU or the
//! application's own network forwards them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use crate::plan::{HostPort, Instance, Port};
use crate::state::access::Access;

/// Longest path of a socket, in bytes.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The host's ports of all instances.
#[derive(Debug)]
pub struct Ports {
    addresses: BTreeMap<(String, u16), SocketAddr>,
    held: Vec<(String, u16, TcpListener)>,
    /// Those that all instances of a service share, by its name and the guests' port.
    shared: BTreeMap<(String, u16), SharedAddress>,
    /// The folder of the sockets for unpublished ports; without it, these ports have addresses.
    private: Option<PathBuf>,
}

/// An address that several instances share.
#[derive(Debug)]
struct SharedAddress {
    address: SocketAddr,
    /// Holds it until who shares it out takes it over.
    listener: Option<TcpListener>,
}

/// A port of the host that is not available.
#[derive(Debug)]
pub struct PortError {
    address: IpAddr,
    wanted: HostPort,
    service: String,
    error: io::Error,
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, wanted, service, error } = self;
        match (wanted, error.kind()) {
            (HostPort::Exactly(port) | HostPort::Shared(port), io::ErrorKind::AddrInUse) => write!(
                f,
                "port {port} of {address} is taken: stop what listens there (`ss -ltnp sport = :{port}`), or publish {service} elsewhere with --publish {service}=PORT"
            ),
            (HostPort::Exactly(port) | HostPort::Shared(port), _) => write!(
                f,
                "port {port} of {address} cannot be used ({error}): publish {service} elsewhere with --publish {service}=PORT"
            ),
            (HostPort::Any, _) => write!(f, "there is no free port on {address} for {service}: {error}"),
        }
    }
}

impl std::error::Error for PortError {}

impl Ports {
    /// Finds a port for every port of these instances, and holds them all. Unpublished ones need
    /// none when they have sockets in a `private` folder.
    ///
    /// # Errors
    /// When one is taken.
    pub fn reserve(instances: &[Instance], private: Option<PathBuf>) -> Result<Self, PortError> {
        let mut ports =
            Self { addresses: BTreeMap::new(), held: Vec::new(), shared: BTreeMap::new(), private };
        // Those that users know come first, so that no other instance is given one of them.
        let ranks: [fn(HostPort) -> bool; 2] =
            [|wanted| wanted != HostPort::Any, |wanted| wanted == HostPort::Any];
        for is_of_rank in ranks {
            for instance in instances {
                let own = instance.ports.iter().map(own);
                let is_private = |port: &Port| ports.private.is_some() && port.host == HostPort::Any;
                let wanted = own.filter(|port| is_of_rank(port.host) && !is_private(port));
                for port in wanted.collect::<Vec<_>>() {
                    ports.hold(instance, &port)?;
                }
                for port in instance.ports.iter().filter(|port| matches!(port.host, HostPort::Shared(_))) {
                    ports.hold_shared(instance, port)?;
                }
            }
        }
        Ok(ports)
    }

    fn hold(&mut self, instance: &Instance, port: &Port) -> Result<(), PortError> {
        let (address, listener) = listen(&instance.service, port)?;
        self.addresses.insert((instance.name.clone(), port.guest), address);
        self.held.push((instance.name.clone(), port.guest, listener));
        Ok(())
    }

    fn hold_shared(&mut self, instance: &Instance, port: &Port) -> Result<(), PortError> {
        let key = (instance.service.clone(), port.guest);
        if let Entry::Vacant(place) = self.shared.entry(key) {
            let (address, listener) = listen(&instance.service, port)?;
            place.insert(SharedAddress { address, listener: Some(listener) });
        }
        Ok(())
    }

    /// The address that the instances of a service share for one of their ports.
    pub fn shared_address(&self, service: &str, guest: u16) -> Option<SocketAddr> {
        self.shared.get(&(service.to_owned(), guest)).map(|shared| shared.address)
    }

    /// Hands over the listeners of shared ports, with their services and the guests' ports.
    pub fn take_shared(&mut self) -> Vec<(String, u16, TcpListener)> {
        let take = |((service, guest), shared): (&(String, u16), &mut SharedAddress)| {
            Some((service.clone(), *guest, shared.listener.take()?))
        };
        self.shared.iter_mut().filter_map(take).collect()
    }

    /// Where the host gives access to a port of an instance.
    pub fn address(&self, instance: &str, guest: u16) -> Option<SocketAddr> {
        self.addresses.get(&(instance.to_owned(), guest)).copied()
    }

    /// How the host reaches a port of an instance.
    pub fn access(&self, instance: &str, guest: u16) -> Option<Access> {
        let address = self.address(instance, guest).map(|address| Access::Tcp(reachable(address)));
        let socket = |folder: &PathBuf| {
            let name = segment::host::port_name(instance, guest);
            Access::Unix(usable(folder.join(&name), folder, &name))
        };
        address.or_else(|| self.private.as_ref().map(socket))
    }

    /// The folder of private sockets.
    pub fn private(&self) -> Option<&Path> {
        self.private.as_deref()
    }

    /// Hands over the listener that holds a port.
    pub fn take(&mut self, instance: &str, guest: u16) -> Option<TcpListener> {
        let place = self.held.iter().position(|(holder, port, _)| holder == instance && *port == guest)?;
        Some(self.held.swap_remove(place).2)
    }

    /// Lets go of an instance's ports, for its QEMU to take them at once.
    pub fn release(&mut self, instance: &str) {
        self.held.retain(|(holder, ..)| holder != instance);
    }
}

/// The path of a socket that people can open: a socket's address has room for no longer one (unix(7)). This process is
/// in the application's folder, and as long as it runs that has a short name, too.
fn usable(path: PathBuf, folder: &Path, name: &str) -> PathBuf {
    if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return path;
    }
    let own = PathBuf::from(format!("/proc/{}/cwd", std::process::id()));
    own.join(folder.file_name().unwrap_or_default()).join(name)
}

/// The port that an instance has for itself: of a shared one, any.
fn own(port: &Port) -> Port {
    match port.host {
        HostPort::Shared(_) => {
            Port { guest: port.guest, address: Ipv4Addr::LOCALHOST.into(), host: HostPort::Any }
        }
        HostPort::Exactly(_) | HostPort::Any => port.clone(),
    }
}

fn listen(service: &str, port: &Port) -> Result<(SocketAddr, TcpListener), PortError> {
    let error =
        |error| PortError { address: port.address, wanted: port.host, service: service.to_owned(), error };
    let wanted = match port.host {
        HostPort::Exactly(host) | HostPort::Shared(host) => host,
        HostPort::Any => 0,
    };
    let listener = TcpListener::bind((port.address, wanted)).map_err(error)?;
    let host = listener.local_addr().map_err(error)?.port();
    Ok((SocketAddr::new(port.address, host), listener))
}

/// The address as something on the host itself can connect to it.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::draft::tests::one_service;

    #[test]
    fn an_instance_that_is_alone_has_the_port_wanted() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let first = taken.local_addr().expect("an address").port();
        for replicas in [1, 2] {
            let error = Ports::reserve(&one_service(replicas, first).instances, None).expect_err("taken");
            let error = error.to_string();
            assert!(error.contains(&format!("port {first} of 127.0.0.1 is taken")), "{error}");
            assert!(error.contains("--publish web=PORT"), "{error}");
        }
        drop(taken);
        let ports = Ports::reserve(&one_service(1, first).instances, None).expect("free");
        assert_eq!(ports.address("web-1", 80).expect("one").port(), first);
        assert_eq!((ports.address("web-1", 81), ports.shared_address("web", 80)), (None, None));
    }

    #[test]
    fn several_instances_share_the_port_wanted_and_have_ports_of_their_own() {
        let instances = one_service(2, 0).instances;
        let mut ports = Ports::reserve(&instances, None).expect("free");
        let shared = ports.shared_address("web", 80).expect("one");
        let own = ["web-1", "web-2"].map(|name| ports.address(name, 80).expect("its own"));
        assert!(own[0] != own[1] && !own.contains(&shared), "{shared} {own:?}");
        let taken = ports.take_shared();
        assert_eq!((taken.len(), taken[0].2.local_addr().expect("an address")), (1, shared));
        assert!(ports.take_shared().is_empty());
        let private = Ports::reserve(&instances, Some("/run/net".into())).expect("free");
        let access = private.access("web-2", 80);
        assert_eq!(access, Some(Access::Unix("/run/net/web-2-80.sock".into())));
    }

    #[test]
    fn sockets_can_be_opened_however_long_the_folder_s_path_is() {
        let short = Ports::reserve(&[], Some("/a/run/net".into())).expect("no ports");
        let path = |ports: &Ports| ports.access("store-1", 6379).map(|access| access.url("redis"));
        assert_eq!(path(&short).as_deref(), Some("redis+unix:///a/run/net/store-1-6379.sock"));
        let long = Path::new("/").join("x".repeat(100)).join("net");
        let url = path(&Ports::reserve(&[], Some(long)).expect("no ports"));
        let own = std::process::id();
        assert_eq!(url, Some(format!("redis+unix:///proc/{own}/cwd/net/store-1-6379.sock")));
    }

    #[test]
    fn ports_are_held_until_they_are_released() {
        let mut ports = Ports::reserve(&one_service(1, 0).instances, None).expect("any port");
        let address = ports.address("web-1", 80).expect("one");
        assert!(TcpListener::bind(address).is_err());
        ports.release("web-1");
        TcpListener::bind(address).expect("free again");
    }
}
