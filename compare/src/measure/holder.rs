//! The processes of an instance, and what they hold of the host's memory: of a virtual machine in its two parts.

use anyhow::Result;

use super::site::Site;
use crate::record::{Measure, Metric, Sample};
use crate::substrate::Instance;
use crate::{child, guest_memory};

/// Who holds an instance's memory.
pub struct Holder {
    pub processes: Vec<i32>,
    guest_memory_mib: Option<u32>,
}

impl Holder {
    pub fn of(instance: &Instance) -> Self {
        let Instance { processes, guest_memory_mib, .. } = instance;
        Self { processes: processes.clone(), guest_memory_mib: *guest_memory_mib }
    }

    /// What they hold now. Where the parts cannot be told apart, a note says so.
    ///
    /// # Errors
    /// When one of them is gone or may not be looked at.
    pub fn sample(&self, site: &Site) -> Result<Sample> {
        let parts = self.guest_memory_mib.map(|memory_mib| guest_memory::parts(&self.processes, memory_mib));
        let (metrics, note) = match parts {
            Some(Ok(parts)) => {
                let all = (Metric::MemoryMib, parts.guest_mib + parts.vmm_mib);
                let guest = (Metric::GuestMemoryMib, parts.guest_mib);
                (vec![all, guest, (Metric::VmmMemoryMib, parts.vmm_mib)], None)
            }
            Some(Err(reason)) => (self.whole()?, Some(format!("the guest's part is not known: {reason:#}"))),
            None => (self.whole()?, None),
        };
        Ok(Sample { note, ..site.sample(Measure::Resident, metrics) })
    }

    fn whole(&self) -> Result<Vec<(Metric, f64)>> {
        Ok(vec![(Metric::MemoryMib, child::memory_mib(&self.processes)?)])
    }
}
