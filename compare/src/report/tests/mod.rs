//! What a report must say in all of its forms, and what it must never do.

mod fixture;

use fixture::{HOSTILE, NOTE, VOIDED, nothing, rate, results};

use super::changes::Changes;
use super::document::{Block, Table, TableCell, Tone};
use super::{contents, html, markdown, measured, terminal};
use crate::record::{Execution, Measure, Metric};
use crate::results::Results;

/// Elements that have no end.
const VOID: [&str; 2] = ["meta", "!DOCTYPE"];

fn changes() -> Changes {
    Changes::new(&results(2.0), &results(1.0))
}

fn page() -> String {
    html::render(&contents::document(&results(1.0), Some(&changes())))
}

fn document(results: &Results) -> String {
    markdown::render(&contents::document(results, None))
}

fn outline(results: &Results) -> String {
    terminal::render(&contents::outline(results, None))
}

/// The tables of measured figures.
fn all_tables(results: &Results) -> Vec<Table> {
    fn of(block: Block) -> Vec<Table> {
        match block {
            Block::Table(table) => vec![table],
            Block::Fold { blocks, .. } => blocks.into_iter().flat_map(of).collect(),
            _ => Vec::new(),
        }
    }
    let sections = measured::sections(results, &[NOTE.to_owned()]);
    sections.into_iter().flat_map(|section| section.blocks).flat_map(of).collect()
}

/// The cells of all tables, without the rows' names.
fn cells(tables: &[Table]) -> Vec<&TableCell> {
    let rows = tables.iter().flat_map(|table| &table.groups).flat_map(|group| &group.rows);
    rows.flat_map(|row| &row.cells).collect()
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
    let document = document(&results(1.0));
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
}

#[test]
fn every_chart_says_what_it_shows_and_how_its_items_run() {
    let page = page();
    let charts: Vec<&str> = page.split("<svg ").skip(1).collect();
    // Start, its stages twice, memory four times, throughput, latency, application three times, three counts.
    assert_eq!(charts.len(), 15);
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
fn a_machine_s_memory_is_told_in_its_two_parts_or_why_not() {
    let text = markdown::render(&contents::document(&results(1.0), None));
    let head = "| Resident under load | of it the guest's | the VMM's |";
    let table = text.split_once(head).expect("columns for both parts").1;
    let line = |title: &str| table.lines().find(|line| line.contains(title)).expect("a row").to_owned();
    let figures = line("Hermit unikernel, q35");
    for part in ["12.1\u{a0}MiB", "28.3\u{a0}MiB"] {
        assert!(figures.contains(part), "{part} in {figures}");
    }
    let none = line("Linux VM, q35");
    let note = text.lines().find_map(|line| line.strip_suffix(fixture::NO_PARTS)).expect("the note");
    assert!(none.matches(note.trim_end_matches(": ")).count() >= 3, "{note} in {none}");
}

#[test]
fn rows_of_a_table_run_alike_under_a_heading_that_says_how() {
    let results = results(1.0);
    for table in all_tables(&results) {
        let executions: Vec<Option<Execution>> = table.groups.iter().map(|group| group.execution).collect();
        assert_eq!(executions, [Some(Execution::Emulated), Some(Execution::Native)], "{}", table.title);
        for group in &table.groups {
            let of =
                |name: &str| results.substrates.iter().find(|of| name.starts_with(&of.title)).expect("one");
            let alike = |name: &str| Some(of(name).execution) == group.execution;
            assert!(group.rows.iter().all(|row| alike(&row.name.text)), "{}", table.title);
        }
    }
    let page = page();
    assert!(page.contains("emulated against native"));
    assert!(page.contains("Emulated: QEMU translates every instruction (TCG)"));
}

#[test]
fn a_substrate_without_figures_is_a_row_that_says_why_in_every_table() {
    for table in all_tables(&results(1.0)) {
        let rows: Vec<_> = table.groups.iter().flat_map(|group| &group.rows).collect();
        let row = |title: &str| rows.iter().find(|row| row.name.text.starts_with(title));
        let reason = |title: &str| row(title).map(|row| row.cells[0].text.clone());
        let missing = format!("not measured: {}", fixture::MISSING);
        assert_eq!(reason("Linux VM, microvm"), Some(missing));
        let failed = "no figure: does not apply, or is among what failed".to_owned();
        assert_eq!(reason("Docker, bridge"), Some(failed));
        for title in ["Hermit unikernel, q35", "Linux VM, q35", "Linux process"] {
            assert!(row(title).is_some(), "{title} is missing in {}", table.title);
        }
    }
    assert!(outline(&results(1.0)).contains(fixture::MISSING));
}

#[test]
fn a_voided_sample_is_counted_in_its_cell_and_listed_with_its_reason() {
    let all = all_tables(&results(1.0));
    let voided: Vec<&str> =
        cells(&all).iter().filter(|cell| cell.voided == 1).map(|cell| cell.text.as_str()).collect();
    // Throughput, and the six columns of its latency.
    assert_eq!(voided, ["–"; 7]);
    assert!(page().contains("3 of 100 answers were &lt;b&gt;wrong&lt;/b&gt;"));
    assert!(document(&results(1.0)).contains(&VOIDED.replace('<', "&lt;")));
    assert!(outline(&results(1.0)).contains("1 sample(s) do not count"));
}

#[test]
fn a_note_stands_beside_its_figure_and_below() {
    let page = page();
    assert!(page.contains("<a href=\"#note-1\">1</a>") && page.contains("<li id=\"note-1\">"));
    let document = document(&results(1.0));
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
    let text = outline(&results(1.0)).replace(['\u{a0}', '\u{202f}'], " ");
    let line = |name: &str| {
        let line = text.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("no line {name}"));
        line.split_at(line.find(['✓', '✗']).expect("a goal")).1.to_owned()
    };
    assert_eq!(line("Least memory"), "✓ goal: at least 6×");
    assert_eq!(line("Start to first 200, warm"), "✗ goal: at least 15×");
    assert_eq!(line("Instructions per GET without"), "✗ goal: at most 28 000");
    assert!(text.contains("Hermit unikernel, q35 against Linux VM, q35 (like with like, both emulated)"));
}

