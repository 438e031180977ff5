//! What a report says, and in which order.

use super::changes::{self, Changes};
use super::document::{Block, Column, Document, Group, Row, Section, Table, TableCell, by_execution};
use super::{comparison, labels, measured};
use crate::results::Results;

const INCOMPLETE: &str = "This run is not complete: it was interrupted, or a short run's five minutes were over. \
    `cargo compare --resume` measures what is missing.";

/// The whole report.
pub fn document(results: &Results, changes: Option<&Changes>) -> Document {
    let notes = notes(results);
    let mut sections = comparison::sections(results);
    sections.extend(changes.map(changes::section));
    sections.extend([comparison::overview(results), compared(results)]);
    sections.extend(measured::sections(results, &notes));
    sections.push(faults(results, notes));
    Document {
        title: "Why not a container?",
        answer: comparison::answer(results),
        facts: facts(results),
        warnings: (!results.complete).then_some(INCOMPLETE).into_iter().collect(),
        sections,
        footer: format!(
            "Written by `cargo compare` from commit {}, run of {}. All figures and all ratios are in `results.json` \
             beside this file, single samples in `samples.jsonl`.",
            results.commit, results.begun
        ),
    }
}

/// What is said on the terminal: the headline's figures, what changed, and what is not measured.
pub fn outline(results: &Results, changes: Option<&Changes>) -> Vec<Section> {
    let mut sections = comparison::sections(results);
    sections.extend(changes.map(changes::section));
    let mut lines = Vec::new();
    for of in &results.substrates {
        let execution = labels::execution(of.execution);
        let missing = of.missing.iter();
        lines.extend(
            missing.map(|why| format!("{} ({execution}): not measured: {}", of.title, labels::brief(why))),
        );
        lines.extend(of.failures.iter().map(|why| format!("{}: failed: {}", of.title, labels::brief(why))));
    }
    let voided: usize = results.cells.iter().map(|cell| cell.voided.len()).sum();
    if voided > 0 {
        lines.push(format!("{voided} sample(s) do not count: the report says why"));
    }
    if !results.complete {
        lines.push(INCOMPLETE.to_owned());
    }
    if !lines.is_empty() {
        let title = "Not measured, failed, voided".to_owned();
        sections.push(Section { title, blocks: vec![Block::List(lines)], ..Section::default() });
    }
    sections
}

fn facts(results: &Results) -> String {
    let machine = &results.machine;
    format!(
        "{} UTC · commit {} · {}, {} cores · guests run by {} · {} {}{}",
        results.begun.replace('T', " ").trim_end_matches('Z'),
        results.commit,
        machine.processor,
        machine.cores,
        machine.accelerator.to_uppercase(),
        results.rounds,
        if results.rounds == 1 { "round" } else { "rounds" },
        if results.quick { " · the short run" } else { "" }
    )
}

/// Method, substrates and machine.
fn compared(results: &Results) -> Section {
    let mut blocks: Vec<Block> = method(results).into_iter().map(Block::Paragraph).collect();
    let rows = results.substrates.iter().map(|of| {
        let measured = of.missing.as_ref().map_or_else(|| "yes".to_owned(), |why| format!("no: {why}"));
        let failed =
            if of.failures.is_empty() { String::new() } else { format!(", {} failed", of.failures.len()) };
        (of.execution, Row::new(measured::name(of, ""), [TableCell::from(measured + &failed)]))
    });
    let group = |(of, rows)| Group { execution: Some(of), rows };
    blocks.push(Block::Table(Table {
        title: "Substrates".to_owned(),
        columns: ["Substrate", "Measured"].map(Column::text).into(),
        groups: by_execution(rows).into_iter().map(group).collect(),
        ..Table::default()
    }));
    blocks.push(Block::Table(Table::plain("The machine", &["What", "Which"], &[], machine(results))));
    let title = "What was compared";
    Section { link: Some(("what", title)), title: title.to_owned(), blocks, ..Section::default() }
}

/// What a reader must know before the figures.
fn method(results: &Results) -> Vec<String> {
    let same = "The same services run on every substrate: as Hermit unikernels under QEMU, in a Linux machine under \
                the same QEMU command (cloud kernel, initial file system with the static program), in Docker containers \
                built from nothing but the static program, and as processes of this host. The original application runs \
                as its own processes, where it is there.";
    let guests = match results.machine.accelerator.as_str() {
        "tcg" => {
            "This machine offers no KVM: QEMU translates every instruction of its guests, which makes them several \
             times slower than the same guests on the processor itself. Only rows that run alike are like with like; \
             every other comparison is labelled with what it is."
        }
        _ => "QEMU's guests run on the processor itself (KVM).",
    };
    let rounds = match results.rounds {
        1 => "there was one".to_owned(),
        rounds => format!("there were {rounds}"),
    };
    let order = format!(
        "Substrates alternate within each round ({rounds}), and begin with another one each time, so that what a busy \
         machine does to one it does to all. Figures are medians with the least and the largest value; a ratio is the \
         geometric mean over pairs of runs of the same round, with its 95% interval (Student's t of the logarithms). A \
         sample with an error or an answer other than expected does not count, and is listed."
    );
    vec![same.to_owned(), guests.to_owned(), order]
}

fn machine(results: &Results) -> Vec<Row> {
    let machine = &results.machine;
    let or_none = |version: &Option<String>| version.clone().unwrap_or_else(|| "none".to_owned());
    let facts = [
        ("Processor", format!("{}, {} cores", machine.processor, machine.cores)),
        ("Memory", format!("{} MiB", machine.memory_mib)),
        ("System", format!("{}, kernel {}", machine.system, machine.kernel)),
        ("QEMU", or_none(&machine.qemu)),
        ("Guests run by", machine.accelerator.to_uppercase()),
        ("Docker", or_none(&machine.docker)),
        ("Load generators", machine.generators.join(", ")),
    ];
    facts.map(|(name, value)| Row::new(name, [TableCell::from(value)])).into()
}

/// What a reader must know of single figures: each note once, in the order of the cells.
fn notes(results: &Results) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for note in results.cells.iter().flat_map(|cell| &cell.notes) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    notes
}

/// Failures with their logs, voided samples with their reasons, notes.
fn faults(results: &Results, notes: Vec<String>) -> Section {
    let mut blocks = vec![Block::Heading("Failed")];
    for of in &results.substrates {
        let log = |failure: &String| Block::Log {
            summary: format!("{}: {}", of.title, labels::brief(failure)),
            text: failure.clone(),
        };
        blocks.extend(of.failures.iter().map(log));
    }
    if blocks.len() == 1 {
        blocks.push(Block::Faint("Nothing failed."));
    }
    let mut voided = Vec::new();
    for cell in &results.cells {
        let (title, measure) = (results.title(&cell.substrate), labels::measure(&cell.measure));
        let row = |reason: &String| {
            Row::new(title, [TableCell::from(measure.as_str()), TableCell::from(reason.as_str())])
        };
        voided.extend(cell.voided.iter().map(row));
    }
    blocks.push(if voided.is_empty() {
        Block::Faint("All samples count.")
    } else {
        Block::Table(Table::plain(VOIDED, &["Substrate", "Measure", "Why"], &[], voided))
    });
    blocks.push(Block::Heading("Notes"));
    blocks.push(if notes.is_empty() { Block::Faint("None.") } else { Block::Notes(notes) });
    let title = "Faults and notes";
    Section { link: Some(("faults", title)), title: title.to_owned(), blocks, ..Section::default() }
}

const VOIDED: &str = "Samples that do not count";
