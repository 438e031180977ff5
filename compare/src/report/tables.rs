//! The report's tables: which figures stand in which column.
//!
//! Where a table stands on the page is `html`'s and `markdown`'s business.

use super::labels;
use super::notes::Notes;
use super::table::{Pick, Spec, Statistic, Table};
use crate::record::{Cache, Counted, Generator, Load, Measure, Method, Metric};
use crate::results::{self, Results};

/// The four kinds of load.
pub const KINDS: [(Method, bool); 4] =
    [(Method::Get, false), (Method::Get, true), (Method::Post, false), (Method::Post, true)];
/// What makes loads.
pub const GENERATORS: [Generator; 3] = [Generator::Ab, Generator::OhaSameRate, Generator::Oha];
/// Latencies of a load.
const LATENCIES: [Metric; 4] = [Metric::P50Ms, Metric::P90Ms, Metric::P99Ms, Metric::P999Ms];

/// Tables of one section.
pub fn start(results: &Results, notes: &Notes) -> Vec<Table> {
    let cache = |cache| {
        let pick = move |statistic| Pick(Measure::Start { cache }, Metric::Ms, statistic);
        [Statistic::Median, Statistic::P95, Statistic::Count].map(pick)
    };
    let heads = ["Warm, median", "p95", "starts", "Cold, median", "p95", "starts"];
    let about = "Vote service: from starting its machine, container or process to the first answer with \
                 status 200. Cold: what is started has been dropped from the page cache.";
    let picks = cache(Cache::Warm).into_iter().chain(cache(Cache::Cold)).collect();
    one("Start to first 200", about, &heads, picks, results, notes)
}

/// Tables of one section.
pub fn memory(results: &Results, notes: &Notes) -> Vec<Table> {
    let picks = vec![
        median(Measure::LeastMemory, Metric::MemoryMib),
        median(Measure::Resident, Metric::MemoryMib),
        median(Measure::Density, Metric::Instances),
        median(Measure::Size, Metric::Bytes),
        median(Measure::Size, Metric::CompressedBytes),
    ];
    let heads = ["Least memory", "Resident under load", "Instances in 1 GiB", "Image", "Image, gzip"];
    let about = "Vote service. Least memory: what its machine or container was limited to and still \
                 answered. Resident: what it holds on the host, shared pages by their share; for a virtual \
                 machine with QEMU itself.";
    one("Memory and size", about, &heads, picks, results, notes)
}

/// Tables of one section.
pub fn application(results: &Results, notes: &Notes) -> Vec<Table> {
    let mut picks = vec![
        median(Measure::EndToEnd, Metric::Ms),
        Pick(Measure::EndToEnd, Metric::Ms, Statistic::P95),
        median(Measure::Idle, Metric::CorePercent),
    ];
    picks
        .extend([1, 2, 4].map(|instances| median(Measure::Scaling { instances }, Metric::RequestsPerSecond)));
    let heads = ["Vote to result event", "p95", "Idle, of a core", "GET, 1 vote", "2 votes", "4 votes"];
    let about = "The whole application. Vote to result event: from a voter's POST to the event on the \
                 result page. Idle: processor time of all its parts without any request. GET: all vote \
                 instances together, each with a generator of its own.";
    one("The whole application", about, &heads, picks, results, notes)
}

/// Tables of one section.
pub fn instructions(results: &Results, notes: &Notes) -> Vec<Table> {
    let counted =
        [Counted::Boot, Counted::GetClose, Counted::GetKeepAlive, Counted::PostClose, Counted::PostKeepAlive];
    let picks = |metric, counted: &[Counted]| -> Vec<Pick> {
        counted.iter().map(|of| median(Measure::Instructions { of: *of }, metric)).collect()
    };
    let heads = ["Boot", "GET", "GET, keep-alive", "POST", "POST, keep-alive"];
    let about = "Guest instructions as QEMU counts them (-icount): they do not care how busy the machine \
                 is. Requests 16 at a time.";
    let mut tables =
        one("Instructions", about, &heads, picks(Metric::Instructions, &counted), results, notes);
    let about = "Reads and writes of emulated devices' registers (interrupt controller, timer, network card) \
                 for one request, 16 at a time, as QEMU reports them. Each leaves the guest, under KVM those \
                 to the network card too; the processor itself can do those to controller and timer.";
    let picks = picks(Metric::DeviceAccesses, &counted[1..]);
    tables.extend(one("Device accesses", about, &heads[1..], picks, results, notes));
    tables
}

/// Requests per second by `ab`, a table for each kind of load.
pub fn throughput(results: &Results, notes: &Notes) -> Vec<Table> {
    let connections = connections(results, Generator::Ab);
    let heads: Vec<String> = connections.iter().map(|connections| format!("c = {connections}")).collect();
    let spec = |(method, keep_alive)| {
        let measure = |connections: &u32| results::load(method, keep_alive, *connections, Generator::Ab);
        let pick = |connections| median(measure(connections), Metric::RequestsPerSecond);
        Spec {
            title: format!("Requests per second, {}", labels::requests(method, keep_alive)),
            about: format!("By {}.", labels::generator_explained(Generator::Ab)),
            heads: heads.clone(),
            lines: vec![(String::new(), connections.iter().map(pick).collect())],
        }
    };
    KINDS.into_iter().filter_map(|kind| spec(kind).table(results, notes)).collect()
}

/// Latency by every generator, a table for each kind of load.
pub fn latency(results: &Results, notes: &Notes) -> Vec<Table> {
    let kinds = GENERATORS.into_iter().flat_map(|generator| KINDS.map(|kind| (generator, kind)));
    let spec = |(generator, kind)| latency_spec(results, generator, kind).table(results, notes);
    kinds.filter_map(spec).collect()
}

fn latency_spec(results: &Results, generator: Generator, (method, keep_alive): (Method, bool)) -> Spec {
    let columns = || [Metric::RequestsPerSecond, Metric::OfferedPerSecond].into_iter().chain(LATENCIES);
    let line = |connections: &u32| {
        let measure = results::load(method, keep_alive, *connections, generator);
        let picks = columns().map(|metric| median(measure.clone(), metric));
        (format!(", c = {connections}"), picks.collect())
    };
    Spec {
        title: format!("{}: {}", labels::generator(generator), labels::requests(method, keep_alive)),
        about: format!("By {}.", labels::generator_explained(generator)),
        heads: columns().map(|metric| labels::metric(metric).to_owned()).collect(),
        lines: connections(results, generator).iter().map(line).collect(),
    }
}

/// Numbers of connections that were measured with a generator.
pub fn connections(results: &Results, generator: Generator) -> Vec<u32> {
    let loads = results.cells.iter().filter_map(|cell| match &cell.measure {
        Measure::Load(Load { connections, generator: other, .. }) if *other == generator => {
            Some(*connections)
        }
        _ => None,
    });
    let connections: std::collections::BTreeSet<u32> = loads.collect();
    connections.into_iter().collect()
}

fn median(measure: Measure, metric: Metric) -> Pick {
    Pick(measure, metric, Statistic::Median)
}

fn one(
    title: &str,
    about: &str,
    heads: &[&str],
    picks: Vec<Pick>,
    results: &Results,
    notes: &Notes,
) -> Vec<Table> {
    let spec = Spec {
        title: title.to_owned(),
        about: about.to_owned(),
        heads: heads.iter().map(|head| (*head).to_owned()).collect(),
        lines: vec![(String::new(), picks)],
    };
    spec.table(results, notes).into_iter().collect()
}