#[test]
fn exits_stand_beside_instructions() {
    let text = document(&results(1.0));
    let (_, table) = text.split_once("Exits under KVM").expect("a table");
    let row = table.lines().find(|line| line.contains("Hermit unikernel, q35")).expect("a row");
    assert!(row.contains("500") && row.contains("3.25"), "{row}");
}

#[test]
fn changes_are_those_whose_spreads_do_not_meet() {
    let changes = changes();
    let of = |substrate: &str, measure: &Measure| {
        let mut found = changes.changes.iter();
        found
            .find(|change| change.substrate == substrate && change.measure == *measure)
            .expect("a change")
            .clone()
    };
    let slower = of("Linux process", &rate(16));
    assert!(slower.is_notable() && slower.tone() == Tone::Worse);
    assert!((slower.ratio().expect("a ratio") - 0.5).abs() < 1e-9);
    let same = of("Hermit unikernel, q35", &rate(16));
    assert!(!same.is_notable() && same.tone() == Tone::Plain);
    let smaller = Measure::Resident;
    assert_eq!(of("Linux process", &smaller).tone(), Tone::Worse);
    let document = contents::document(&results(1.0), Some(&changes));
    let outline = terminal::render(&contents::outline(&results(1.0), Some(&changes)));
    for text in [outline, markdown::render(&document), html::render(&document)] {
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
fn changes_between_runs_are_listed() {
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
    let page = html::render(&contents::document(&new, Some(&changes)));
    assert!(page.contains("another accelerator: tcg then, kvm now") && page.contains("Only in this run"));
}

#[test]
fn rows_of_a_markdown_table_have_as_many_cells_as_its_head() {
    let document = document(&results(1.0));
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
    let page = html::render(&contents::document(&nothing(), None));
    assert!(page.contains("not complete") && !page.contains("<svg"));
    assert!(page.contains("This run has no figures for this."));
    assert!(document(&nothing()).contains("not complete"));
    assert!(outline(&nothing()).contains("not complete"));
}

#[test]
fn a_chart_of_zeros_is_drawn() {
    let mut results = results(1.0);
    for summary in results.cells.iter_mut().flat_map(|cell| cell.metrics.values_mut()) {
        *summary = crate::statistics::Summary { median: 0.0, low: 0.0, high: 0.0, p95: 0.0, count: 2 };
    }
    assert!(html::render(&contents::document(&results, None)).contains("<svg"));
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
