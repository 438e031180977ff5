//! The report's charts: which figures are drawn in which.
//!
//! How a chart is drawn is `chart`'s business. A chart without figures is left out: the tables say why.

use anyhow::Result;

use super::chart::bars::{self, Bars};
use super::chart::canvas::{self, Caption};
use super::chart::columns::{self, Columns};
use super::chart::curves::{self, Curves};
use super::chart::ink::Ink;
use super::chart::timeline::{self, Timeline};
use super::chart::{Panel, Spread};
use super::table::by_execution;
use super::tables::{KINDS, connections};
use super::{labels, number};
use crate::record::{Cache, Counted, Generator, Load, Measure, Metric};
use crate::results::{self, Results, Row};
use crate::substrate::Execution;

/// A start shorter than this share of the longest beside it is drawn again, magnified.
const SHORT_SHARE: f64 = 0.35;
/// How each spread is to be read.
const SPREAD: &str = "Bars are medians, whiskers reach from the least to the largest value.";

/// A chart with its heading.
pub struct Figure {
    /// Its heading.
    pub title: String,
    /// The picture.
    pub svg: String,
    /// What its colours are, where the picture has no room for it: substrates with their stages.
    pub stages: Vec<timeline::Item>,
    /// Names of stages in the order of their numbers.
    pub names: Vec<String>,
}

/// A bar of each substrate: what is written before its figure, and which figure.
type Bar = (&'static str, Measure);

/// Start to first 200.
///
/// # Errors
/// When it cannot be drawn; as of all charts.
pub fn start(results: &Results) -> Result<Vec<Figure>> {
    let bars = [Cache::Warm, Cache::Cold].map(|cache| (cache_name(cache), Measure::Start { cache }));
    let bars = bar_chart(results, "Start to first 200 (logarithmic)", Metric::Ms, true, &bars)?;
    Ok(bars.into_iter().chain(timelines(results)?).collect())
}

/// Memory and size.
///
/// # Errors
/// As [`start`].
pub fn memory(results: &Results) -> Result<Vec<Figure>> {
    let charts = [
        ("Least memory with which a vote service answers", Metric::MemoryMib, Measure::LeastMemory),
        ("Memory on the host under load", Metric::MemoryMib, Measure::Resident),
        ("Image size after gzip", Metric::CompressedBytes, Measure::Size),
        ("Vote instances in 1 GiB", Metric::Instances, Measure::Density),
    ];
    let chart = |(title, metric, measure)| bar_chart(results, title, metric, false, &[("", measure)]);
    let figures: Result<Vec<Option<Figure>>> = charts.into_iter().map(chart).collect();
    Ok(figures?.into_iter().flatten().collect())
}

/// Requests per second over the number of connections.
///
/// # Errors
/// As [`start`].
pub fn throughput(results: &Results) -> Result<Vec<Figure>> {
    let connections = connections(results, Generator::Ab);
    let categories: Vec<String> =
        connections.iter().map(|connections| format!("c = {connections}")).collect();
    let mut figures = Vec::new();
    for (method, keep_alive) in KINDS {
        let measure = |connections: &u32| results::load(method, keep_alive, *connections, Generator::Ab);
        let measures: Vec<Measure> = connections.iter().map(measure).collect();
        let title = format!("{}, requests/s", labels::requests(method, keep_alive));
        figures.extend(column_chart(results, title, &categories, &measures)?);
    }
    Ok(figures)
}

/// Latency over percentiles, the charts for the headline's number of connections first.
///
/// # Errors
/// As [`start`].
pub fn latency(results: &Results) -> Result<Vec<Figure>> {
    let preferred = super::headline::connections(results);
    let mut loads: Vec<Load> = results
        .cells
        .iter()
        .filter(|cell| !cell.curve.is_empty())
        .filter_map(|cell| match cell.measure {
            Measure::Load(load) => Some(load),
            _ => None,
        })
        .collect();
    loads.sort();
    loads.dedup();
    let open_loop_first = |load: &Load| match load.generator {
        Generator::OhaSameRate => 0,
        Generator::Oha => 1,
        Generator::Ab => 2,
    };
    loads.sort_by_key(|load| (load.connections != preferred, open_loop_first(load)));
    loads.into_iter().map(|load| curve_chart(results, load)).filter_map(Result::transpose).collect()
}

/// The whole application.
///
/// # Errors
/// As [`start`].
pub fn application(results: &Results) -> Result<Vec<Figure>> {
    let end_to_end = bar_chart(
        results,
        "From a vote to the result page's event",
        Metric::Ms,
        true,
        &[("", Measure::EndToEnd)],
    )?;
    let idle = bar_chart(
        results,
        "Idle: processor time, of one core",
        Metric::CorePercent,
        false,
        &[("", Measure::Idle)],
    )?;
    let counts = [1, 2, 4];
    let categories = counts.map(|count| format!("{count} vote"));
    let measures = counts.map(|instances| Measure::Scaling { instances });
    let scaling =
        column_chart(results, "Scaling: GET, requests/s in all".to_owned(), &categories, &measures)?;
    Ok([end_to_end, idle, scaling].into_iter().flatten().collect())
}

/// Guest instructions.
///
/// # Errors
/// As [`start`].
pub fn instructions(results: &Results) -> Result<Vec<Figure>> {
    let of = |name, of| (name, Measure::Instructions { of });
    let charts = [
        ("Instructions per boot", vec![of("", Counted::Boot)]),
        (
            "Instructions per GET",
            vec![of("close", Counted::GetClose), of("keep-alive", Counted::GetKeepAlive)],
        ),
        (
            "Instructions per POST",
            vec![of("close", Counted::PostClose), of("keep-alive", Counted::PostKeepAlive)],
        ),
    ];
    let chart = |(title, bars): (_, Vec<Bar>)| bar_chart(results, title, Metric::Instructions, false, &bars);
    let figures: Result<Vec<Option<Figure>>> = charts.into_iter().map(chart).collect();
    Ok(figures?.into_iter().flatten().collect())
}

fn cache_name(cache: Cache) -> &'static str {
    match cache {
        Cache::Warm => "warm",
        Cache::Cold => "cold",
    }
}

