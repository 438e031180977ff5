//! The order in which instances are stopped: dependencies last, and published services first. It stops nothing.

use std::collections::BTreeSet;

use crate::plan::Instance;

/// Rounds of instances that are stopped together, by their places in the plan.
pub fn rounds(instances: &[Instance]) -> Vec<Vec<usize>> {
    let mut left: BTreeSet<usize> = (0..instances.len()).collect();
    let mut rounds = Vec::new();
    while !left.is_empty() {
        let is_needed = |index: &usize| {
            let service = &instances[*index].service;
            left.iter().any(|other| instances[*other].depends_on.contains_key(service))
        };
        let mut round: Vec<usize> = left.iter().copied().filter(|index| !is_needed(index)).collect();
        if round.iter().any(|index| instances[*index].is_published()) {
            round.retain(|index| instances[*index].is_published());
        }
        if round.is_empty() {
            // A circle, which descriptions are checked for.
            round = left.iter().copied().collect();
        }
        left.retain(|index| !round.contains(index));
        rounds.push(round);
    }
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::Application;
    use crate::plan::{Choices, Draft};

    #[test]
    fn published_services_stop_first_and_the_store_last() {
        let text = include_str!("../../../voting-app.toml");
        let images = ["store-service", "worker", "vote-service", "result-service"];
        let application = Application::parse("voting-app.toml", text, &images).expect("a description");
        let choices = Choices { scale: [("vote".to_owned(), 2)].into(), ..Choices::default() };
        let instances = Draft::new(application, &choices).expect("a plan").instances;
        let names = |round: &Vec<usize>| -> Vec<&str> {
            round.iter().map(|index| instances[*index].name.as_str()).collect()
        };
        let order: Vec<Vec<&str>> = rounds(&instances).iter().map(names).collect();
        assert_eq!(order, [vec!["vote-1", "vote-2", "result-1"], vec!["worker-1"], vec!["store-1"]]);
    }
}
