//! `cargo logs`: prints the services' logs, and with `-f` follows them.

pub mod view;

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::commands::logs::view::{LogView, Shape};
use crate::commands::options::LogsOptions;
use crate::state::run_dir::RunDir;
use crate::terminal::style::Style;

/// How often new lines are looked for.
const INTERVAL: Duration = Duration::from_millis(100);

/// Prints logs.
///
/// # Errors
/// When there are none, or none of the service asked for.
pub fn logs(run_dir: &RunDir, options: &LogsOptions) -> Result<()> {
    let instances = chosen(run_dir.logged_instances(), options.service.as_deref())?;
    let shape = if options.json { Shape::Json } else { Shape::Text(Style::of_output()) };
    let mut view = LogView::new(run_dir, &instances, shape);
    view.print_new(options.tail.unwrap_or(usize::MAX))?;
    while options.follow && is_running(run_dir) {
        thread::sleep(INTERVAL);
        view.print_new(usize::MAX)?;
    }
    Ok(())
}

fn is_running(run_dir: &RunDir) -> bool {
    run_dir.read_state().ok().flatten().is_some_and(|state| state.supervisor.runs())
}

/// The instances of a service, or the one instance of this name, or all.
fn chosen(instances: Vec<String>, service: Option<&str>) -> Result<Vec<String>> {
    if instances.is_empty() {
        bail!("there are no logs yet: `cargo up` starts the application");
    }
    let Some(service) = service else { return Ok(instances) };
    let is_chosen = |instance: &&String| {
        *instance == service || instance.rsplit_once('-').is_some_and(|(name, _)| name == service)
    };
    let found: Vec<String> = instances.iter().filter(is_chosen).cloned().collect();
    if found.is_empty() {
        bail!("there is no log of {service:?}: choose one of {}", instances.join(", "));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_means_all_its_instances() {
        let all: Vec<String> = ["store-1", "vote-1", "vote-2"].map(str::to_owned).to_vec();
        let of = |service| chosen(all.clone(), service);
        assert_eq!(of(None).expect("all"), all);
        assert_eq!(of(Some("vote")).expect("two"), ["vote-1", "vote-2"]);
        assert_eq!(of(Some("vote-2")).expect("one"), ["vote-2"]);
        let error = of(Some("vot")).expect_err("none").to_string();
        assert_eq!(error, "there is no log of \"vot\": choose one of store-1, vote-1, vote-2");
        assert!(chosen(Vec::new(), None).expect_err("none").to_string().contains("`cargo up`"));
    }
}
