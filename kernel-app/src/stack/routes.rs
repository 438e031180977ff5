//! The ways to other nodes that smoltcp has used last, for connections that begin.

use core::net::Ipv4Addr;

use smoltcp::socket::tcp::Route;

/// How many ways are known for connections that begin.
const ROUTES: usize = 16;

/// The last ways that were learned, each at the place of its destination's last byte.
#[derive(Debug, Default)]
pub(super) struct Routes([Option<Route>; ROUTES]);

impl Routes {
    fn place(address: [u8; 4]) -> usize {
        usize::from(address[3]) % ROUTES
    }

    /// The way to an address, if it is known.
    pub fn to(&self, address: Ipv4Addr) -> Option<Route> {
        let address = address.octets();
        self.0[Self::place(address)].filter(|route| route.destination() == address)
    }

    /// Notes one.
    pub fn learn(&mut self, route: Route) {
        self.0[Self::place(route.destination())] = Some(route);
    }

    /// Forgets those to other hardware addresses than this one; all of them without one.
    pub fn forget_but_to(&mut self, neighbour: Option<[u8; 6]>) {
        self.0.iter_mut().for_each(|route| keep_only_to(neighbour, route));
    }
}

/// Forgets a route that leads to another hardware address than this one.
pub(super) fn keep_only_to(neighbour: Option<[u8; 6]>, route: &mut Option<Route>) {
    *route = route.filter(|route| Some(route.neighbour()) == neighbour);
}
