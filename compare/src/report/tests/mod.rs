//! What a report must say in all of its forms, and what it must never do.

mod fixture;

use fixture::{HOSTILE, NOTE, VOIDED, nothing, rate, results};

use super::baseline::Changes;
use super::notes::Notes;
use super::table::{Body, Table};
use super::{html, markdown, tables, terminal};
use crate::record::{Measure, Metric};
use crate::results::Results;
use crate::substrate::Execution;

/// Elements that have no end.
const VOID: [&str; 2] = ["meta", "!DOCTYPE"];

fn page() -> String {
    html::document(&results(1.0), Some(&Changes::new(&results(2.0), &results(1.0)))).expect("a page")
}

fn all_tables(results: &Results) -> Vec<Table> {
    let notes = Notes::new(results);
    let sections = [
        tables::start,
        tables::memory,
        tables::throughput,
        tables::latency,
        tables::application,
        tables::instructions,
    ];
    sections.into_iter().flat_map(|section| section(results, &notes)).collect()
}

/// Every `<...>` of a page, without its style sheet.
fn tags(page: &str) -> Vec<&str> {
    let (head, rest) = page.split_once("<style>").expect("a style sheet");
    let (_, body) = rest.split_once("</style>").expect("its end");
    let within = |text: &'_ str| -> Vec<(usize, usize)> {
        let starts = text.match_indices('<').map(|(start, _)| start);
        starts.map(|start| (start + 1, start + text[start..].find('>').expect("the end of a tag"))).collect()
    };
    let cut = |text| within(text).into_iter().map(move |(from, to)| &text[from..to]);
    cut(head).chain(cut(body)).collect()
}

#[test]
fn elements_end_in_the_order_of_their_beginnings() {
    let page = page();
    let mut open: Vec<&str> = Vec::new();
    for tag in tags(&page) {
        let name = tag.split_whitespace().next().expect("a name");
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?} have no end");
}

#[test]
fn nothing_from_outside_becomes_markup() {
    let page = page();
    let names: std::collections::BTreeSet<&str> =
        tags(&page).iter().filter_map(|tag| tag.trim_start_matches('/').split_whitespace().next()).collect();
    for foreign in ["script", "kernel", "i", "x"] {
        assert!(!names.contains(foreign), "<{foreign}> is an element");
    }
    assert!(page.contains("&lt;script&gt;alert('1')&lt;/script&gt; &amp; &quot;quoted&quot;"));
    assert!(page.contains("&lt;/pre&gt;&lt;/details&gt; second line"));
    let document = markdown::document(&results(1.0), None);
    let loose = document.lines().filter(|line| line.contains("<script") && !line.starts_with("    "));
    assert_eq!(loose.count(), 0, "a log is not quoted");
    assert!(document.contains("no &lt;kernel> here"));
}

#[test]
fn a_page_loads_nothing() {
    let page = page();
    for reference in ["http:", "https:", "src=", "url(", "@import", "<link", "<script", "<iframe", "<object"]
    {
        assert!(!page.contains(reference), "{reference}");
    }
    let links = page.match_indices("href=\"").map(|(at, link)| &page[at + link.len()..]);
    assert!(links.into_iter().all(|link| link.starts_with('#')));
}

#[test]
fn links_within_the_page_have_a_target() {
    let page = page();
    for (at, link) in page.match_indices("href=\"#") {
        let target = page[at + link.len()..].split('"').next().expect("a target");
        assert!(page.contains(&format!("id=\"{target}\"")), "#{target} is nowhere");
    }
}

#[test]
fn a_page_is_dark_where_its_reader_wants_it_and_fits_a_phone() {
    let page = page();
    assert!(page.contains("@media (prefers-color-scheme: dark)"));
    assert!(page.contains("name=\"viewport\" content=\"width=device-width, initial-scale=1\""));
    assert!(page.contains("@media print"));
    assert!(!page.contains("#5AC3"), "a stand-in colour is left");
}

#[test]
fn every_chart_says_what_it_shows_and_how_its_items_run() {
    let page = page();
    let charts: Vec<&str> = page.split("<svg ").skip(1).collect();
    // Start, its stages twice, memory four times, throughput, latency, application three times, two counts.
    assert_eq!(charts.len(), 14);
    for chart in charts {
        let chart = chart.split("</svg>").next().expect("an end");
        assert!(
            chart.contains("role=\"img\"") && chart.contains("<title>") && chart.contains("<desc>Panels: ")
        );
        let panels = ["EMULATED", "NATIVE"].map(|name| chart.contains(name));
        let has_native = chart.contains("Linux process");
        assert_eq!(panels, [true, has_native]);
    }
}

