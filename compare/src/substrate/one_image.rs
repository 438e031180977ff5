//! The four services in one unikernel, talking through memory.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use image_build::vm::machine::Machine;

use super::hermit::Hermit;
use super::{Instance, Order, Program, Substrate};
use crate::compose::{self, Application};
use crate::context::Context;

/// Memory of the one guest, in MiB: its store holds what the store of its own holds elsewhere.
const MEMORY_MIB: u32 = 416;
/// What its store's data may take.
const STORE_MEMORY: &str = "256mb";

/// The one image on one kind of machine.
pub struct OneImage(Hermit);

impl OneImage {
    /// Ready to start guests.
    ///
    /// # Errors
    /// When QEMU is not there.
    pub fn open(context: &Context, machine: Machine) -> Result<Self> {
        Hermit::open(context, machine).map(Self)
    }
}

impl Substrate for OneImage {
    fn start(&self, order: &Order) -> Result<Instance> {
        self.0.start(&Order { program: Program::VotingApp, ..order.clone() })
    }

    /// The whole application: without its own store it would not be what it is compared as.
    fn vote(&self, order: &Order) -> Result<Instance> {
        let settings = order.settings.iter().filter(|(name, _)| name != "REDIS_URL").cloned().collect();
        self.start(&Order { settings, ..order.clone() })
    }

    fn application(&self, votes: u32, directory: &Path) -> Result<Application> {
        ensure!(votes == 1, "one image has one vote service");
        let settings = [("MAXMEMORY", STORE_MEMORY), ("LOG", "warn")];
        let order = Order {
            program: Program::VotingApp,
            name: "voting-app".to_owned(),
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            memory_mib: Some(MEMORY_MIB),
            directory,
            counted: None,
        };
        let instance = compose::ready(self.start(&order)?, Program::VotingApp)?;
        Ok(Application { votes: vec![instance], result: None, others: Vec::new() })
    }

    fn votes_max(&self) -> u32 {
        1
    }

    fn shipped(&self) -> Vec<PathBuf> {
        self.0.image(Program::VotingApp).into_iter().collect()
    }

    fn memory_range(&self) -> Option<(u32, u32)> {
        self.0.memory_range()
    }

    fn counts_instructions(&self) -> bool {
        true
    }
}