fn bar_chart(
    results: &Results,
    title: &str,
    metric: Metric,
    logarithmic: bool,
    bars: &[Bar],
) -> Result<Option<Figure>> {
    let bar = |row: &Row, (name, measure): &Bar| {
        let summary = results.figure(&row.id, measure, metric)?;
        let figure = number::figure(metric, summary.median);
        Some((Spread::from(summary), format!("{name} {figure}").trim().to_owned()))
    };
    let item = |row: &Row| {
        let bars: Vec<(Spread, String)> = bars.iter().filter_map(|of| bar(row, of)).collect();
        (!bars.is_empty()).then(|| bars::Item { name: row.title.clone(), ink: Ink::of(&row.id), bars })
    };
    let panels = panels(results, item, if logarithmic { "" } else { OWN_SCALE });
    let caption = caption(title, &panels, SPREAD);
    figure(title, panels, |panels| Bars { caption, metric, logarithmic, panels }.svg())
}

fn column_chart(
    results: &Results,
    title: String,
    categories: &[String],
    measures: &[Measure],
) -> Result<Option<Figure>> {
    let metric = Metric::RequestsPerSecond;
    let item = |row: &Row| {
        let column = |measure| results.figure(&row.id, measure, metric).map(Spread::from);
        let columns: Vec<Option<Spread>> = measures.iter().map(column).collect();
        let item = columns::Item { name: row.title.clone(), ink: Ink::of(&row.id), columns };
        item.columns.iter().any(Option::is_some).then_some(item)
    };
    let panels = panels(results, item, OWN_SCALE);
    let caption = caption(&title, &panels, SPREAD);
    let categories = categories.to_vec();
    figure(&title, panels, |panels| Columns { caption, metric, categories, panels }.svg())
}

