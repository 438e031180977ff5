//! Where a unikernel wins and where it loses: its factor over each other substrate, for the figures that
//! decide.
//!
//! All other ratios are in `results.json`.

use super::factor::Factor;
use super::{headline, labels};
use crate::record::{Cache, Counted, Generator, Measure, Method, Metric};
use crate::results::{self, Results, Row};

/// One unikernel against all others.
pub struct Matrix<'a> {
    /// The unikernel.
    pub unikernel: &'a Row,
    /// The others, those on the same kind of processor first.
    pub columns: Vec<Column<'a>>,
    /// Each figure with its factors in the columns' order.
    pub rows: Vec<(String, Vec<Option<Factor>>)>,
}

/// A substrate that the unikernel is set against.
pub struct Column<'a> {
    /// The substrate.
    pub row: &'a Row,
    /// What is compared with what.
    pub pairing: String,
}

/// A matrix for each unikernel that has ratios, the headline's first.
pub fn matrices(results: &Results) -> Vec<Matrix<'_>> {
    let first = headline::unikernel(results);
    let mut rows: Vec<&Row> = results.substrates.iter().collect();
    rows.sort_by_key(|row| row.id != first);
    rows.into_iter().filter_map(|row| matrix(results, row)).collect()
}

fn matrix<'a>(results: &'a Results, unikernel: &'a Row) -> Option<Matrix<'a>> {
    let against = |row: &&Row| {
        results.ratios.iter().any(|ratio| ratio.unikernel == unikernel.id && ratio.against == row.id)
    };
    let mut others: Vec<&Row> = results.substrates.iter().filter(against).collect();
    others.sort_by_key(|row| super::table::rank(row.execution));
    let factors = |(measure, metric): (Measure, Metric)| -> (String, Vec<Option<Factor>>) {
        let find = |row: &&Row| Factor::find(results, &unikernel.id, &row.id, &measure, metric);
        (labels::capital(&labels::figure(&measure, metric)), others.iter().map(find).collect())
    };
    let rows = figures(results).into_iter().map(factors);
    let rows: Vec<_> = rows.filter(|(_, factors)| factors.iter().any(Option::is_some)).collect();
    let column = |row: &&'a Row| Column { row, pairing: labels::pairing(unikernel.execution, row.execution) };
    let columns = others.iter().map(column).collect();
    (!rows.is_empty()).then_some(Matrix { unikernel, columns, rows })
}

/// The figures that decide.
fn figures(results: &Results) -> Vec<(Measure, Metric)> {
    let loads = [(Method::Get, false), (Method::Get, true), (Method::Post, false), (Method::Post, true)];
    let connections = headline::connections(results);
    let load = |(method, keep_alive), generator| results::load(method, keep_alive, connections, generator);
    let counted =
        [Counted::Boot, Counted::GetClose, Counted::GetKeepAlive, Counted::PostClose, Counted::PostKeepAlive];
    let mut figures = vec![
        (Measure::Start { cache: Cache::Warm }, Metric::Ms),
        (Measure::Start { cache: Cache::Cold }, Metric::Ms),
        (Measure::Size, Metric::CompressedBytes),
        (Measure::LeastMemory, Metric::MemoryMib),
        (Measure::Resident, Metric::MemoryMib),
        (Measure::Density, Metric::Instances),
    ];
    figures.extend(loads.map(|kind| (load(kind, Generator::Ab), Metric::RequestsPerSecond)));
    figures.extend(loads.map(|kind| (load(kind, Generator::OhaSameRate), Metric::P99Ms)));
    figures.extend([(Measure::EndToEnd, Metric::Ms), (Measure::Idle, Metric::CorePercent)]);
    let scaling = [1, 2, 4].map(|instances| (Measure::Scaling { instances }, Metric::RequestsPerSecond));
    figures.extend(scaling);
    figures.extend(counted.map(|of| (Measure::Instructions { of }, Metric::Instructions)));
    figures
}
