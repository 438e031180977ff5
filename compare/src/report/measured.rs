//! Sections of measured figures: which figures stand in which table, one row for each substrate.

use super::chart::{Chart, Colour};
use super::document::{Block, Column, Group, NONE, Row, Section, Table, TableCell, by_execution};
use super::{charts, labels, number};
use crate::record::{Cache, Counted, Generator, KINDS, Measure, Metric, SCALING};
use crate::results::{self, Results, SubstrateRecord};

const GENERATORS: [Generator; 3] = [Generator::Ab, Generator::OhaSameRate, Generator::Oha];
/// Figures of a load, in the order of their columns.
const OF_LOAD: [Metric; 6] = [
    Metric::RequestsPerSecond,
    Metric::OfferedPerSecond,
    Metric::P50Ms,
    Metric::P90Ms,
    Metric::P99Ms,
    Metric::P999Ms,
];
/// Charts and tables of a section that are seen at once; more of them are folded.
const OPEN_CHARTS: usize = 4;
const OPEN_TABLES: usize = 1;
/// Requests at the same time for which exits are counted.
const EXITS_CONNECTIONS: [u32; 2] = [1, 16];

/// A figure that a table shows: of which measure, which metric, and what of its summary.
type Pick = (Measure, Metric, Statistic);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Statistic {
    /// The median, with its spread.
    Median,
    P95,
    /// How many values there are.
    Count,
}

/// All of them, in the order of the report. `notes` are what cells refer to by number.
pub fn sections(results: &Results, notes: &[String]) -> Vec<Section> {
    let tables = Tables { results, notes };
    let sections = [
        ("start", "Start", charts::start(results), tables.start()),
        ("memory", "Memory and size", charts::memory(results), tables.memory()),
        ("throughput", "Throughput", charts::throughput(results), tables.throughput()),
        ("latency", "Latency", charts::latency(results), tables.latency()),
        ("application", "The whole application", charts::application(results), tables.application()),
        ("instructions", "Instructions", charts::instructions(results), tables.instructions()),
    ];
    sections.into_iter().map(|(id, title, charts, tables)| section(id, title, charts, tables)).collect()
}

/// Charts, then tables for who looks a figure up.
fn section(id: &'static str, title: &'static str, mut charts: Vec<Chart>, tables: Vec<Table>) -> Section {
    let mut blocks = Vec::new();
    if tables.is_empty() {
        blocks.push(Block::Faint("This run has no figures for this."));
    }
    let more = charts.split_off(charts.len().min(OPEN_CHARTS));
    if !charts.is_empty() {
        blocks.push(Block::Charts(charts));
    }
    if !more.is_empty() {
        let summary = format!("{} more charts", more.len());
        blocks.push(Block::Fold { summary, blocks: vec![Block::Charts(more)], minor: false });
    }
    let count = tables.len();
    let tables: Vec<Block> = tables.into_iter().map(Block::Table).collect();
    // Several tables of one kind are for looking a figure up; the charts show the same.
    match count > OPEN_TABLES {
        true => {
            let summary = format!("{count} tables with every figure");
            blocks.push(Block::Fold { summary, blocks: tables, minor: false });
        }
        false => blocks.extend(tables),
    }
    Section { link: Some((id, title)), title: title.to_owned(), blocks, ..Section::default() }
}

struct Tables<'a> {
    results: &'a Results,
    notes: &'a [String],
}