fn curve_chart(results: &Results, load: Load) -> Result<Option<Figure>> {
    let title = format!("Latency: {}", labels::load(&load));
    let item = |row: &Row| {
        let points = results.cell(&row.id, &Measure::Load(load))?.curve.clone();
        let dashed = !results::is_unikernel(&row.id);
        let item = curves::Item { name: row.title.clone(), ink: Ink::of(&row.id), dashed, points };
        item.is_drawn().then_some(item)
    };
    let panels = panels(results, item, "");
    let how = "Latency is logarithmic, percentiles from the median to 99.9; unikernels' curves are whole, \
               others dashed.";
    let caption = caption(&title, &panels, how);
    figure(&title, panels, |panels| Curves { caption, panels }.svg())
}

fn timelines(results: &Results) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for cache in [Cache::Warm, Cache::Cold] {
        let title = format!("Stages of a start, {}", labels::cache(cache));
        let item = |row: &Row| {
            let stages = results.cell(&row.id, &Measure::Start { cache })?.timeline.clone();
            (!stages.is_empty()).then(|| timeline::Item { name: row.title.clone(), stages })
        };
        let panels = panels(results, item, OWN_SCALE);
        let stages: Vec<timeline::Item> = panels.iter().flat_map(|panel| panel.items.clone()).collect();
        let names = timeline::names(stages.iter());
        let panels = with_magnified(panels);
        let caption = caption(&title, &panels, "Each stage ends where it was reached.");
        let svg = |panels| Timeline { caption, names: names.clone(), panels }.svg();
        let drawn = figure(&title, panels, svg)?;
        figures.extend(drawn.map(|figure| Figure { stages, names, ..figure }));
    }
    Ok(figures)
}

/// Each panel, and again what is too short in it to be read.
fn with_magnified(panels: Vec<Panel<timeline::Item>>) -> Vec<Panel<timeline::Item>> {
    let magnified = |panel: &Panel<timeline::Item>| {
        let most = panel.items.iter().map(timeline::Item::end).fold(0.0, f64::max);
        let is_short = |item: &&timeline::Item| item.end() < SHORT_SHARE * most;
        let items: Vec<timeline::Item> = panel.items.iter().filter(is_short).cloned().collect();
        let remark = " · the short ones again, magnified";
        (!items.is_empty()).then_some(Panel { execution: panel.execution, remark, items })
    };
    let both = |panel: Panel<timeline::Item>| {
        let magnified = magnified(&panel);
        [Some(panel), magnified]
    };
    panels.into_iter().flat_map(both).flatten().collect()
}

const OWN_SCALE: &str = " · scale of its own";

/// What is drawn of each substrate, in panels of those that run alike.
fn panels<T>(results: &Results, item: impl Fn(&Row) -> Option<T>, remark: &'static str) -> Vec<Panel<T>> {
    let items: Vec<(Execution, T)> =
        results.substrates.iter().filter_map(|row| Some((row.execution, item(row)?))).collect();
    let groups = by_execution(items);
    // A single panel has nothing to be mixed up with.
    let remark = if groups.len() > 1 { remark } else { "" };
    groups.into_iter().map(|(execution, items)| Panel { execution, remark, items }).collect()
}

fn caption<T>(title: &str, panels: &[Panel<T>], how: &str) -> Caption {
    Caption { title: title.to_owned(), description: format!("Panels: {}. {how}", canvas::described(panels)) }
}

fn figure<T>(
    title: &str,
    panels: Vec<Panel<T>>,
    svg: impl FnOnce(Vec<Panel<T>>) -> Result<String>,
) -> Result<Option<Figure>> {
    if panels.is_empty() {
        return Ok(None);
    }
    Ok(Some(Figure { title: title.to_owned(), svg: svg(panels)?, stages: Vec::new(), names: Vec::new() }))
}
