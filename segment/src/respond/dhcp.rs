//! DHCP (RFC 2131): each station always gets the address of the plan.
//!
//! It keeps no leases, since no two stations can have the same address. A station that asks for another address gets
//! a refusal.

use std::net::Ipv4Addr;

use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress};

use crate::layout::{GATEWAY, PREFIX_BITS};

/// How long a station may keep its address before it asks again, in seconds.
const LEASE_S: u32 = 24 * 60 * 60;
/// Shortest reply, which old clients and relays insist on (RFC 1542 section 2.1).
const REPLY_BYTES_MIN: usize = 300;
/// Largest question that is read.
const QUESTION_BYTES_MAX: usize = 1472;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Where to: the client's address if it has one, otherwise everybody's.
    pub to: Ipv4Addr,
    /// The encoded DHCP message.
    pub message: Vec<u8>,
}

/// The reply to a message from the station with these addresses; none to what needs none.
pub fn answer(message: &[u8], hardware: [u8; 6], address: Ipv4Addr) -> Option<Reply> {
    if message.len() > QUESTION_BYTES_MAX {
        return None;
    }
    let packet = DhcpPacket::new_checked(message).ok()?;
    let question = DhcpRepr::parse(&packet).ok()?;
    let is_for_us = question.server_identifier.is_none_or(|server| server == GATEWAY);
    if question.client_hardware_address != EthernetAddress(hardware) || !is_for_us {
        return None;
    }
    let wanted = question.requested_ip.or(Some(question.client_ip)).filter(|ip| !ip.is_unspecified());
    let kind = match question.message_type {
        DhcpMessageType::Discover => DhcpMessageType::Offer,
        DhcpMessageType::Request if wanted == Some(address) => DhcpMessageType::Ack,
        DhcpMessageType::Request => DhcpMessageType::Nak,
        DhcpMessageType::Inform => DhcpMessageType::Ack,
        _ => return None,
    };
    let gives = question.message_type != DhcpMessageType::Inform;
    reply(&question, kind, gives.then_some(address))
}

fn reply(question: &DhcpRepr<'_>, kind: DhcpMessageType, given: Option<Ipv4Addr>) -> Option<Reply> {
    let is_nak = kind == DhcpMessageType::Nak;
    let given = given.filter(|_| !is_nak);
    let reply = DhcpRepr {
        message_type: kind,
        transaction_id: question.transaction_id,
        secs: 0,
        client_hardware_address: question.client_hardware_address,
        client_ip: if is_nak { Ipv4Addr::UNSPECIFIED } else { question.client_ip },
        your_ip: given.unwrap_or(Ipv4Addr::UNSPECIFIED),
        server_ip: Ipv4Addr::UNSPECIFIED,
        router: (!is_nak).then_some(GATEWAY),
        subnet_mask: (!is_nak).then(|| Ipv4Addr::from_bits(u32::MAX << (32 - PREFIX_BITS))),
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: question.broadcast,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(GATEWAY),
        parameter_request_list: None,
        // One always fits.
        dns_servers: (!is_nak).then(|| [GATEWAY].into_iter().collect()),
        max_size: None,
        lease_duration: given.map(|_| LEASE_S),
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    let mut message = vec![0; reply.buffer_len().max(REPLY_BYTES_MIN)];
    reply.emit(&mut DhcpPacket::new_unchecked(message.as_mut_slice())).ok()?;
    let is_addressed = !is_nak && !question.client_ip.is_unspecified();
    Some(Reply { to: if is_addressed { question.client_ip } else { Ipv4Addr::BROADCAST }, message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout;

    const HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 3];

    fn question(kind: DhcpMessageType, change: impl FnOnce(&mut DhcpRepr<'_>)) -> Vec<u8> {
        let mut question = DhcpRepr {
            message_type: kind,
            transaction_id: 77,
            secs: 0,
            client_hardware_address: EthernetAddress(HARDWARE),
            client_ip: Ipv4Addr::UNSPECIFIED,
            your_ip: Ipv4Addr::UNSPECIFIED,
            server_ip: Ipv4Addr::UNSPECIFIED,
            router: None,
            subnet_mask: None,
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: false,
            requested_ip: None,
            client_identifier: None,
            server_identifier: None,
            parameter_request_list: Some(&[1, 3, 6]),
            dns_servers: None,
            max_size: None,
            lease_duration: None,
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        };
        change(&mut question);
        let mut message = vec![0; question.buffer_len()];
        question.emit(&mut DhcpPacket::new_unchecked(message.as_mut_slice())).expect("it fits");
        message
    }

    fn ask(message: &[u8]) -> Option<(DhcpMessageType, Ipv4Addr, Ipv4Addr)> {
        let reply = answer(message, HARDWARE, layout::address(3))?;
        let packet = DhcpPacket::new_checked(reply.message.as_slice()).expect("a message");
        let parsed = DhcpRepr::parse(&packet).expect("a message");
        assert_eq!((parsed.transaction_id, parsed.server_identifier), (77, Some(GATEWAY)));
        if parsed.message_type != DhcpMessageType::Nak {
            assert_eq!((parsed.router, parsed.dns_servers.expect("servers")[0]), (Some(GATEWAY), GATEWAY));
        }
        Some((parsed.message_type, parsed.your_ip, reply.to))
    }

    #[test]
    fn the_plan_s_address_is_offered_and_acknowledged_and_no_other() {
        let (own, all) = (layout::address(3), Ipv4Addr::BROADCAST);
        let discover = question(DhcpMessageType::Discover, |_| ());
        assert_eq!(ask(&discover), Some((DhcpMessageType::Offer, own, all)));
        let request = question(DhcpMessageType::Request, |it| it.requested_ip = Some(own));
        assert_eq!(ask(&request), Some((DhcpMessageType::Ack, own, all)));
        let renewal = question(DhcpMessageType::Request, |it| it.client_ip = own);
        assert_eq!(ask(&renewal), Some((DhcpMessageType::Ack, own, own)));
        let other = question(DhcpMessageType::Request, |it| it.requested_ip = Some(layout::address(0)));
        assert_eq!(ask(&other), Some((DhcpMessageType::Nak, Ipv4Addr::UNSPECIFIED, all)));
    }

    #[test]
    fn what_is_not_for_this_server_or_not_from_this_station_is_not_answered() {
        let elsewhere =
            question(DhcpMessageType::Request, |it| it.server_identifier = Some([10, 0, 2, 9].into()));
        let forged = question(DhcpMessageType::Discover, |it| it.client_hardware_address.0[5] = 9);
        let release = question(DhcpMessageType::Release, |_| ());
        for message in [elsewhere, forged, release, Vec::new(), vec![1; 236]] {
            assert_eq!(ask(&message), None);
        }
    }
}
