//! The kernel's bridge instead of the switch, for users with the necessary rights: machines are on tap interfaces in
//! a network namespace that this process creates, and that ends with it. The host's own network does not change.
//!
//! DHCP and DNS answer as on the segment; kernel sockets relay published ports and servers outside. The bridge
//! forwards every frame, so it does not enforce the description's networks.

mod bridge;
mod namespace;
mod proxy;
mod services;

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::host::{Folder, PublishedPort, Setup, make_folder, port_name};
use crate::layout::{GATEWAY, Layout, address};

pub use bridge::interface;

/// Name of the link, in the folder of a bridge, through which `nsenter` finds its network.
pub const NAMESPACE: &str = "namespace";

/// A bridge and what serves it. It ends with the process, except for its sockets, which end when it is
/// dropped.
#[derive(Debug)]
pub struct RunningBridge {
    folder: PathBuf,
    /// Keeps the network.
    network: File,
}

impl RunningBridge {
    /// Makes a new network, with a bridge for these stations, and starts what serves them.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn start(setup: Setup) -> Result<Self> {
        let Setup { layout, published_ports, outgoing, folder, .. } = setup;
        make_folder(&folder)?;
        let sockets = Folder::open(&folder)?;
        let network = namespace::make()?;
        let link = format!("/proc/{}/fd/{}", std::process::id(), network.as_raw_fd());
        symlink(link, folder.join(NAMESPACE)).context("no link to the network")?;
        let servers = namespace::inside(&network, || {
            bridge::make(layout.stations().len())?;
            open(published_ports, &layout, &sockets)?;
            let servers = outgoing.into_iter().map(listen).collect::<Result<Vec<_>>>()?;
            services::start(layout)?;
            Ok(servers)
        })?;
        // From here, the host's network, servers outside are connected to.
        for (listener, server) in servers {
            proxy::serve(proxy::Listener::Tcp(listener), move || TcpStream::connect(server));
        }
        Ok(Self { folder, network })
    }
}

impl RunningBridge {
    /// Does something in the network, from a thread that is in it, as those that it starts are.
    ///
    /// # Errors
    /// When the network cannot be entered, or that fails.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        namespace::inside(&self.network, act)
    }
}

/// The gateway of a server outside.
fn listen((port, server): (u16, SocketAddr)) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((GATEWAY, port)).context("no port for a server outside")?;
    Ok((listener, server))
}

/// Lets clients in, from the network of the calling thread.
fn open(published_ports: Vec<PublishedPort>, layout: &Layout, sockets: &Folder) -> Result<()> {
    for port in published_ports {
        let to = (address(port.station), port.port);
        let name = &layout.stations()[port.station].name;
        let path = sockets.socket(&port_name(name, port.port));
        let listener =
            proxy::Listener::new(port.listener, &path).with_context(|| format!("no port for {name}"))?;
        proxy::serve(listener, move || connect(to));
    }
    Ok(())
}

impl Drop for RunningBridge {
    fn drop(&mut self) {
        // What is left of it does no harm: the next start makes the folder anew.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn connect(to: (Ipv4Addr, u16)) -> std::io::Result<TcpStream> {
    TcpStream::connect_timeout(&to.into(), proxy::CONNECT_TIMEOUT)
}
