//! Names in the cluster: the name server of the pods (Kubernetes DNS-based service discovery, version 1.1.0).
//!
//! It knows `SERVICE.NAMESPACE.svc.cluster.local` and `POD.SERVICE.NAMESPACE.svc.cluster.local`, over UDP, for IPv4. No
//! other name exists.

use std::net::{Ipv4Addr, UdpSocket};
use std::thread;

use anyhow::{Context, Result};
use simple_dns::rdata::{A, RData};
use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};

use crate::kubelet::DOMAIN;
use crate::network::NODE;
use crate::services::{Directory, Service, Services};

const PORT: u16 = 53;
/// Longest question.
const QUESTION_BYTES_MAX: usize = 512;
/// How long an answer may be kept, in seconds: pods come and go.
const TTL_S: u32 = 2;

/// Answers, in a thread that ends with this process.
///
/// # Errors
/// When the port is not free.
pub fn start(directory: &Directory) -> Result<()> {
    let socket = UdpSocket::bind((NODE, PORT)).with_context(|| format!("{NODE}:{PORT} is not free"))?;
    let directory = directory.clone();
    thread::spawn(move || {
        let mut question = [0; QUESTION_BYTES_MAX];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
            if let Some(reply) = reply(&question[..length], &directory.services()) {
                // Whoever does not get it asks again.
                let _ = socket.send_to(&reply, from);
            }
        }
    });
    Ok(())
}

/// The reply to a question; none to what is none.
pub fn reply(question: &[u8], services: &Services) -> Option<Vec<u8>> {
    let asked = Packet::parse(question).ok().filter(|packet| packet.questions.len() == 1)?;
    let first = asked.questions.first()?;
    let mut reply = Packet::new_reply(asked.id());
    reply.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    if asked.has_flags(PacketFlag::RECURSION_DESIRED) {
        reply.set_flags(PacketFlag::RECURSION_DESIRED | PacketFlag::RECURSION_AVAILABLE);
    }
    match addresses(&first.qname.to_string().to_ascii_lowercase(), services) {
        None => *reply.rcode_mut() = RCODE::NameError,
        Some(found) if matches!(first.qtype, QTYPE::TYPE(TYPE::A) | QTYPE::ANY) => {
            let record = |address: Ipv4Addr| {
                let data = RData::A(A { address: address.into() });
                ResourceRecord::new(first.qname.clone(), CLASS::IN, TTL_S, data)
            };
            reply.answers.extend(found.into_iter().map(record));
        }
        // The name exists, without an address of the other kind.
        Some(_) => {}
    }
    reply.questions.push(first.clone());
    reply.build_bytes_vec().ok()
}

/// The addresses of a name; none when it does not exist.
fn addresses(name: &str, services: &Services) -> Option<Vec<Ipv4Addr>> {
    let inner = name.strip_suffix(DOMAIN)?.strip_suffix(".svc.")?;
    let labels: Vec<&str> = inner.split('.').collect();
    let service = |namespace: &str, name: &str| services.get(&(namespace.to_owned(), name.to_owned()));
    match labels[..] {
        [name, namespace] => service(namespace, name).map(of_service),
        [pod, name, namespace] => {
            let service = service(namespace, name)?;
            let of_pod = service.endpoints.iter().filter(|at| at.hostname.as_deref() == Some(pod));
            let found: Vec<Ipv4Addr> = of_pod.map(|endpoint| endpoint.address).collect();
            (!found.is_empty()).then_some(found)
        }
        _ => None,
    }
}

/// Its own address, or those of its pods when it is headless.
fn of_service(service: &Service) -> Vec<Ipv4Addr> {
    match service.address {
        Some(address) => vec![address],
        None => service.endpoints.iter().map(|endpoint| endpoint.address).collect(),
    }
}
