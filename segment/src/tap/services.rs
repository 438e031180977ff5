//! DHCP and DNS over the kernel's UDP, with the same answers as on the segment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};

use crate::layout::{GATEWAY, Layout, address, hardware_address};
use crate::respond::{dhcp, dns};

const DHCP_SERVER_PORT: u16 = 67;
const DHCP_CLIENT_PORT: u16 = 68;
const DNS_PORT: u16 = 53;
/// Where a DHCP message has its client's hardware address (RFC 2131 section 2).
const CLIENT_HARDWARE_AT: usize = 28;
/// Largest message that is read.
const MESSAGE_BYTES_MAX: usize = 1500;

/// Answers from threads of their own.
pub fn start(layout: Layout) -> Result<()> {
    let layout = Arc::new(layout);
    let leases = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, DHCP_SERVER_PORT)).context("no port for DHCP")?;
    leases.set_broadcast(true)?;
    let names = UdpSocket::bind((GATEWAY, DNS_PORT)).context("no port for DNS")?;
    let known = Arc::clone(&layout);
    thread::spawn(move || {
        serve(&leases, |message, _| {
            let hardware = message.get(CLIENT_HARDWARE_AT..)?.first_chunk::<6>()?;
            let station =
                (0..known.stations().len()).find(|station| hardware_address(*station) == *hardware)?;
            let reply = dhcp::answer(message, *hardware, address(station))?;
            Some((reply.message, SocketAddr::from((reply.to, DHCP_CLIENT_PORT))))
        });
    });
    thread::spawn(move || {
        serve(&names, |message, from| {
            let IpAddr::V4(address) = from.ip() else { return None };
            let station = layout.station_at(address)?;
            Some((dns::answer(&layout, station, message)?, from))
        });
    });
    Ok(())
}

fn serve(socket: &UdpSocket, answer: impl Fn(&[u8], SocketAddr) -> Option<(Vec<u8>, SocketAddr)>) {
    let mut message = [0; MESSAGE_BYTES_MAX];
    loop {
        // Errors are of single datagrams, such as an answer that found nobody.
        let Ok((count, from)) = socket.recv_from(&mut message) else { continue };
        if let Some((reply, to)) = answer(&message[..count], from) {
            let _ = socket.send_to(&reply, to);
        }
    }
}