#[test]
fn rows_of_a_table_run_alike_under_a_heading_that_says_how() {
    let results = results(1.0);
    for table in all_tables(&results) {
        let executions: Vec<Execution> = table.groups.iter().map(|(execution, _)| *execution).collect();
        assert_eq!(executions, [Execution::Emulated, Execution::Native], "{}", table.title);
        for (execution, lines) in &table.groups {
            let alike = |id: &str| super::factor::execution(&results, id) == Some(*execution);
            assert!(lines.iter().all(|line| alike(&line.id)), "{}", table.title);
        }
    }
    let page = page();
    assert!(page.contains("emulated against native"));
    assert!(page.contains("Emulated: QEMU translates every instruction (TCG)"));
}

#[test]
fn a_substrate_without_figures_is_a_row_that_says_why_in_every_table() {
    for table in all_tables(&results(1.0)) {
        let lines: Vec<_> = table.groups.iter().flat_map(|(_, lines)| lines).collect();
        let reason = |id: &str| {
            lines.iter().find(|line| line.id == id).map(|line| match &line.body {
                Body::Absent(reason) => reason.clone(),
                Body::Figures(_) => String::new(),
            })
        };
        assert_eq!(reason("linux-microvm"), Some(format!("not measured: {}", fixture::MISSING)));
        assert_eq!(
            reason("docker-bridge"),
            Some("no figure: does not apply, or is among what failed".to_owned())
        );
        for id in ["hermit-q35", "linux-q35", "native"] {
            assert!(reason(id).is_some(), "{id} is missing in {}", table.title);
        }
    }
    assert!(terminal::text(&results(1.0), None).contains(fixture::MISSING));
}

#[test]
fn a_voided_sample_is_counted_in_its_cell_and_listed_with_its_reason() {
    let all = all_tables(&results(1.0));
    let voided = all.iter().flat_map(|table| &table.groups).flat_map(|(_, lines)| lines);
    let voided = voided.filter_map(|line| match &line.body {
        Body::Figures(entries) => Some(entries),
        Body::Absent(_) => None,
    });
    let voided: Vec<&str> =
        voided.flatten().filter(|entry| entry.voided == 1).map(|entry| entry.text.as_str()).collect();
    // Throughput, and the six columns of its latency.
    assert_eq!(voided, ["–"; 7]);
    assert!(page().contains("3 of 100 answers were &lt;b&gt;wrong&lt;/b&gt;"));
    assert!(markdown::document(&results(1.0), None).contains(&VOIDED.replace('<', "&lt;")));
    assert!(terminal::text(&results(1.0), None).contains("1 sample(s) do not count"));
}

#[test]
fn a_note_stands_beside_its_figure_and_below() {
    let page = page();
    assert!(page.contains("<a href=\"#note-1\">1</a>") && page.contains("<li id=\"note-1\">"));
    let document = markdown::document(&results(1.0), None);
    assert!(document.contains("25[^1]"));
    assert!(document.contains(&format!("[^1]: {}", NOTE.replace('<', "&lt;"))));
}

#[test]
fn a_failure_is_shown_with_its_whole_log() {
    let shown =
        page().replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    assert!(shown.contains(HOSTILE));
}

#[test]
fn goals_are_said_to_be_reached_or_missed() {
    let text = terminal::text(&results(1.0), None).replace(['\u{a0}', '\u{202f}'], " ");
    let line = |name: &str| {
        let line = text.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("no line {name}"));
        line.split_once("goal ").map(|(_, goal)| goal.to_owned()).expect("a goal")
    };
    assert_eq!(line("Least memory"), "reached: at least 6×");
    assert_eq!(line("Start to first 200, warm"), "missed: at least 15×");
    assert_eq!(line("Instructions per GET without"), "missed: at most 28 000");
    assert!(text.contains("Hermit unikernel, q35 against Linux VM, q35 (like with like, both emulated)"));
}

#[test]
fn changes_are_those_whose_spreads_do_not_meet() {
    let changes = Changes::new(&results(2.0), &results(1.0));
    let of = |substrate: &str, measure: &Measure| {
        let mut found = changes.changes.iter();
        found
            .find(|change| change.substrate == substrate && change.measure == *measure)
            .expect("a change")
            .clone()
    };
    let slower = of("Linux process", &rate(16));
    assert!(slower.is_notable() && slower.verdict() == "worse");
    assert!((slower.ratio().expect("a ratio") - 0.5).abs() < 1e-9);
    let same = of("Hermit unikernel, q35", &rate(16));
    assert!(!same.is_notable() && same.verdict() == "within the spread");
    let smaller = Measure::Resident;
    assert_eq!(of("Linux process", &smaller).verdict(), "worse");
    for text in [
        terminal::text(&results(1.0), Some(&changes)),
        markdown::document(&results(1.0), Some(&changes)),
        page(),
    ] {
        assert!(text.contains("changed beyond their spread"), "{text}");
    }
}

