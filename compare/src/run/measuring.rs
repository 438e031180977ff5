//! The measuring half of a run: every planned visit that is not over yet, one after the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use image_build::note;
use image_build::vm::accelerator::Choice;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::containment;
use crate::context::Context;
use crate::measure::{self, Site};
use crate::plan::{self, Planned};
use crate::record::{Sample, Visit};
use crate::run_dir::{Entry, RunDir};
use crate::substrate::{self, Substrate};

/// How long a short run may measure: with what it prepares and reports, less than five minutes.
const QUICK_MAX: Duration = Duration::from_secs(265);
/// Ticks of the progress bar for each second that is expected.
const TICKS_PER_SECOND: f64 = 10.0;

/// Makes the visits of the run in `directory` that are not over.
///
/// # Errors
/// When the run's files cannot be read or written. What fails on a substrate is recorded instead.
pub fn measure(directory: &Path, original: Option<PathBuf>, accel: Choice) -> Result<()> {
    let contained = containment::is_inside();
    if contained {
        containment::enter()?;
    }
    let mut run_dir = RunDir::open(directory)?;
    let peers = run_dir.run.peers.clone();
    let context = Context { peers, ..Context::find(accel, original, contained)? };
    let planned = plan::remaining(&run_dir)?;
    // Whoever goes on with a run has the time for it.
    let limit = (run_dir.run.quick && run_dir.done()?.is_empty()).then_some(QUICK_MAX);
    let mut progress = Progress::new(&planned);
    let mut substrates = BTreeMap::new();
    for (index, (visit, seconds)) in planned.iter().enumerate() {
        if run_dir.is_given_up(&visit.substrate)? {
            continue;
        }
        if limit.is_some_and(|limit| progress.after(*seconds) > limit) {
            let left = planned.len() - index;
            progress.say(&format!(
                "the short run's time is over with {left} visits left: `cargo compare --resume`"
            ));
            break;
        }
        progress.begin(visit);
        let (samples, failure) = match visit_one(&context, &run_dir, &mut substrates, visit) {
            Ok(samples) => (samples, None),
            Err(error) => {
                progress.say(&format!("{} failed: {error:#}", progress.name(visit)));
                (Vec::new(), Some(format!("{error:#}")))
            }
        };
        run_dir.append(&Entry { visit: visit.clone(), samples, failure })?;
        progress.end(*seconds);
    }
    Ok(())
}

type Substrates = BTreeMap<String, Box<dyn Substrate>>;

fn visit_one(
    context: &Context,
    run_dir: &RunDir,
    substrates: &mut Substrates,
    visit: &Visit,
) -> Result<Vec<Sample>> {
    let logs = run_dir.logs(visit)?;
    if !substrates.contains_key(&visit.substrate) {
        let opened = substrate::find(&context.peers, &visit.substrate)?.open(context)?;
        substrates.insert(visit.substrate.clone(), opened);
    }
    let site = Site {
        context,
        substrate: substrates[&visit.substrate].as_ref(),
        id: &visit.substrate,
        round: visit.round,
        quick: run_dir.run.quick,
        directory: &logs,
    };
    measure::measure(&site, visit.group)
}

/// A bar with the time that is left, as far as the visits so far tell.
struct Progress {
    bar: ProgressBar,
    begun: Instant,
    expected: f64,
    over: f64,
}

impl Progress {
    fn new(planned: &[Planned]) -> Self {
        let expected: f64 = planned.iter().map(|(_, seconds)| seconds).sum();
        let bar = ProgressBar::new((expected * TICKS_PER_SECOND) as u64);
        let style = ProgressStyle::with_template("{bar:30.cyan/blue} {percent:>3}%  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, begun: Instant::now(), expected, over: 0.0 }
    }

    fn name(&self, visit: &Visit) -> String {
        format!("round {}, {}, {}", visit.round + 1, visit.group.name(), visit.substrate)
    }

    fn begin(&self, visit: &Visit) {
        let left = HumanDuration(self.left());
        let message = format!("{left:#} left  {}", self.name(visit));
        self.bar.set_message(message.clone());
        // Without a terminal the bar is not drawn; a log still wants to know.
        if self.bar.is_hidden() {
            note!("{message}");
        }
    }

    /// The expected time, corrected by how wrong it has been so far.
    fn left(&self) -> Duration {
        Duration::from_secs_f64(((self.expected - self.over) * self.pace()).max(0.0))
    }

    fn pace(&self) -> f64 {
        if self.over > 0.0 { self.begun.elapsed().as_secs_f64() / self.over } else { 1.0 }
    }

    /// When a visit will be over that is expected to take so many seconds, from the beginning.
    fn after(&self, seconds: f64) -> Duration {
        self.begun.elapsed() + Duration::from_secs_f64(seconds * self.pace())
    }

    fn end(&mut self, seconds: f64) {
        self.over += seconds;
        self.bar.inc((seconds * TICKS_PER_SECOND) as u64);
    }

    fn say(&self, text: &str) {
        if self.bar.is_hidden() { note!("{text}") } else { self.bar.println(text) }
    }
}
