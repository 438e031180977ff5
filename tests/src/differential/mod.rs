//! The differential test: the same random commands to redis-server and to the store, every reply compared.
//!
//! A seed decides a stream of [`Step`]s on several connections. Both servers play it, pipelined where one
//! connection speaks for long; replies are compared byte by byte but for what [`normal`] lists. The first
//! difference is shrunk and told.

mod coverage;
mod generator;
mod normal;
mod play;
mod shrink;
mod step;
mod values;

use std::fmt;

use simulator::random::Random;

use crate::redis::{Server, redis, store};
pub use coverage::Coverage;
pub use generator::Mix;
pub use step::Step;

/// Connections of a stream.
pub const CONNECTIONS: usize = 4;
/// Commands of one stream; a longer run is made of several, each on empty servers.
pub const STREAM_COMMANDS: usize = 5_000;

/// Two servers that ought to answer alike.
pub struct Pair {
    /// The one that is right.
    pub redis: Server,
    /// The one that is checked.
    pub store: Server,
    /// What they are asked.
    pub mix: Mix,
}

/// A command that the servers answer differently.
pub struct Difference {
    /// What decides the stream.
    pub seed: u64,
    /// Position of the command in the stream.
    pub index: usize,
    /// The shortest stream found whose last command differs.
    pub steps: Vec<Step>,
    /// What redis-server answers to that.
    pub redis: Vec<u8>,
    /// What the store answers to that.
    pub store: Vec<u8>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, command {}: replies differ, also after these alone:", self.seed, self.index)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "  {step}"))?;
        writeln!(f, "redis-server: {}", shown(&self.redis))?;
        writeln!(f, "store:        {}", shown(&self.store))
    }
}

fn shown(bytes: &[u8]) -> String {
    const BYTES_SHOWN_MAX: usize = 300;
    let shown = bytes[..bytes.len().min(BYTES_SHOWN_MAX)].escape_ascii();
    let more =
        if bytes.len() > BYTES_SHOWN_MAX { format!("... {} bytes", bytes.len()) } else { String::new() };
    format!("{shown}{more}")
}

impl Pair {
    /// Both servers, as the mix wants them.
    pub fn start(mix: Mix) -> Self {
        // So that all hashes have the order of insertion.
        const LISTPACKS: [&str; 4] =
            ["--hash-max-listpack-entries", "100000", "--hash-max-listpack-value", "100000"];
        // The streams' data are to fit.
        const MEMORY: (&str, &str) = ("MAXMEMORY", "1gb");
        let one_database = ["--databases", "1"];
        let (options, settings): (&[&str], &[_]) = match mix {
            Mix::Open => (&LISTPACKS, &[MEMORY]),
            Mix::Locked => (&LISTPACKS, &[MEMORY, ("REQUIREPASS", "secret")]),
            Mix::LargeHashes => (&[], &[MEMORY]),
        };
        let password: &[&str] = if mix == Mix::Locked { &["--requirepass", "secret"] } else { &[] };
        let options = [&one_database, options, password].concat();
        Self { redis: redis(&options), store: store(settings), mix }
    }

    /// Plays the stream of a seed; what was exercised is added to `coverage`.
    ///
    /// # Errors
    /// The first difference, shrunk.
    pub fn check(&self, seed: u64, coverage: &mut Coverage) -> Result<(), Box<Difference>> {
        let steps = generator::stream(&mut Random::new(seed), STREAM_COMMANDS, self.mix);
        let (redis, store) = (play::play(&self.redis, &steps), play::play(&self.store, &steps));
        coverage.note(&steps, &store);
        let Some(index) = self.first_difference(&steps, &redis, &store) else { return Ok(()) };
        let steps = shrink::shrink(&steps[..=index], |steps| self.differ_at_end(steps));
        let reply = |server| play::play(server, &steps).pop().unwrap_or_default();
        let (redis, store) = (reply(&self.redis), reply(&self.store));
        Err(Box::new(Difference { seed, index, steps, redis, store }))
    }

    fn first_difference(&self, steps: &[Step], redis: &[Vec<u8>], store: &[Vec<u8>]) -> Option<usize> {
        let alike = |at: &usize| normal::alike(self.mix, &steps[*at], &redis[*at], &store[*at]);
        (0..steps.len()).find(|at| !alike(at))
    }

    /// Whether the last command, and it alone, is answered differently.
    fn differ_at_end(&self, steps: &[Step]) -> bool {
        let (redis, store) = (play::play(&self.redis, steps), play::play(&self.store, steps));
        self.first_difference(steps, &redis, &store) == Some(steps.len() - 1)
    }
}
