//! Connections to Services: each address of a Service is the node's, and what comes there is passed on to a ready pod.
//! So Services work as with kube-proxy, without rules of a packet filter, which not every kernel has.
//!
//! A Service without ready pods closes its connections; with kube-proxy it would refuse them.

use std::collections::BTreeSet;
use std::io;
use std::net::{Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::network;
use crate::services::{Directory, Services};

/// How long between two looks for new Services.
const POLL: Duration = Duration::from_millis(100);
/// A pod that is there takes a connection within this time.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Published {
    namespace: String,
    service: String,
    /// The port's name.
    port: String,
    address: SocketAddrV4,
}

/// Serves all Services, in threads that end with this process.
pub fn start(directory: &Directory) {
    let directory = directory.clone();
    thread::spawn(move || {
        let mut served = BTreeSet::new();
        loop {
            for published in published(&directory.services()) {
                if !served.contains(&published) && serve(&published, &directory) {
                    served.insert(published);
                }
            }
            thread::sleep(POLL);
        }
    });
}

fn published(services: &Services) -> Vec<Published> {
    let mut all = Vec::new();
    for ((namespace, name), service) in services {
        let Some(address) = service.address else { continue };
        for (port, number) in &service.ports {
            all.push(Published {
                namespace: namespace.clone(),
                service: name.clone(),
                port: port.clone(),
                address: SocketAddrV4::new(address, *number),
            });
        }
    }
    all
}

/// Listens there, and says whether it does.
fn serve(published: &Published, directory: &Directory) -> bool {
    let listening = network::add(*published.address.ip())
        .map_err(io::Error::other)
        .and_then(|()| TcpListener::bind(published.address));
    let listener = match listening {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("{published:?} is not served: {error}");
            return false;
        }
    };
    let (published, directory) = (published.clone(), directory.clone());
    thread::spawn(move || {
        for (turn, client) in listener.incoming().enumerate() {
            let Ok(client) = client else { continue };
            let service = directory.service(&published.namespace, &published.service);
            let pods = service.map(|service| service.behind(&published.port)).unwrap_or_default();
            thread::spawn(move || pass_on(&client, &pods, turn));
        }
    });
    true
}

/// Passes a connection on to the first pod that takes it, beginning with another one each time.
fn pass_on(client: &TcpStream, pods: &[SocketAddrV4], turn: usize) {
    let order = (0..pods.len()).map(|at| pods[(turn + at) % pods.len()]);
    let mut taken = order.filter_map(|pod| TcpStream::connect_timeout(&pod.into(), CONNECT_LIMIT).ok());
    let Some(pod) = taken.next() else { return };
    // Small requests and answers must not wait for each other.
    let _ = (client.set_nodelay(true), pod.set_nodelay(true));
    thread::scope(|scope| {
        scope.spawn(|| copy(client, &pod));
        copy(&pod, client);
    });
}

/// Copies one direction to its end. An error ends both: the other side must hear of it.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let ended = match io::copy(&mut from, &mut to) {
        Ok(_) => to.shutdown(Shutdown::Write),
        Err(_) => from.shutdown(Shutdown::Both).and(to.shutdown(Shutdown::Both)),
    };
    // Fails only when it has been ended already.
    let _ = ended;
}
