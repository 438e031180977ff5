//! How everything is stopped: instances that were up are asked to stop and drain, round by round (`stop_order`).
//! Those that do not end in time, or were never up, are ended by their process.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use crate::supervisor::instance::RunningInstance;
use crate::supervisor::lifecycle::Supervisor;
use crate::supervisor::stop_order;
use image_build::vm::listen_filter;

/// How long `/readyz` says that everything stops before anything does.
const NOTICE: Duration = Duration::from_millis(300);
/// How long the machines of one round may take to drain and end: more than a guest gives itself
/// (`kernel_app::stopping`).
const ROUND_TIMEOUT: Duration = Duration::from_secs(4);
/// How long machines are given to end when their processes are asked to, before they are ended: QEMU flushes their
/// disks.
const STOP_GRACE: Duration = Duration::from_secs(5);

impl Supervisor<'_> {
    /// Stops all machines, those that others depend on last, and waits until their logs are complete.
    pub(super) fn stop_all(&mut self) {
        if self.state.up {
            self.drain_all();
        }
        for running in self.running.iter().rev().flatten() {
            running.handle.terminate();
        }
        let end = Instant::now() + STOP_GRACE;
        for running in self.running.iter().flatten() {
            if !running.handle.ended_within(end.saturating_duration_since(Instant::now())) {
                running.handle.kill();
            }
        }
        for running in self.running.iter_mut().flatten() {
            running.finish();
        }
        self.balancer = None;
        self.network = None;
    }

    fn drain_all(&mut self) {
        // Those that were started again and have not booted yet hear nothing.
        self.running.iter_mut().flatten().for_each(RunningInstance::order_stop);
        thread::sleep(NOTICE);
        for round in stop_order::rounds(&self.state.plan.instances) {
            self.drain(&round);
        }
    }

    /// Lets nobody in any more, and has what is under way finished.
    fn drain(&mut self, round: &[usize]) {
        let own = i32::try_from(std::process::id()).ok();
        self.end_shared_ports(round, own);
        let instances = round.iter().map(|index| &self.state.plan.instances[*index]);
        let addresses = instances.flat_map(|instance| {
            let ports = &self.ports;
            instance.ports.iter().filter_map(move |port| ports.address(&instance.name, port.guest))
        });
        let addresses: Vec<_> = addresses.collect();
        let alive = round.iter().filter_map(|index| self.running[*index].as_ref());
        let alive = alive.filter(|running| running.is_healthy() && !running.has_ended());
        let pids: Vec<i32> = alive.map(|running| running.pid).chain(own).collect();
        for index in round {
            self.running[*index].iter_mut().for_each(RunningInstance::prepare_stop);
        }
        // Without it, connections that come now may be reset; everything stops all the same.
        let _ = listen_filter::shut(&pids, &addresses);
        let end = Instant::now() + ROUND_TIMEOUT;
        for index in round {
            let Some(running) = &mut self.running[*index] else { continue };
            running.order_stop();
        }
        for running in round.iter().filter_map(|index| self.running[*index].as_ref()) {
            if !running.is_healthy()
                || !running.handle.ended_within(end.saturating_duration_since(Instant::now()))
            {
                running.handle.terminate();
            }
        }
    }

    /// Lets nobody in at the ports that the instances of this round share: who came before is at an instance
    /// afterwards, whose port is still open.
    fn end_shared_ports(&self, round: &[usize], own: Option<i32>) {
        let Some(balancer) = &self.balancer else { return };
        let services: BTreeSet<&str> =
            round.iter().map(|index| self.state.plan.instances[*index].service.as_str()).collect();
        let addresses: Vec<_> = services.iter().flat_map(|service| balancer.addresses(service)).collect();
        if addresses.is_empty() {
            return;
        }
        // Without it, connections that come now may be reset; everything stops all the same.
        let _ = listen_filter::shut(&Vec::from_iter(own), &addresses);
        services.iter().for_each(|service| balancer.end_service(service));
    }
}
