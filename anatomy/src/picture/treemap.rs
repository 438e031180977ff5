//! Rectangles whose areas are as the weights, each as square as can be (Bruls, Huizing and van Wijk, "Squarified
//! Treemaps", 2000).

use super::scene::Area;

/// An area for each weight. The weights are in falling order, and positive.
pub fn squarify(weights: &[f64], area: Area) -> Vec<Area> {
    let scale = area.width * area.height / weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let weights: Vec<f64> = weights.iter().map(|weight| weight * scale).collect();
    let (mut rest, mut free, mut areas) = (&weights[..], area, Vec::new());
    while !rest.is_empty() {
        let side = free.width.min(free.height);
        let longer = (1..rest.len())
            .take_while(|count| worst(&rest[..count + 1], side) <= worst(&rest[..*count], side));
        let count = longer.last().map_or(1, |count| count + 1);
        free = lay(&rest[..count], free, &mut areas);
        rest = &rest[count..];
    }
    areas
}

/// How far from a square the worst of a row along a side is.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let (least, most) = row.iter().fold((f64::MAX, 0.0f64), |(a, b), value| (a.min(*value), b.max(*value)));
    (side * side * most / (sum * sum)).max(sum * sum / (side * side * least))
}

/// Lays a row along the shorter side; gives what is still free.
fn lay(row: &[f64], free: Area, areas: &mut Vec<Area>) -> Area {
    let is_upright = free.width >= free.height;
    let thick = row.iter().sum::<f64>() / free.width.min(free.height).max(f64::MIN_POSITIVE);
    let mut along = 0.0;
    for weight in row {
        let long = weight / thick.max(f64::MIN_POSITIVE);
        areas.push(match is_upright {
            true => Area::new(free.x, free.y + along, thick, long),
            false => Area::new(free.x + along, free.y, long, thick),
        });
        along += long;
    }
    match is_upright {
        true => Area::new(free.x + thick, free.y, (free.width - thick).max(0.0), free.height),
        false => Area::new(free.x, free.y + thick, free.width, (free.height - thick).max(0.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_as_the_weights_and_fill_the_whole() {
        let whole = Area::new(10.0, 20.0, 60.0, 40.0);
        let weights = [6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0];
        let areas = squarify(&weights, whole);
        assert_eq!(areas.len(), weights.len());
        for (area, weight) in areas.iter().zip(weights) {
            assert!((area.width * area.height - 100.0 * weight).abs() < 1e-6, "{area:?}");
            assert!(whole.contains(area), "{area:?}");
            let ratio = area.width / area.height;
            assert!((0.3..3.1).contains(&ratio), "{area:?}");
        }
        assert!(squarify(&[], whole).is_empty());
    }
}
