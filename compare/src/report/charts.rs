//! The report's charts: which figures are drawn in which.
//!
//! How a chart is drawn is the business of `chart`. A chart without figures is left out: the tables say why.

use super::chart::{self, Chart, Colour, Item, Panel, Plot};
use super::document::by_execution;
use super::{labels, number};
use crate::record::{Cache, Counted, Generator, KINDS, Load, Measure, Metric, SCALING};
use crate::results::{self, Results, SubstrateRecord};

/// A start shorter than this share of the longest beside it is drawn again, magnified.
const SHORT_SHARE: f64 = 0.35;
/// Percentiles that are drawn.
const DRAWN: std::ops::RangeInclusive<f64> = 50.0..=99.9;
/// How each spread is to be read.
const SPREAD: &str = "Bars are medians, whiskers reach from the least to the largest value.";
const OWN_SCALE: &str = " · scale of its own";

/// A bar of each substrate: what is written before its figure, and which figure.
type Bar = (&'static str, Measure);

pub fn start(results: &Results) -> Vec<Chart> {
    let bar = |name, cache| (name, Measure::Start { cache });
    let bars = [bar("warm", Cache::Warm), bar("cold", Cache::Cold)];
    let bars = bar_chart(results, "Start to first 200 (logarithmic)", Metric::Ms, true, &bars);
    let timelines = [Cache::Warm, Cache::Cold].map(|cache| timeline(results, cache));
    bars.into_iter().chain(timelines.into_iter().flatten()).collect()
}

pub fn memory(results: &Results) -> Vec<Chart> {
    let charts = [
        ("Least memory with which a vote service answers", Metric::MemoryMib, Measure::LeastMemory),
        ("Memory on the host under load", Metric::MemoryMib, Measure::Resident),
        ("Image size after gzip", Metric::CompressedBytes, Measure::Size),
        ("Vote instances in 1 GiB", Metric::Instances, Measure::Density),
    ];
    let chart = |(title, metric, measure)| bar_chart(results, title, metric, false, &[("", measure)]);
    charts.into_iter().filter_map(chart).collect()
}

/// Requests per second over the number of connections.
pub fn throughput(results: &Results) -> Vec<Chart> {
    let connections = results.connections(Generator::Ab);
    let chart = |(method, keep_alive)| {
        let column = |connections: &u32| {
            let load = results::load(method, keep_alive, *connections, Generator::Ab);
            (format!("c = {connections}"), load)
        };
        let title = format!("{}, requests/s", labels::requests(method, keep_alive));
        column_chart(results, title, connections.iter().map(column).collect())
    };
    KINDS.into_iter().filter_map(chart).collect()
}

/// Latency over percentiles, the charts for the headline's number of connections first.
pub fn latency(results: &Results) -> Vec<Chart> {
    let preferred = results.usual_connections();
    let mut loads: Vec<Load> = results.loads().collect();
    loads.sort();
    loads.dedup();
    let open_loop_first = |load: &Load| match load.generator {
        Generator::OhaSameRate => 0,
        Generator::Oha => 1,
        Generator::Ab => 2,
    };
    loads.sort_by_key(|load| (load.connections != preferred, open_loop_first(load)));
    loads.into_iter().filter_map(|load| curve_chart(results, load)).collect()
}

pub fn application(results: &Results) -> Vec<Chart> {
    let end_to_end = [("", Measure::EndToEnd)];
    let idle = [("", Measure::Idle)];
    let scaling = SCALING.map(|instances| (format!("{instances} vote"), Measure::Scaling { instances }));
    let charts = [
        bar_chart(results, "From a vote to the result page's event", Metric::Ms, true, &end_to_end),
        bar_chart(results, "Idle: processor time, of one core", Metric::CorePercent, false, &idle),
        column_chart(results, "Scaling: GET, requests/s in all".to_owned(), scaling.to_vec()),
    ];
    charts.into_iter().flatten().collect()
}

pub fn instructions(results: &Results) -> Vec<Chart> {
    let of = |name, of| (name, Measure::Instructions { of });
    let charts: [(&str, &[Bar]); 3] = [
        ("Instructions per boot", &[of("", Counted::Boot)]),
        ("Instructions per GET", &[of("close", Counted::GetClose), of("keep-alive", Counted::GetKeepAlive)]),
        (
            "Instructions per POST",
            &[of("close", Counted::PostClose), of("keep-alive", Counted::PostKeepAlive)],
        ),
    ];
    let chart = |(title, bars)| bar_chart(results, title, Metric::Instructions, false, bars);
    charts.into_iter().filter_map(chart).chain(exits(results)).collect()
}

fn exits(results: &Results) -> impl Iterator<Item = Chart> {
    let of = |name, of, connections| (name, Measure::Exits { of, connections });
    let boot = [of("", Counted::Boot, 1)];
    let get = [of("close", Counted::GetClose, 1), of("keep-alive", Counted::GetKeepAlive, 1)];
    let chart = |title, bars: &[Bar]| bar_chart(results, title, Metric::Exits, false, bars);
    [chart("Exits per boot", &boot), chart("Exits per GET, one at a time", &get)].into_iter().flatten()
}

fn bar_chart(
    results: &Results,
    title: &str,
    metric: Metric,
    logarithmic: bool,
    bars: &[Bar],
) -> Option<Chart> {
    let bars = |of: &SubstrateRecord| {
        let bar = |(name, measure): &Bar| {
            let summary = results.figure(&of.id, measure, metric)?;
            Some((summary, format!("{name} {}", number::figure(metric, summary.median)).trim().to_owned()))
        };
        Some(bars.iter().filter_map(bar).collect()).filter(|bars: &Vec<_>| !bars.is_empty())
    };
    let panels = panels(results, bars, if logarithmic { "" } else { OWN_SCALE })?;
    Some(Chart { title: title.to_owned(), how: SPREAD, metric, plot: Plot::Bars { logarithmic, panels } })
}

fn column_chart(results: &Results, title: String, columns: Vec<(String, Measure)>) -> Option<Chart> {
    let metric = Metric::RequestsPerSecond;
    let columns_of = |of: &SubstrateRecord| {
        let summaries = columns.iter().map(|(_, measure)| results.figure(&of.id, measure, metric)).collect();
        Some(summaries).filter(|summaries: &Vec<_>| summaries.iter().any(Option::is_some))
    };
    let panels = panels(results, columns_of, OWN_SCALE)?;
    let categories = columns.into_iter().map(|(name, _)| name).collect();
    Some(Chart { title, how: SPREAD, metric, plot: Plot::Columns { categories, panels } })
}

fn curve_chart(results: &Results, load: Load) -> Option<Chart> {
    let points = |of: &SubstrateRecord| {
        let curve = &results.cell(&of.id, &Measure::Load(load))?.curve;
        let points = curve.iter().copied().filter(|(at, ms)| DRAWN.contains(at) && *ms > 0.0).collect();
        Some(points).filter(|points: &Vec<_>| points.len() > 1)
    };
    let panels = panels(results, points, "")?;
    let title = format!("Latency: {}", labels::load(&load));
    let how = "Latency is logarithmic, percentiles from the median to 99.9; unikernels' curves are whole, others dashed.";
    Some(Chart { title, how, metric: Metric::Ms, plot: Plot::Curves(panels) })
}

fn timeline(results: &Results, cache: Cache) -> Option<Chart> {
    let stages = |of: &SubstrateRecord| {
        let timeline = &results.cell(&of.id, &Measure::Start { cache })?.timeline;
        (!timeline.is_empty()).then(|| timeline.clone())
    };
    let panels = panels(results, stages, OWN_SCALE)?;
    let names = chart::names(panels.iter().flat_map(|panel| &panel.items).map(|item| &item.data));
    let panels = panels.into_iter().flat_map(with_magnified).collect();
    let title = format!("Stages of a start, {}", labels::cache(cache));
    let how = "Each stage ends where it was reached.";
    Some(Chart { title, how, metric: Metric::Ms, plot: Plot::Timeline { names, panels } })
}

/// A panel, and again what is too short in it to be read.
fn with_magnified(panel: Panel<Vec<(String, f64)>>) -> Vec<Panel<Vec<(String, f64)>>> {
    let most = panel.items.iter().map(|item| chart::end(&item.data)).fold(0.0, f64::max);
    let is_short = |item: &&Item<Vec<(String, f64)>>| chart::end(&item.data) < SHORT_SHARE * most;
    let items: Vec<_> = panel.items.iter().filter(is_short).cloned().collect();
    let remark = chart::MAGNIFIED;
    let magnified = (!items.is_empty()).then_some(Panel { execution: panel.execution, remark, items });
    [panel].into_iter().chain(magnified).collect()
}

/// What is drawn of each substrate, in panels of those that run alike; none where nothing is drawn.
fn panels<T>(
    results: &Results,
    data: impl Fn(&SubstrateRecord) -> Option<T>,
    remark: &'static str,
) -> Option<Vec<Panel<T>>> {
    let item = |of: &SubstrateRecord| {
        let (name, colour, dashed) = (of.title.clone(), Colour::of(&of.id), !results::is_unikernel(&of.id));
        Some((of.execution, Item { name, colour, dashed, data: data(of)? }))
    };
    let groups = by_execution(results.substrates.iter().filter_map(item));
    // A single panel has nothing to be mixed up with.
    let remark = if groups.len() > 1 { remark } else { "" };
    let panel = |(execution, items)| Panel { execution, remark, items };
    (!groups.is_empty()).then(|| groups.into_iter().map(panel).collect())
}
