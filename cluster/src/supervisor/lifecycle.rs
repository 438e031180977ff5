//! The life cycle of a running application: it starts the machines in order, waits for their health, keeps the state
//! file current, and stops everything when it ends. It builds nothing, and communicates only with its starter, `up`.

use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Instant;

use anyhow::Result;
use segment::balancer::{RunningBalancer, Standing};

use crate::application::Condition;
use crate::log::file::last_lines;
use crate::network;
use crate::network::ports::Ports;
use crate::plan::{Instance, Plan};
use crate::state::State;
use crate::state::event::Event;
use crate::state::identity::Identity;
use crate::state::run_dir::RunDir;
use crate::supervisor::instance::{self, RunningInstance};
use crate::supervisor::message::{Ending, Message, Source, elapsed_ms};
use crate::supervisor::record::Record;
use crate::supervisor::restarts::Restarts;
use crate::supervisor::stop_request;
use image_build::vm::backlog;
use image_build::vm::vmm::StopOrder;

/// What QEMU says when it is asked to end; nothing that explains a failure.
const TERMINATING: &str = "terminating on signal";
/// How many of a failed instance's last lines are shown.
const LAST_LINES_MAX: usize = 12;

/// Makes the command that runs an instance.
pub type MakeCommand<'a> = &'a dyn Fn(&Plan, &Instance, &Ports) -> Result<Command>;

/// How a supervisor is connected to the world.
pub struct Connections<'a> {
    /// Makes commands; each is to end with this process.
    pub command: MakeCommand<'a>,
    /// Where messages come from.
    pub inbox: Receiver<Message>,
    /// The other end of the inbox, for the threads that watch instances.
    pub outbox: Sender<Message>,
    /// Takes events.
    pub tell: &'a mut dyn FnMut(Event),
}

/// An application while it runs; its other methods are in the files beside this one.
pub struct Supervisor<'a> {
    pub(super) run_dir: &'a RunDir,
    pub(super) state: State,
    pub(super) ports: Ports,
    /// The application's own network, if it has one; it ends after the machines.
    pub(super) network: Option<network::OwnNetwork>,
    /// Shares out the ports that several instances have in common, if there are any.
    pub(super) balancer: Option<RunningBalancer>,
    pub(super) running: Vec<Option<RunningInstance>>,
    pub(super) restarts: Vec<Restarts>,
    pub(super) record: Record,
    pub(super) connections: Connections<'a>,
    pub(super) begun: Instant,
}

/// Why not everything came up.
struct Failure {
    message: String,
    instance: Option<usize>,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { message: format!("{:#}", error.into()), instance: None }
    }
}

/// Runs an application from its start to its end. The lock of the folder is the caller's, and the calling
/// thread has to be the main one: machines end with the thread that started them. When it returns,
/// nothing runs any more and the last event has said why.
pub fn run<'a>(run_dir: &'a RunDir, plan: Plan, connections: Connections<'a>) {
    let mut supervisor = match Supervisor::new(run_dir, plan, connections) {
        Ok(supervisor) => supervisor,
        Err((error, connections)) => {
            (connections.tell)(Event::Failed { message: format!("{error:#}"), log: Vec::new() });
            return;
        }
    };
    let outcome = supervisor.bring_up().and_then(|()| supervisor.stay_up());
    supervisor.stop_all();
    let last = match outcome {
        Ok(()) => Event::Stopped,
        Err(failure) => supervisor.explain(failure),
    };
    let last = match run_dir.remove_state() {
        Ok(()) => last,
        Err(error) => Event::Failed { message: format!("{error:#}"), log: Vec::new() },
    };
    (supervisor.connections.tell)(last);
}

impl<'a> Supervisor<'a> {
    fn new(
        run_dir: &'a RunDir,
        plan: Plan,
        connections: Connections<'a>,
    ) -> Result<Self, (anyhow::Error, Connections<'a>)> {
        let ready = || -> Result<_> {
            let mut ports = network::reserve_ports(plan.network.net, &plan.instances, run_dir.path())?;
            let network = network::start(run_dir, &plan, &mut ports)?;
            let balancer = network::shared::start(run_dir, &plan, &mut ports, network.as_ref())?;
            Ok((Identity::of(std::process::id())?, ports, network, balancer))
        };
        let (identity, ports, network, balancer) = match ready() {
            Ok(ready) => ready,
            Err(error) => return Err((error, connections)),
        };
        let running = plan.instances.iter().map(|_| None).collect();
        let restarts = plan.instances.iter().map(|instance| Restarts::new(instance.restart)).collect();
        let (state, begun) = (State::new(identity, plan), Instant::now());
        let record = Record::new(begun);
        Ok(Self { run_dir, state, ports, network, balancer, running, restarts, record, connections, begun })
    }

