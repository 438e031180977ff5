//! Charts as SVG that stands in a page: as wide as a phone's screen, in colours that the page decides.
//!
//! Draws what it is given; which figures belong into a chart is the business of `charts`.

mod axis;
mod bars;
mod columns;
mod curves;
mod data;
mod svg;
mod timeline;

use maud::{Markup, html};

pub use data::{Chart, Colour, Item, Panel, Plot};
pub use timeline::{MAGNIFIED, end, names, spans};

use super::labels;
use svg::{HEADING, WIDTH};

/// The picture of a chart.
pub fn draw(chart: &Chart) -> Markup {
    match &chart.plot {
        Plot::Bars { logarithmic, panels } => {
            let bars = bars::Bars::new(chart.metric, *logarithmic, panels);
            stack(chart, panels, bars::height, |panel| bars.draw(panel))
        }
        Plot::Columns { categories, panels } => {
            stack(chart, panels, columns::height, |panel| columns::draw(chart.metric, categories, panel))
        }
        Plot::Curves(panels) => {
            let axis = curves::axis(chart.metric, panels);
            stack(chart, panels, curves::height, |panel| curves::draw(&axis, panel))
        }
        Plot::Timeline { names, panels } => {
            stack(chart, panels, timeline::height, |panel| timeline::draw(chart.metric, names, panel))
        }
    }
}

/// Panels below each other, each under its heading.
fn stack<T>(
    chart: &Chart,
    panels: &[Panel<T>],
    height: impl Fn(&Panel<T>) -> f64,
    draw: impl Fn(&Panel<T>) -> Markup,
) -> Markup {
    let executions: Vec<&str> = panels.iter().map(|panel| labels::execution(panel.execution)).collect();
    let whole: f64 = panels.iter().map(|panel| HEADING + height(panel)).sum();
    let mut top = 0.0;
    let placed = panels.iter().map(|panel| {
        let place = top;
        top += HEADING + height(panel);
        (place, panel)
    });
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {whole}")) role="img" {
            title { (chart.title) }
            desc { "Panels: " (executions.join(", then ")) ". " (chart.how) }
            @for (top, panel) in placed {
                g transform=(format!("translate(0 {top})")) { (svg::heading(panel.execution, panel.remark)) }
                g transform=(format!("translate(0 {})", top + HEADING)) { (draw(panel)) }
            }
        }
    }
}
