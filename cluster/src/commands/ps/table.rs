//! Instances as a table for people, narrow enough for a slide.

use serde::Serialize;

use crate::commands::ps::look::{Condition, Row};
use crate::terminal::style::Style;

/// Titles of the columns, and whether each is of numbers, which stand to the right.
const COLUMNS: [(&str, bool); 12] = [
    ("INSTANCE", false),
    ("STATE", false),
    ("HEALTH", false),
    ("CPU %", true),
    ("MEMORY", true),
    ("HEAP", true),
    ("REQ/S", true),
    ("SHARE %", true),
    ("RESTARTS", true),
    ("UPTIME", true),
    ("PID", true),
    ("ENDPOINT", false),
];
/// Place of the health among them, which is coloured.
const HEALTH: usize = 2;
/// Place of the share, which is shown only where ports are shared.
const SHARE: usize = 7;
/// Between two columns.
const GAP: &str = "  ";

/// Renders the instances as aligned columns.
pub fn table(rows: &[Row], style: Style) -> String {
    if rows.is_empty() {
        return "nothing runs: `cargo up` starts the application\n".to_owned();
    }
    let lines: Vec<[String; COLUMNS.len()]> = rows.iter().map(cells).collect();
    let width = |column: usize| {
        let cells = lines.iter().map(|cells| cells[column].chars().count());
        cells.max().unwrap_or(0).max(COLUMNS[column].0.len())
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let has_shares = rows.iter().any(|row| row.connections.is_some());
    let line = |cells: &[String; COLUMNS.len()], health: Option<Condition>| {
        let shown = cells.iter().enumerate().filter(|(column, _)| has_shares || *column != SHARE);
        let padded = shown.map(|(column, cell)| {
            let width = widths[column];
            let cell = if COLUMNS[column].1 { format!("{cell:>width$}") } else { format!("{cell:width$}") };
            match health.filter(|_| column == HEALTH) {
                Some(health) => colour(style, health, &cell),
                None => cell,
            }
        });
        format!("{}\n", padded.collect::<Vec<_>>().join(GAP).trim_end())
    };
    let titles = COLUMNS.map(|(title, _)| title.to_owned());
    let rows = rows.iter().zip(&lines).map(|(row, cells)| line(cells, Some(row.health)));
    style.bold(line(&titles, None).trim_end()) + "\n" + &rows.collect::<String>()
}

fn cells(row: &Row) -> [String; COLUMNS.len()] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let runs = row.pid.is_some();
    [
        row.instance.clone(),
        word(&row.state),
        word(&row.health),
        or_dash(row.cpu_percent.map(|percent| format!("{percent:.1}"))),
        or_dash(runs.then(|| mebibytes(row.memory_bytes))),
        or_dash(row.heap_bytes.map(mebibytes)),
        or_dash(row.requests_per_s.map(|rate| format!("{rate:.0}"))),
        or_dash(row.share_percent.map(|percent| format!("{percent:.1}"))),
        row.restarts.to_string(),
        or_dash(runs.then(|| duration(row.uptime_s))),
        or_dash(row.pid.map(|pid| pid.to_string())),
        row.endpoint.clone(),
    ]
}

fn colour(style: Style, health: Condition, text: &str) -> String {
    match health {
        Condition::Healthy => style.good(text),
        Condition::Starting => style.dim(text),
        Condition::Unhealthy | Condition::None => style.bad(text),
    }
}

/// The word that stands for it in JSON.
fn word(value: &impl Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or("?").to_owned()
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::ps::look::Life;
    use crate::commands::ps::look::tests::row;

    #[test]
    fn columns_are_as_wide_as_what_they_hold() {
        let gone = Row {
            instance: "result-12".to_owned(),
            state: Life::Restarting,
            health: Condition::None,
            pid: None,
            memory_bytes: 0,
            heap_bytes: None,
            cpu_percent: None,
            requests_per_s: None,
            ..row()
        };
        let text = table(&[row(), gone], Style::Plain);
        let expected = "\
INSTANCE   STATE       HEALTH   CPU %    MEMORY     HEAP  REQ/S  RESTARTS  UPTIME  PID  ENDPOINT
vote-1     running     healthy   12.5  40.0 MiB  0.5 MiB   1234         2    12 s    7  http://127.0.0.1:8080
result-12  restarting  none         -         -        -      -         2       -    -  http://127.0.0.1:8080
";
        assert_eq!(text, expected);
        let shared = Row { connections: Some(3), share_percent: Some(33.3), ..row() };
        let text = table(&[shared, row()], Style::Plain);
        assert!(text.contains("  REQ/S  SHARE %  RESTARTS  "), "{text}");
        assert!(
            text.contains("   1234     33.3         2  ") && text.contains("   1234        -         2  "),
            "{text}"
        );
        assert!(table(&[row()], Style::Coloured).contains("\u{1b}[32mhealthy\u{1b}[0m"));
        assert!(table(&[], Style::Plain).starts_with("nothing runs"));
    }

    #[test]
    fn long_times_are_short() {
        assert_eq!([119, 120, 7_199, 7_200].map(duration), ["119 s", "2 min", "119 min", "2 h"]);
    }
}
