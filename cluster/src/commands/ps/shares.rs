//! How the ports that several instances share are used: each instance's share of the connections, and a line for each
//! port. The balancer counts; nothing is asked of the instances.

use std::fmt::Write;

use segment::balancer::{self, PortReport};

use crate::state::run_dir::RunDir;

/// What an instance has had of the ports that it shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Connections to it that are open.
    pub open: usize,
    /// Its share of all connections that its service has had, in percent; none before the first one.
    pub percent: Option<f64>,
}

/// The reports of an application's shared ports: none without a balancer, or when it does not answer.
pub fn reports(run_dir: &RunDir) -> Vec<PortReport> {
    balancer::ask(run_dir.path()).ok().flatten().unwrap_or_default()
}

/// The share of an instance that shares ports.
pub fn of(reports: &[PortReport], instance: &str) -> Option<Share> {
    let own = |port: &PortReport| port.instances.iter().find(|it| it.instance == instance).cloned();
    let shared: Vec<_> = reports.iter().filter_map(|port| Some((own(port)?, port))).collect();
    if shared.is_empty() {
        return None;
    }
    let connections: u64 = shared.iter().map(|(own, _)| own.connections).sum();
    let all: u64 = shared.iter().map(|(_, port)| total(port)).sum();
    let percent = (all > 0).then(|| (connections as f64 / all as f64 * 1000.0).round() / 10.0);
    Some(Share { open: shared.iter().map(|(own, _)| own.open).sum(), percent })
}

/// A line for each shared port, for people.
pub fn lines(reports: &[PortReport]) -> String {
    let mut text = String::new();
    for port in reports {
        let PortReport { service, address, repeated, refused, lost, .. } = port;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{service} at {address}: {} connections shared out, {repeated} moved to another instance, \
             {refused} refused, {lost} lost",
            total(port)
        );
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

fn total(port: &PortReport) -> u64 {
    port.instances.iter().map(|instance| instance.connections).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment::balancer::InstanceReport;

    fn report(connections: [u64; 2]) -> PortReport {
        let names = ["vote-1", "vote-2"].into_iter().zip(connections);
        let instance = |(name, connections): (&str, u64)| InstanceReport {
            instance: name.to_owned(),
            open: 2,
            connections,
        };
        PortReport {
            service: "vote".to_owned(),
            address: "127.0.0.1:8080".parse().expect("an address"),
            instances: names.map(instance).collect(),
            repeated: 3,
            refused: 2,
            lost: 1,
        }
    }

    #[test]
    fn shares_are_of_all_connections_of_the_service() {
        let reports = [report([2, 1])];
        assert_eq!(of(&reports, "vote-1"), Some(Share { open: 2, percent: Some(66.7) }));
        assert_eq!(of(&reports, "result-1"), None);
        assert_eq!(of(&[report([0, 0])], "vote-2"), Some(Share { open: 2, percent: None }));
        let two_ports = [report([2, 1]), report([1, 2])];
        assert_eq!(of(&two_ports, "vote-1"), Some(Share { open: 4, percent: Some(50.0) }));
    }

    #[test]
    fn what_was_moved_refused_and_lost_is_told() {
        let expected = "\nvote at 127.0.0.1:8080: 3 connections shared out, 3 moved to another instance, 2 refused, 1 lost\n";
        assert_eq!(lines(&[report([2, 1])]), expected);
        assert_eq!(lines(&[]), "");
    }
}
