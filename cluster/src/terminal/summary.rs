//! The summary when everything is up: what runs on which machine, how long each service took, and the addresses.

use std::fmt::Write;

use crate::plan::Data;
use crate::state::State;
use crate::terminal::style::Style;

/// The summary of an application that is up; `after_ms` is the time from the first start to the last
/// service's health.
pub fn summary(state: &State, after_ms: Option<u64>, style: Style) -> String {
    let plan = &state.plan;
    let mut text = String::new();
    let after = after_ms.map(|ms| format!(" after {}", seconds(ms))).unwrap_or_default();
    let headline = format!("{} is up{after}", plan.application);
    let count = match state.instances.len() {
        1 => "1 unikernel".to_owned(),
        count => format!("{count} unikernels"),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\n{}: {count} on {}\n", style.bold(&headline), plan.platform.label());
    let width = state.instances.iter().map(|instance| instance.instance.len()).max().unwrap_or(0);
    for (index, instance) in state.instances.iter().enumerate() {
        let planned = plan.instances.iter().find(|planned| planned.name == instance.instance);
        let memory = planned.map_or(0, |planned| planned.memory_mib);
        let name = style.instance(index, &format!("{:width$}", instance.instance));
        let healthy = instance.healthy_after_ms.map_or_else(|| "-".to_owned(), seconds);
        let _ = write!(text, "  {name}  healthy in {healthy:>7}  {memory:>4} MiB  ");
        let endpoint = &instance.endpoint;
        let shown = if instance.published { style.bold(endpoint) } else { style.dim(endpoint) };
        let _ = writeln!(text, "{shown}");
    }
    for planned in &plan.instances {
        let name = &planned.name;
        let _ = match &planned.data {
            Data::None => Ok(()),
            Data::InMemory => writeln!(
                text,
                "\n{name} has its data in memory: they go with `cargo down`. `cargo up --data DIR` keeps them."
            ),
            Data::OnDisk(image) => writeln!(text, "\n{name} keeps its data in {}", image.path.display()),
        };
    }
    text
}

fn seconds(ms: u64) -> String {
    format!("{}.{:02} s", ms / 1000, ms % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::draft::tests::one_service;
    use crate::state::InstanceState;
    use crate::state::identity::Identity;
    use crate::state::run_dir::tests::instance;
    use image_build::vm::disk_image::DiskImage;

    #[test]
    fn times_memory_addresses_and_emulation_are_told() {
        let process = Identity::of(std::process::id()).expect("this process runs");
        let mut state = State::new(process.clone(), one_service(1, 8080));
        state.instances.push(InstanceState {
            endpoint: "http://127.0.0.1:8080".to_owned(),
            healthy_after_ms: Some(1_256),
            ..instance("web", "web-1", process)
        });
        let text = summary(&state, Some(2_040), Style::Plain);
        let headline = "test is up after 2.04 s: 1 unikernel on q35, emulated (TCG)";
        assert_eq!(text.lines().nth(1), Some(headline));
        let row = "  web-1  healthy in  1.25 s    16 MiB  http://127.0.0.1:8080";
        assert_eq!(text.lines().nth(3), Some(row));
        state.plan.instances[0].data = Data::InMemory;
        let text = summary(&state, None, Style::Plain);
        assert!(text.contains("web-1 has its data in memory: they go with `cargo down`."), "{text}");
        let image = DiskImage { path: "/d/web-1.img".into(), size_mib: 8 };
        state.plan.instances[0].data = Data::OnDisk(image);
        let text = summary(&state, None, Style::Plain);
        assert!(text.ends_with("\nweb-1 keeps its data in /d/web-1.img\n"), "{text}");
        assert!(summary(&state, Some(1), Style::Coloured).contains("\u{1b}[1mhttp://"));
    }
}
