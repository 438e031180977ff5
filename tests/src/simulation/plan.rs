//! What a seed's application is like: where votes and results are kept, how much memory there is, who else is there.
//!
//! Decides nothing that happens later: `faults` does.

use simulator::random::Random;

use super::bugs::Bug;

/// What is drawn before a run. The bulk is the application as `cargo up --data` starts it; the rest are the other
/// combinations that `docs/reliability.md` promises something for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The store has a disk; otherwise its data go with its process.
    pub has_disk: bool,
    /// Results are in PostgreSQL; otherwise in the store.
    pub has_database: bool,
    /// Older copies of what is durable are put back, and disks are lost.
    pub goes_back: bool,
    /// Somebody else writes to the store, so that its log is compacted.
    pub has_neighbour: bool,
    /// The store has little memory, and the neighbour fills it now and then.
    pub is_cramped: bool,
}

impl Plan {
    /// What this seed decides; a bug that needs a certain application gets it.
    pub fn draw(random: &mut Random, bug: Option<Bug>) -> Self {
        let mut in_a_hundred = |percent: u32| random.happens(percent * 10_000);
        let plan = Self {
            has_disk: in_a_hundred(80),
            has_database: in_a_hundred(35),
            goes_back: in_a_hundred(25),
            has_neighbour: in_a_hundred(45),
            is_cramped: in_a_hundred(20),
        };
        bug.map_or(plan, |bug| bug.fit(plan))
    }
}