#[test]
fn chance_is_told_from_the_number_of_samples() {
    let changes = Changes::new(&results(1.0), &results(1.0));
    let threes = changes.changes.iter().filter(|change| change.new.count == 3).count();
    // 3 against 3 values of one distribution keep apart in 2 of 20 orders.
    assert!((changes.by_chance - 0.1 * threes as f64).abs() < 1e-6 && threes > 10);
    assert_eq!(changes.notable().count(), 0);
}

#[test]
fn what_came_and_what_went_is_said() {
    let (mut old, mut new) = (results(1.0), results(1.0));
    old.cells.retain(|cell| cell.substrate != "native");
    new.cells.retain(|cell| cell.measure != Measure::Idle);
    new.machine.accelerator = "kvm".to_owned();
    let changes = Changes::new(&old, &new);
    assert_eq!(changes.new, ["Linux process: all of it"]);
    assert_eq!(
        changes.gone,
        ["Hermit unikernel, q35: idle processor time", "Linux VM, q35: idle processor time"]
    );
    assert_eq!(changes.warnings, ["another accelerator: tcg then, kvm now"]);
    let page = html::document(&new, Some(&changes)).expect("a page");
    assert!(page.contains("another accelerator: tcg then, kvm now") && page.contains("Only in this run"));
}

#[test]
fn rows_of_a_markdown_table_have_as_many_cells_as_its_head() {
    let document = markdown::document(&results(1.0), None);
    let mut columns = None;
    let mut tables = 0;
    for line in document.lines() {
        let cells = line.starts_with('|').then(|| line.replace("\\|", "").matches('|').count());
        if let (Some(expected), Some(found)) = (columns, cells) {
            assert_eq!(expected, found, "{line}");
        }
        tables += usize::from(columns.is_none() && cells.is_some());
        columns = cells;
    }
    assert!(tables > 10);
}

#[test]
fn a_run_without_samples_has_a_report_too() {
    let page = html::document(&nothing(), None).expect("a page");
    assert!(page.contains("not complete") && !page.contains("<svg"));
    assert!(page.contains("This run has no figures for this."));
    assert!(markdown::document(&nothing(), None).contains("not complete"));
    assert!(terminal::text(&nothing(), None).contains("not complete"));
}

#[test]
fn a_figure_of_nothing_is_drawn() {
    let mut results = results(1.0);
    for summary in results.cells.iter_mut().flat_map(|cell| cell.metrics.values_mut()) {
        *summary = crate::statistics::Summary { median: 0.0, low: 0.0, high: 0.0, p95: 0.0, count: 2 };
    }
    assert!(html::document(&results, None).expect("a page").contains("<svg"));
}

#[test]
fn the_files_are_written_and_results_come_back() {
    let directory = tempfile::tempdir().expect("a directory");
    super::write(directory.path(), &results(1.0), None).expect("written");
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).expect("a file");
    assert!(read("report.html").starts_with("<!DOCTYPE html>"));
    assert!(read("report.md").starts_with("# Why not a container?"));
    let back: Results = serde_json::from_str(&read("results.json")).expect("results");
    assert_eq!(
        back.figure("native", &rate(16), Metric::RequestsPerSecond).map(|summary| summary.count),
        Some(3)
    );
}

/// Names of all fields, and of what a measure or a metric can be, below a value.
fn names(value: &serde_json::Value, found: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                found.insert(name.clone());
                let is_name =
                    ["kind", "cache", "generator", "of", "execution", "metric"].contains(&name.as_str());
                if let Some(text) = value.as_str().filter(|_| is_name) {
                    found.insert(text.to_owned());
                }
                names(value, found);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| names(value, found)),
        _ => {}
    }
}

#[test]
fn the_schema_explains_every_name_in_the_results() {
    let schema = include_str!("../../../../docs/comparison-schema.md");
    let mut found = std::collections::BTreeSet::new();
    names(&serde_json::to_value(results(1.0)).expect("a value"), &mut found);
    assert!(found.contains("requests_per_second") && found.contains("least-memory"));
    for name in found {
        let is_explained = schema.contains(&format!("`{name}`")) || schema.contains(&format!(".{name}`"));
        assert!(is_explained, "docs/comparison-schema.md does not explain `{name}`");
    }
    assert!(schema.contains(&format!("schema version {}", crate::results::SCHEMA)));
}
