//! What the supervisor does when instances end after everything was up: it restarts those that `restarts` selects,
//! with the same ports and the same disk.

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use segment::balancer::Standing;
use wire::calendar::Rfc3339;

use crate::application::restart::Restart;
use crate::log::file::{Line, LogWriter, now_ms};
use crate::plan::Net;
use crate::state::event::Event;
use crate::supervisor::instance::RunningInstance;
use crate::supervisor::lifecycle::Supervisor;
use crate::supervisor::message::{Ending, Message, Source};
use crate::supervisor::restarts::Decision;

impl Supervisor<'_> {
    /// Whether something runs, or is going to.
    pub(super) fn is_alive(&self) -> bool {
        let runs = |running: &RunningInstance| !running.has_ended();
        self.running.iter().flatten().any(runs) || self.restarts.iter().any(|it| it.due().is_some())
    }

    /// The next message; none when a time has come first.
    pub(super) fn next_message_or_time(&self) -> Result<Option<Message>, RecvTimeoutError> {
        let deadlines = self.running.iter().flatten().filter(|running| running.is_awaited());
        let deadlines = deadlines.map(|running| running.deadline);
        let times = self.restarts.iter().filter_map(|restarts| restarts.due()).chain(deadlines);
        let inbox = &self.connections.inbox;
        let time = times.fold(self.record.due, Instant::min);
        match inbox.recv_timeout(time.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => Ok(None),
            message => message.map(Some),
        }
    }

    /// Starts what is due, and ends what was started again but has not become healthy.
    pub(super) fn act_on_time(&mut self, now: Instant) {
        self.keep_record(now);
        self.tell_of_network();
        for index in 0..self.running.len() {
            if self.restarts[index].take_due(now) {
                self.start_again(index, now);
            }
            let overdue = |running: &&mut RunningInstance| running.is_awaited() && running.deadline <= now;
            if let Some(running) = self.running[index].as_mut().filter(overdue) {
                // Its end is a failure, like any other.
                running.give_up_waiting(now);
            }
        }
    }

    fn start_again(&mut self, index: usize, now: Instant) {
        if let Err(error) = self.start(index) {
            let how = format!("{error:#}");
            self.recover(index, &Ending { how, has_failed: true, is_explained: true }, now);
        }
    }

    /// Ends a machine that hangs, so that it is started again; one that would not be is left for who looks into it.
    pub(super) fn note_hung(&mut self, source: Source, silence: Duration) {
        let why = format!("it has not answered for {} s", silence.as_secs());
        let instance = &self.state.plan.instances[source.index];
        if instance.restart == Restart::No {
            return self.write_log(&instance.name.clone(), &format!("{why}; it is left as it is"));
        }
        if let Some(running) = self.running(source) {
            running.give_up(why);
            self.set_standing(source, Standing::Down);
        }
    }

    /// Notes an end, and when it is to be followed by a new start.
    pub(super) fn note_ended(&mut self, source: Source, ending: Ending) {
        let Source { index, .. } = source;
        self.set_standing(source, Standing::Down);
        if let Some(balancer) = self.balancer.as_ref().filter(|_| self.state.plan.network.net == Net::Tap) {
            // On a bridge nobody else tells those who are connected to it.
            balancer.lose(&self.state.plan.instances[index].name);
        }
        let running = self.running[index].as_mut();
        let how = running.map_or_else(|| ending.how.clone(), |running| running.note_ended(&ending));
        self.recover(index, &Ending { how, ..ending }, Instant::now());
    }

    fn recover(&mut self, index: usize, ending: &Ending, now: Instant) {
        let instance = self.state.plan.instances[index].name.clone();
        let how = ending.how.clone();
        let decision = self.restarts[index].ended(ending.has_failed, now);
        if let Some(state) = self.state.instances.iter_mut().find(|state| state.instance == instance) {
            state.ended = Some(how.clone());
            state.restarting = decision != Decision::Over;
        }
        (self.connections.tell)(Event::Ended { instance: instance.clone(), how: how.clone() });
        let next = match decision {
            Decision::Again { pause, attempt } => {
                let after_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                (self.connections.tell)(Event::Restarting { instance: instance.clone(), after_ms, attempt });
                format!("starting it again in {:.2} s (attempt {attempt})", pause.as_secs_f64())
            }
            Decision::Over => "it is not started again".to_owned(),
        };
        self.write_log(&instance, &format!("{how}; {next}"));
        self.save();
    }

    /// Adds a line to an instance's log, in the form of its own, for those who wonder why it begins anew.
    pub(super) fn write_log(&self, instance: &str, message: &str) {
        let at_ms = now_ms();
        let time = Rfc3339(Duration::from_millis(at_ms));
        let line = Line { at_ms, text: format!("{time} WARN  {instance} supervisor: {message}") };
        // Only the instance's own writer begins a log anew when it is full. A full disk loses lines, as it does for it.
        let _ = LogWriter::new(self.run_dir.log_path(instance), u64::MAX).write(&line);
    }
}