    /// Starts everything and waits until all of it is healthy.
    fn bring_up(&mut self) -> Result<(), Failure> {
        self.run_dir.remove_logs();
        // Later it goes on without, but what is not there yet is better not begun.
        self.run_dir.write_state(&self.state)?;
        while !self.running.iter().all(|running| running.as_ref().is_some_and(RunningInstance::is_healthy)) {
            self.start_what_can()?;
            match self.next_message()? {
                Message::Healthy(source) => self.note_healthy(source),
                Message::Problem(source, problem) => self.note_problem(source, problem),
                Message::Readiness(source, is_ready) => self.note_readiness(source, is_ready),
                Message::Hung(source, silence) => self.note_hung(source, silence),
                Message::Ended(source, ending) => return Err(self.ended_too_soon(source.index, &ending)),
                Message::Faulty(source) => self.kill(source),
                Message::Stop(why) => return Err(Failure { message: why.to_owned(), instance: None }),
                Message::Leave => {}
            }
        }
        self.state.up = true;
        self.save();
        (self.connections.tell)(Event::Up { after_ms: elapsed_ms(self.begun) });
        Ok(())
    }

    /// Restarts failed instances until a request to stop comes, or nothing runs any more.
    fn stay_up(&mut self) -> Result<(), Failure> {
        while self.is_alive() {
            // The sender that is kept here for the watching threads keeps the inbox open.
            let Ok(message) = self.next_message_or_time() else { break };
            match message {
                Some(Message::Stop(_)) => break,
                Some(Message::Leave) => (self.connections.tell)(Event::Left),
                Some(Message::Ended(source, ending)) => self.note_ended(source, ending),
                Some(Message::Faulty(source)) => self.kill(source),
                Some(Message::Hung(source, silence)) => self.note_hung(source, silence),
                Some(Message::Healthy(source)) => self.note_healthy(source),
                Some(Message::Readiness(source, is_ready)) => self.note_readiness(source, is_ready),
                Some(Message::Problem(source, problem)) => self.note_problem(source, problem),
                None => self.act_on_time(Instant::now()),
            }
        }
        Ok(())
    }

    fn start_what_can(&mut self) -> Result<(), Failure> {
        for index in 0..self.running.len() {
            if self.running[index].is_none() && self.may_start(&self.state.plan.instances[index]) {
                self.start(index)
                    .map_err(|error| Failure { message: format!("{error:#}"), instance: Some(index) })?;
            }
        }
        Ok(())
    }

    fn may_start(&self, instance: &Instance) -> bool {
        let others = self.state.plan.instances.iter().zip(&self.running);
        let mut needed =
            others.filter_map(|(other, running)| Some((instance.depends_on.get(&other.service)?, running)));
        needed.all(|(condition, running)| match condition {
            Condition::Started => running.is_some(),
            Condition::Healthy => running.as_ref().is_some_and(RunningInstance::is_healthy),
        })
    }

    pub(super) fn start(&mut self, index: usize) -> Result<()> {
        let mut instance = self.state.plan.instances[index].clone();
        let vmm = self.state.plan.platform.vmm;
        let secret = match vmm.stop_order() {
            StopOrder::SerialLine => None,
            StopOrder::Request => Some(stop_request::new_secret()?),
        };
        let setting = secret.iter().map(|secret| (stop_request::SETTING.to_owned(), secret.clone()));
        instance.environment.extend(setting);
        let command = (self.connections.command)(&self.state.plan, &instance, &self.ports)?;
        self.ports.release(&instance.name);
        let name = instance.name.clone();
        let earlier = self.state.instances.iter().position(|state| state.instance == name);
        let restarts = earlier.map_or(0, |earlier| self.state.instances[earlier].restarts + 1);
        let source = Source { index, start: restarts };
        let (ports, run_dir) = (&self.ports, self.run_dir);
        let starting = instance::Starting { source, instance: &instance, vmm, secret, ports, run_dir };
        let (running, state) = starting.start(command, self.connections.outbox.clone())?;
        (self.connections.tell)(Event::Started { instance: name });
        self.running[index] = Some(running);
        match earlier {
            Some(earlier) => self.state.instances[earlier] = state,
            None => self.state.instances.push(state),
        }
        self.save();
        Ok(())
    }

