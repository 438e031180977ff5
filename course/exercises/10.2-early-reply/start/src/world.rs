//! The world of a seed: eight clients, a clock that ticks, a power supply that fails, and what must hold.

use crate::disk::Disk;
use crate::random::Random;
use crate::store::{CLIENTS, Command, Reply, Store};

/// Ticks of a run.
pub const TICKS: u64 = 400;
/// A client that waits for nothing sends once in so many ticks.
const PAUSE_TICKS: u64 = 6;
/// A command is to read once in so many times.
const READS: u64 = 3;
/// The power is cut once in so many ticks.
const POWER_CUT_TICKS: u64 = 10_000;

/// What a run was like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Replies that clients got.
    pub replies: u64,
    /// Values that were set and acknowledged.
    pub sets: u64,
    /// Writes of the disk.
    pub writes: u64,
    /// Times that the power was cut.
    pub power_cuts: u64,
}

/// One run.
#[derive(Debug)]
struct World {
    random: Random,
    disk: Disk,
    store: Store,
    /// What each client waits for.
    waiting: [Option<Command>; CLIENTS],
    /// The last value that each client has set.
    values: [u64; CLIENTS],
    /// The largest value of each register that anybody was told.
    told: [u64; CLIENTS],
    run: Run,
}

/// What happened in a run.
#[derive(Debug, Default)]
pub struct Run {
    /// How much of it.
    pub counts: Counts,
    /// Line by line.
    pub chronicle: Vec<String>,
    /// What was told to a client and is lost: the run ends there.
    pub loss: Option<String>,
}

/// Runs a seed.
pub fn run(seed: u64) -> Run {
    let disk = Disk::new(seed);
    let mut world = World {
        random: Random::new(seed),
        store: Store::recover(&disk),
        disk,
        waiting: [None; CLIENTS],
        values: [0; CLIENTS],
        told: [0; CLIENTS],
        run: Run::default(),
    };
    world.run.loss = (0..TICKS).try_for_each(|now| world.tick(now)).err();
    world.run.counts.writes = world.disk.writes();
    world.run
}

impl World {
    fn tick(&mut self, now: u64) -> Result<(), String> {
        let mut replies = Vec::new();
        for client in 0..CLIENTS {
            if self.waiting[client].is_none() && self.random.once_in(PAUSE_TICKS) {
                let command = self.draw(client);
                self.waiting[client] = Some(command);
                self.tell(now, &format!("client {client} sends {command:?}"));
                self.store.receive(client, command, &mut replies);
            }
        }
        self.store.turn(&mut self.disk, now, &mut replies);
        replies.into_iter().for_each(|reply| self.hear(now, reply));
        if self.random.once_in(POWER_CUT_TICKS) { self.cut_power(now) } else { Ok(()) }
    }

    fn draw(&mut self, client: usize) -> Command {
        if self.random.once_in(READS) {
            return Command::Read(self.random.below(CLIENTS as u64) as usize);
        }
        self.values[client] += 1;
        Command::Set(self.values[client])
    }

    fn hear(&mut self, now: u64, reply: Reply) {
        let Reply { client, register, value } = reply;
        let Some(command) = self.waiting[client].take() else { return };
        self.run.counts.replies += 1;
        self.run.counts.sets += u64::from(command == Command::Set(value));
        self.told[register] = self.told[register].max(value);
        self.tell(now, &format!("client {client} is told that register {register} holds {value}"));
    }

    /// The power is cut and comes back. Nobody gets an answer any more; what was told before must be true.
    fn cut_power(&mut self, now: u64) -> Result<(), String> {
        self.run.counts.power_cuts += 1;
        self.disk.cut_power(now);
        self.store = Store::recover(&self.disk);
        self.waiting = [None; CLIENTS];
        self.tell(now, "the power is cut and comes back");
        let mut durable = [0; CLIENTS];
        self.disk.durable().iter().for_each(|(register, value)| durable[*register] = *value);
        let lost = (0..CLIENTS).find(|register| durable[*register] < self.told[*register]);
        lost.map_or(Ok(()), |register| {
            let (value, told) = (durable[register], self.told[register]);
            Err(format!(
                "after the power cut at tick {now} register {register} holds {value}, and a client was told {told}"
            ))
        })
    }

    fn tell(&mut self, now: u64, text: &str) {
        self.run.chronicle.push(format!("{now:>4}  {text}"));
    }
}
