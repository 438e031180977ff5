//! What must hold at any moment of a run, and what must hold once everything has healed.
//!
//! Lets no time pass. A broken invariant is a text that names what was found and what was expected.

use std::collections::BTreeMap;

use kernel_app::Usage;
use kernel_app::connections::{CONNECTIONS_MAX, INPUT_BYTES_MAX, OUTPUT_BYTES_MAX};
use simulator::{NodeId, Simulation};

use super::cluster::voter_name;
use super::findings::Look;
use super::ledger::{Choice, Ledger};

/// The voters' names and numbers.
pub type Register = BTreeMap<String, usize>;

/// The register of so many voters.
pub fn register(voters: usize) -> Register {
    (0..voters).map(|voter| (voter_name(voter), voter)).collect()
}

/// Nothing is counted that was not cast, nobody for both options, and no transaction is half there.
///
/// # Errors
/// What is counted and must not be.
pub fn check_look(look: &Look, ledger: &Ledger, register: &Register) -> Result<(), String> {
    if !look.is_whole {
        return Err("half of a transaction is in the store".to_owned());
    }
    let mut seen = BTreeMap::new();
    for (name, choice) in &look.counted {
        let Some(voter) = register.get(name) else {
            return Err(format!("{name:?} is counted and is nobody"));
        };
        if let Some(other) = seen.insert(*voter, *choice) {
            return Err(format!("voter {voter} is counted for {} and {}", other.as_str(), choice.as_str()));
        }
        if !ledger.has_cast(*voter, *choice) {
            return Err(format!("voter {voter} is counted for {}, which was never cast", choice.as_str()));
        }
    }
    Ok(())
}

/// Who was counted stays counted.
///
/// # Errors
/// Who is not counted any longer.
pub fn check_progress(before: &Look, after: &Look) -> Result<(), String> {
    let after = after.by_voter();
    let is_gone = |voter: &&&str| !after.contains_key(**voter);
    match before.by_voter().keys().find(is_gone) {
        None => Ok(()),
        Some(voter) => Err(format!("{voter} was counted and is not any longer")),
    }
}

/// The scores that people see are never more than have voted.
///
/// # Errors
/// Which option has too many votes, or the total.
pub fn check_scores([a, b]: [u64; 2], ledger: &Ledger) -> Result<(), String> {
    let cast = |choice| (0..ledger.voters()).filter(|voter| ledger.has_cast(*voter, choice)).count() as u64;
    let anything = |voter: &usize| Choice::ALL.iter().any(|choice| ledger.has_cast(*voter, *choice));
    let voters = (0..ledger.voters()).filter(anything).count() as u64;
    if a > cast(Choice::A) || b > cast(Choice::B) || a + b > voters {
        return Err(format!("the scores are {a} and {b}, and {voters} have voted"));
    }
    Ok(())
}

/// Every voter is counted for the last accepted choice, and no vote waits.
///
/// # Errors
/// What is not so.
pub fn check_settled(look: &Look, ledger: &Ledger) -> Result<(), String> {
    if !look.is_drained() {
        return Err(format!("{} votes wait, {} are being processed", look.queue, look.processing));
    }
    let counted = look.by_voter();
    for voter in 0..ledger.voters() {
        let (choice, permitted) = (counted.get(voter_name(voter).as_str()).copied(), ledger.permitted(voter));
        if !permitted.allows(choice) {
            return Err(format!("voter {voter} is counted for {choice:?} instead of {permitted:?}"));
        }
    }
    Ok(())
}

/// No connection table, no buffer, no queue and no pool is larger than it may be.
///
/// # Errors
/// What is too large, and at which node.
pub fn check_limits(simulation: &Simulation, nodes: &[NodeId]) -> Result<(), String> {
    for node in nodes {
        let Some(connections) = simulation.connections(*node) else { continue };
        let fault = |what: &str, length| {
            Err(format!("{length} {what} at {} are more than allowed", simulation.name(*node)))
        };
        if connections.len() > CONNECTIONS_MAX {
            return fault("connections", connections.len());
        }
        for (_, connection) in connections.iter() {
            if connection.input.len() > INPUT_BYTES_MAX {
                return fault("bytes of input", connection.input.len());
            }
            if connection.output.len() > OUTPUT_BYTES_MAX {
                return fault("bytes of output", connection.output.len());
            }
        }
        let mut excess = None;
        simulation
            .report_usage(*node, &mut |usage| excess = excess.or(usage.is_excessive().then_some(usage)));
        if let Some(Usage { what, used, limit }) = excess {
            let name = simulation.name(*node);
            return Err(format!("{used} {what} at {name} are more than the {limit} that may be"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    use kernel_app::{ConnectionId, Context, Endpoints, Instant, Origin, Service};

    /// Keeps more than it may.
    struct Hoarder;

    impl Service for Hoarder {
        fn name(&self) -> &'static str {
            "hoarder"
        }

        fn endpoints(&self) -> Endpoints {
            Endpoints::default()
        }

        fn opened(&mut self, _: ConnectionId, _: Origin, _: &mut Context<'_>) {}
        fn ready(&mut self, _: ConnectionId, _: &mut Context<'_>) {}
        fn closed(&mut self, _: ConnectionId, _: &mut Context<'_>) {}
        fn turn(&mut self, _: &mut Context<'_>) {}

        fn next_deadline(&self) -> Option<Instant> {
            None
        }

        fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
            report(Usage::new("crumbs", 2, 2));
            report(Usage::new("cheeses", 3, 2));
        }
    }

    #[test]
    fn a_node_above_its_limit_is_named() {
        let mut simulation = Simulation::new(1);
        let boot = || vec![Box::new(Hoarder) as Box<dyn Service>];
        let node = simulation.add_node("mouse", Ipv4Addr::new(10, 0, 0, 2), boot).expect("starts");
        let complaint = check_limits(&simulation, &[node]).expect_err("too many");
        assert_eq!(complaint, "3 cheeses at mouse are more than the 2 that may be");
    }
}
