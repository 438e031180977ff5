//! All pictures of the vote service, drawn from a real build and a real boot: what they say must add up.
//!
//! Needs QEMU, and builds the image if it is not there.
#![cfg(not(target_os = "hermit"))]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const SERVICE: &str = "vote-service";
const PICTURES: [&str; 6] = ["size", "memory", "boot", "request", "vote", "fault"];
const GROUPS: [&str; 6] = ["modules", "crates", "kernel", "rodata", "data", "loader"];
/// How far the trace may be from QEMU's counter, in thousandths: some instructions are told twice.
const TOLERANCE: u64 = 2;
/// Columns of a terminal.
const COLUMNS: usize = 80;

struct Drawn {
    folder: PathBuf,
    figures: BTreeMap<String, u64>,
}

impl Drawn {
    fn new() -> Self {
        let output = Command::new(env!("CARGO_BIN_EXE_anatomy")).arg(SERVICE).output().expect("it starts");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        assert!(!told.contains("drawn badly"), "a text leaves its room or lies on another one: {told}");
        let page = told
            .lines()
            .find_map(|line| line.strip_prefix("all of them: "))
            .expect("it tells where they are");
        let folder = PathBuf::from(page).parent().expect("a folder").to_owned();
        let figures = fs::read_to_string(folder.join("figures.toml")).expect("figures");
        Self { folder, figures: toml::from_str(&figures).expect("names and numbers") }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn figure(&self, name: &str) -> u64 {
        *self.figures.get(name).unwrap_or_else(|| panic!("there is no figure {name}"))
    }

    /// The figures that begin and end so, with something between.
    fn sum(&self, begin: &str, end: &str) -> u64 {
        let is_meant = |name: &&String| {
            name.starts_with(begin) && name.ends_with(end) && name.len() > begin.len() + end.len()
        };
        self.figures.keys().filter(is_meant).map(|name| self.figures[name]).sum()
    }
}

#[test]
fn what_is_drawn_of_a_service_adds_up() {
    let drawn = Drawn::new();
    sizes_add_up(&drawn);
    stages_add_up(&drawn);
    stations_begin_and_end_at_the_rings(&drawn);
    the_memory_is_the_machine_s(&drawn);
    the_vote_counts_once(&drawn);
    files_are_complete(&drawn);
}

fn sizes_add_up(drawn: &Drawn) {
    let bytes = drawn.figure("image.vote-service.bytes");
    let group = |name: &str| drawn.figure(&format!("image.vote-service.{name}.bytes"));
    assert_eq!(GROUPS.into_iter().map(group).sum::<u64>(), bytes);
    for name in GROUPS {
        assert_eq!(drawn.sum(&format!("image.vote-service.{name}."), ".bytes"), group(name), "{name}");
    }
    let image = drawn.folder.join("../../hermit/vote-service.img");
    assert_eq!(fs::metadata(image).expect("the image").len(), bytes);
}

fn stages_add_up(drawn: &Drawn) {
    let all = drawn.figure("boot.vote-service.instructions");
    assert_eq!(drawn.sum("boot.vote-service.", ".instructions"), all);
    let counted = drawn.figure("boot.vote-service.counted");
    let traced = all - drawn.figure("boot.vote-service.first-answer.instructions");
    assert!(traced.abs_diff(counted) * 1000 <= counted * TOLERANCE, "traced {traced}, counted {counted}");
    for stage in ["firmware", "loader", "kernel", "program", "devices", "network"] {
        assert!(drawn.figure(&format!("boot.vote-service.{stage}.instructions")) > 0, "{stage}");
    }
}

fn stations_begin_and_end_at_the_rings(drawn: &Drawn) {
    for method in ["get", "post"] {
        let prefix = format!("request.vote-service.{method}.");
        let layers = drawn.sum(&prefix, ".instructions");
        assert_eq!(layers, drawn.figure(&format!("{prefix}instructions")), "{method}");
    }
    let text = drawn.read("anatomy.txt");
    let layers = ["virtio-net", "TCP/IP", "event loop", "HTTP", "application", "store client"];
    let mut turns: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        if line.ends_with("the voter's frame comes") || line.ends_with("the store answers") {
            turns.push(Vec::new());
        } else if let Some(turn) = turns.last_mut()
            && let Some(layer) = layers.iter().find(|layer| line.starts_with(&format!("    {layer}")))
        {
            turn.push(layer);
        }
    }
    assert!(turns.len() > 3, "a POST has several turns: {turns:?}");
    for turn in &turns {
        assert_eq!((turn.first(), turn.last()), (Some(&"virtio-net"), Some(&"virtio-net")), "{turn:?}");
    }
    assert!(turns.iter().flatten().any(|layer| *layer == "application"));
}

fn the_memory_is_the_machine_s(drawn: &Drawn) {
    assert_eq!(drawn.figure("memory.vote-service.bytes"), 32 << 20);
    assert_eq!(drawn.figure("memory.vote-service.page-tables.level-4"), 1);
    assert_eq!(
        drawn.sum("memory.vote-service.page-tables.", ""),
        drawn.figure("memory.vote-service.page-tables")
    );
    assert!(drawn.figure("memory.vote-service.heap.bytes") > 16 << 20);
    let text = drawn.read("anatomy.txt");
    for region in ["code (text)", "bss", "local APIC", "virtio-net registers", "stack of the program"] {
        assert!(text.contains(region), "no {region}");
    }
}

fn the_vote_counts_once(drawn: &Drawn) {
    assert_eq!(drawn.figure("fault.votes-counted"), 1);
    assert!(drawn.figure("fault.messages-lost") > 0);
}

fn files_are_complete(drawn: &Drawn) {
    for picture in PICTURES {
        for theme in ["light", "dark"] {
            let svg = drawn.read(&format!("{picture}-{theme}.svg"));
            assert!(svg.starts_with("<svg xmlns=") && svg.trim_end().ends_with("</svg>"), "{picture}");
            assert!(svg.contains(r#"role="img""#) && svg.contains("<title id=") && svg.contains("<desc id="));
            assert!(!svg.contains("var("), "{picture}-{theme} has colours of its own");
        }
        assert_ne!(drawn.read(&format!("{picture}-light.svg")), drawn.read(&format!("{picture}-dark.svg")));
    }
    assert_eq!(drawn.read("index.html").matches("<svg").count(), PICTURES.len());
    let text = drawn.read("anatomy.txt");
    let long = text.lines().find(|line| line.chars().count() > COLUMNS);
    assert_eq!(long, None);
}

#[test]
fn an_unknown_service_is_told_the_known_ones_in_one_line() {
    let output = Command::new(env!("CARGO_BIN_EXE_anatomy")).arg("no-such").output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    let line = told.lines().find(|line| line.starts_with("error: ")).expect("an error");
    assert!(line.contains("there is no image no-such") && line.contains("vote-service"), "{told}");
}