    /// The next message, or the failure of the first instance whose time is over before one comes.
    fn next_message(&self) -> Result<Message, Failure> {
        let times = self.running.iter().enumerate().filter_map(|(index, running)| {
            running.as_ref().filter(|running| !running.is_healthy()).map(|running| (running.deadline, index))
        });
        let Some((deadline, index)) = times.min() else {
            return Err(Failure { message: "no service can start".to_owned(), instance: None });
        };
        match self.connections.inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(message) => Ok(message),
            Err(RecvTimeoutError::Timeout) => Err(self.took_too_long(index)),
            Err(RecvTimeoutError::Disconnected) => bail_failure("the inbox is closed"),
        }
    }

    fn took_too_long(&self, index: usize) -> Failure {
        let instance = &self.state.plan.instances[index];
        let problem =
            self.running[index].as_ref().map(|running| running.fault().unwrap_or(running.problem.clone()));
        let problem = problem.unwrap_or_default();
        let message = format!(
            "{} was not healthy within {} s ({problem}): fix the error in its log, or raise health.timeout_s of {}",
            instance.name, instance.health.timeout_s, instance.service
        );
        Failure { message, instance: Some(index) }
    }

    fn ended_too_soon(&mut self, index: usize, ending: &Ending) -> Failure {
        let running = self.running[index].as_mut();
        let why = running.map_or_else(|| ending.how.clone(), |running| running.note_ended(ending));
        let name = &self.state.plan.instances[index].name;
        let seconds = elapsed_ms(self.begun) as f64 / 1000.0;
        let message =
            format!("{name} failed {seconds:.1} s after the start, before everything was up: {why}");
        Failure { message, instance: Some(index) }
    }

    /// The machine that a message is about, unless that has been followed by another one.
    pub(super) fn running(&mut self, source: Source) -> Option<&mut RunningInstance> {
        self.running[source.index].as_mut().filter(|running| running.source == source)
    }

    fn kill(&mut self, source: Source) {
        if let Some(running) = self.running(source) {
            running.handle.kill();
            self.set_standing(source, Standing::Down);
        }
    }

    /// Tells the balancer whether an instance is to get connections.
    pub(super) fn set_standing(&self, source: Source, standing: Standing) {
        if let Some(balancer) = &self.balancer {
            balancer.set_standing(&self.state.plan.instances[source.index].name, standing);
        }
    }

    fn note_readiness(&mut self, source: Source, is_ready: bool) {
        if self.running(source).is_some() {
            self.set_standing(source, if is_ready { Standing::Ready } else { Standing::Unready });
        }
    }

    fn note_healthy(&mut self, source: Source) {
        let name = self.state.plan.instances[source.index].name.clone();
        let Some(running) = self.running(source) else { return };
        let after_ms = running.note_healthy();
        self.restarts[source.index].healthy(Instant::now());
        if let Some(state) = self.state.instances.iter_mut().find(|state| state.instance == name) {
            state.healthy_after_ms = Some(after_ms);
            if let Err(error) = backlog::deepen(state.process.pid) {
                let problem = format!("bursts of connections may have to wait: {error:#}");
                (self.connections.tell)(Event::Waiting { instance: name.clone(), problem });
            }
        }
        self.set_standing(source, Standing::Ready);
        (self.connections.tell)(Event::Healthy { instance: name, after_ms });
        self.save();
    }

    fn note_problem(&mut self, source: Source, problem: String) {
        let Some(running) = self.running(source) else { return };
        running.problem.clone_from(&problem);
        let instance = self.state.plan.instances[source.index].name.clone();
        (self.connections.tell)(Event::Waiting { instance, problem });
    }

    /// The event for a failure. Everything is stopped by now, so the log is complete.
    fn explain(&self, failure: Failure) -> Event {
        let Failure { message, instance } = failure;
        let log = instance.map(|index| {
            let path = self.run_dir.log_path(&self.state.plan.instances[index].name);
            let lines = last_lines(&path, LAST_LINES_MAX).into_iter().map(|line| line.text);
            lines.filter(|text| !text.contains(TERMINATING)).collect()
        });
        Event::Failed { message, log: log.unwrap_or_default() }
    }
}

fn bail_failure<T>(message: &str) -> Result<T, Failure> {
    Err(Failure { message: message.to_owned(), instance: None })
}