impl Tables<'_> {
    fn start(&self) -> Vec<Table> {
        let cache = |cache| {
            [Statistic::Median, Statistic::P95, Statistic::Count]
                .map(|statistic| (Measure::Start { cache }, Metric::Ms, statistic))
        };
        let heads = ["Warm, median", "p95", "starts", "Cold, median", "p95", "starts"];
        let about = "Vote service: from starting its machine, container or process to the first answer with status 200. \
                     Cold: what is started has been dropped from the page cache.";
        let picks = [cache(Cache::Warm), cache(Cache::Cold)].concat();
        self.one("Start to first 200", about, &heads, picks)
    }

    fn memory(&self) -> Vec<Table> {
        let picks = vec![
            median(Measure::LeastMemory, Metric::MemoryMib),
            median(Measure::Resident, Metric::MemoryMib),
            median(Measure::Resident, Metric::GuestMemoryMib),
            median(Measure::Resident, Metric::VmmMemoryMib),
            median(Measure::Density, Metric::Instances),
            median(Measure::Size, Metric::Bytes),
            median(Measure::Size, Metric::CompressedBytes),
        ];
        let heads = [
            "Least memory",
            "Resident under load",
            "of it the guest's",
            "the VMM's",
            "Instances in 1 GiB",
            "Image",
            "Image, gzip",
        ];
        let about = "Vote service. Least memory: what its machine or container was limited to and still answered. \
                     Resident: what it holds on the host, shared pages by their share; for a virtual machine the \
                     resident pages of its guest's memory and what the program holds that makes it (QEMU), apart.";
        self.one("Memory and size", about, &heads, picks)
    }

    fn application(&self) -> Vec<Table> {
        let mut picks = vec![
            median(Measure::EndToEnd, Metric::Ms),
            (Measure::EndToEnd, Metric::Ms, Statistic::P95),
            median(Measure::Idle, Metric::CorePercent),
        ];
        let scaling = |instances| median(Measure::Scaling { instances }, Metric::RequestsPerSecond);
        picks.extend(SCALING.map(scaling));
        let heads = ["Vote to result event", "p95", "Idle, of a core", "GET, 1 vote", "2 votes", "4 votes"];
        let about = "The whole application. Vote to result event: from a voter's POST to the event on the result page. \
                     Idle: processor time of all its parts without any request. GET: all vote instances together, each \
                     with a generator of its own.";
        self.one("The whole application", about, &heads, picks)
    }

    fn instructions(&self) -> Vec<Table> {
        let picks = |metric, counted: &[Counted]| {
            counted.iter().map(|of| median(Measure::Instructions { of: *of }, metric)).collect()
        };
        let heads = ["Boot", "GET", "GET, keep-alive", "POST", "POST, keep-alive"];
        let about = "Guest instructions as QEMU counts them (-icount): they do not care how busy the machine is. Requests \
                     16 at a time.";
        let mut tables = self.one("Instructions", about, &heads, picks(Metric::Instructions, &Counted::ALL));
        let about = "Reads and writes of emulated devices' registers (interrupt controller, timer, network card) for one \
                     request, 16 at a time, as QEMU reports them. Each leaves the guest, under KVM those to the network \
                     card too; the processor itself can do those to controller and timer.";
        let picks = picks(Metric::DeviceAccesses, &Counted::ALL[1..]);
        tables.extend(self.one("Device accesses", about, &heads[1..], picks));
        tables.extend(self.exits());
        tables
    }

    fn exits(&self) -> Vec<Table> {
        let requests =
            Counted::ALL[1..].iter().flat_map(|of| EXITS_CONNECTIONS.map(|at_once| (*of, at_once)));
        let of = |(of, connections)| median(Measure::Exits { of, connections }, Metric::Exits);
        let mut picks: Vec<Pick> = [(Counted::Boot, 1)].into_iter().chain(requests).map(of).collect();
        picks.push(median(Measure::ExitsAtRest, Metric::Exits));
        let heads = [
            "Boot",
            "GET, c = 1",
            "c = 16",
            "GET, keep-alive, c = 1",
            "c = 16",
            "POST, c = 1",
            "c = 16",
            "POST, keep-alive, c = 1",
            "c = 16",
            "Second of rest",
        ];
        let about = "How often the processor leaves the guest, by KVM's own counters, without what the host's interrupts \
                     cause. A boot is with its first answer. Where this machine has no KVM, they are counted in a machine \
                     with an emulated one, which counts alike and gives no times.";
        self.one("Exits under KVM", about, &heads, picks)
    }

    /// Requests per second by `ab`, a table for each kind of load.
    fn throughput(&self) -> Vec<Table> {
        let connections = self.results.connections(Generator::Ab);
        let heads: Vec<String> = connections.iter().map(|connections| format!("c = {connections}")).collect();
        let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
        let table = |(method, keep_alive)| {
            let load = |connections: &u32| results::load(method, keep_alive, *connections, Generator::Ab);
            let pick = |connections| median(load(connections), Metric::RequestsPerSecond);
            let title = format!("Requests per second, {}", labels::requests(method, keep_alive));
            let about = format!("By {}.", labels::generator_explained(Generator::Ab));
            self.one(&title, &about, &heads, connections.iter().map(pick).collect())
        };
        KINDS.into_iter().flat_map(table).collect()
    }

    /// Latency by every generator, a table for each kind of load.
    fn latency(&self) -> Vec<Table> {
        let kinds = GENERATORS.into_iter().flat_map(|generator| KINDS.map(|kind| (generator, kind)));
        let table = |(generator, (method, keep_alive))| {
            let line = |connections: u32| {
                let load = results::load(method, keep_alive, connections, generator);
                let picks = OF_LOAD.map(|metric| median(load.clone(), metric));
                (format!(", c = {connections}"), picks.to_vec())
            };
            let title = format!("{}: {}", labels::generator(generator), labels::requests(method, keep_alive));
            let about = format!("By {}.", labels::generator_explained(generator));
            let lines = self.results.connections(generator).into_iter().map(line).collect();
            self.table(&title, &about, &OF_LOAD.map(labels::metric), lines)
        };
        kinds.filter_map(table).collect()
    }

    fn one(&self, title: &str, about: &str, heads: &[&str], picks: Vec<Pick>) -> Vec<Table> {
        self.table(title, about, heads, vec![(String::new(), picks)]).into_iter().collect()
    }

    /// A table with some lines for each substrate, each with a suffix of the substrate's name and a figure for each
    /// column; none where no substrate has any of its figures.
    fn table(
        &self,
        title: &str,
        about: &str,
        heads: &[&str],
        lines: Vec<(String, Vec<Pick>)>,
    ) -> Option<Table> {
        let mut picks = lines.iter().flat_map(|(_, picks)| picks);
        if !picks.any(|pick| self.results.cells.iter().any(|cell| cell.measure == pick.0)) {
            return None;
        }
        let rows = self
            .results
            .substrates
            .iter()
            .flat_map(|of| self.rows(of, &lines).into_iter().map(|row| (of.execution, row)));
        let groups = by_execution(rows);
        let groups = groups.into_iter().map(|(of, rows)| Group { execution: Some(of), rows }).collect();
        let columns = heads.iter().map(|head| Column::figure(*head));
        let columns = [Column::text("Substrate")].into_iter().chain(columns).collect();
        let (title, about) = (title.to_owned(), about.to_owned());
        Some(Table { title, about, columns, groups, ..Table::default() })
    }

    fn rows(&self, of: &SubstrateRecord, lines: &[(String, Vec<Pick>)]) -> Vec<Row> {
        // A figure, or samples of it that do not count.
        let is_known = |(measure, metric, _): &Pick| {
            let cell = self.results.cell(&of.id, measure);
            cell.is_some_and(|cell| cell.metrics.contains_key(metric) || !cell.voided.is_empty())
        };
        let known = lines.iter().filter(|(_, picks)| picks.iter().any(is_known));
        let row = |(suffix, picks): &(String, Vec<Pick>)| {
            Row::new(name(of, suffix), picks.iter().map(|pick| self.cell(&of.id, pick)))
        };
        let rows: Vec<Row> = known.map(row).collect();
        if rows.is_empty() { vec![Row::new(name(of, ""), [absence(of).into()])] } else { rows }
    }

    fn cell(&self, id: &str, (measure, metric, statistic): &Pick) -> TableCell {
        let Some(cell) = self.results.cell(id, measure) else { return NONE.into() };
        let is_median = *statistic == Statistic::Median;
        let voided = if is_median { cell.voided.len() } else { 0 };
        let place = |note: &String| self.notes.iter().position(|other| other == note).map(|place| place + 1);
        let notes = cell.notes.iter().filter_map(place).collect();
        let Some(summary) = cell.metrics.get(metric) else {
            // Its note may say why there is none.
            return TableCell { notes, voided, ..NONE.into() };
        };
        match statistic {
            Statistic::P95 => return number::figure(*metric, summary.p95).into(),
            Statistic::Count => return summary.count.to_string().into(),
            Statistic::Median => {}
        }
        let detail = number::spread(*metric, summary).unwrap_or_default();
        TableCell { detail, notes, voided, ..number::figure(*metric, summary.median).into() }
    }
}

fn median(measure: Measure, metric: Metric) -> Pick {
    (measure, metric, Statistic::Median)
}

/// A substrate's name with its colour.
pub fn name(of: &SubstrateRecord, suffix: &str) -> TableCell {
    TableCell { colour: Some(Colour::of(&of.id)), ..format!("{}{suffix}", of.title).into() }
}

/// Why a substrate has none of a table's figures.
fn absence(of: &SubstrateRecord) -> String {
    match (&of.missing, of.failures.first()) {
        (Some(reason), _) => format!("not measured: {}", labels::brief(reason)),
        (None, Some(_)) => "no figure: does not apply, or is among what failed".to_owned(),
        (None, None) => {
            format!("does not apply, or was not part of this run ({})", labels::execution(of.execution))
        }
    }
}
