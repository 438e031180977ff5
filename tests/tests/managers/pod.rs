//! A pod's network as CNI plugins make it, on a node that is the namespace of the test; and a client elsewhere, whose
//! packets may be larger than the pod's.

use super::network::{Namespace, does, ip};

/// The pod.
pub const ADDRESS: &str = "10.244.1.7";
/// With its network.
pub const ADDRESS_WITH_PREFIX: &str = "10.244.1.7/24";
/// The node, as the pod sees it.
pub const NODE: &str = "10.244.1.1";
/// Hardware address of the pod's `eth0`.
pub const MAC: &str = "0a:58:0a:f4:01:07";
/// The client's network, and the node in it.
const CLIENT: &str = "192.168.77.2/24";
const NODE_FOR_CLIENT: &str = "192.168.77.1";
const CLIENT_MTU: u16 = 1500;

/// The pod's and the client's namespaces.
pub struct Pod {
    /// Has `eth0`.
    pub namespace: Namespace,
    /// Reaches the pod through the node, with packets of 1500 bytes.
    pub client: Namespace,
}

impl Pod {
    /// Makes both.
    pub fn new(mtu: u16) -> Self {
        let pod = Self { namespace: Namespace::new("pod"), client: Namespace::new("client") };
        pod.namespace.plug("cni0", mtu);
        pod.namespace.does(&format!("ip link set eth0 address {MAC}"));
        pod.namespace.does(&format!("ip address add {ADDRESS_WITH_PREFIX} dev eth0"));
        pod.namespace.does(&format!("ip route add default via {NODE}"));
        ip(&format!("address add {NODE}/24 dev cni0"));
        pod.client.plug("lan0", CLIENT_MTU);
        pod.client.does(&format!("ip address add {CLIENT} dev eth0"));
        pod.client.does(&format!("ip route add default via {NODE_FOR_CLIENT}"));
        ip(&format!("address add {NODE_FOR_CLIENT}/24 dev lan0"));
        does(std::process::Command::new("sh").args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]));
        pod
    }
}
