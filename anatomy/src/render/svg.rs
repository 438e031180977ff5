//! Pictures as SVG, with a text for those who do not see them.

use compare::drawing::{self, Colour, WIDTH};
use maud::{Markup, html};

use super::theme::Theme;
use crate::picture::scene::{Area, Mark, Scene};

/// How much larger a picture is shown than its units where there is room.
const SHOWN_WIDTH: f64 = 560.0;
/// Where the reader's machine has none of these fonts, it takes one of its own.
const FONTS: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
/// Length and half width of an arrow's head.
const HEAD: (f64, f64) = (5.0, 2.6);

/// A picture in a file of its own, in the colours of a theme.
pub fn file(scene: &Scene, theme: Theme) -> String {
    theme.resolve(&draw(scene).into_string()) + "\n"
}

/// A picture in a page, in the colours of the page's style sheet.
pub fn draw(scene: &Scene) -> Markup {
    let (title, description) = (format!("{}-title", scene.name), format!("{}-description", scene.name));
    let height = SHOWN_WIDTH / WIDTH * scene.height;
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {WIDTH} {:.1}", scene.height))
            width=(SHOWN_WIDTH) height=(format!("{height:.0}"))
            role="img" aria-labelledby=(format!("{title} {description}")) font-family=(FONTS) {
            title id=(title) { (scene.title) }
            desc id=(description) { (scene.description) }
            rect width=(WIDTH) height=(format!("{:.1}", scene.height)) rx="6" fill=(Colour::Paper.css()) {}
            @for mark in &scene.marks { (draw_mark(mark)) }
        }
    }
}

fn draw_mark(mark: &Mark) -> Markup {
    match mark {
        Mark::Fill { area, colour, opacity, about } => {
            let rectangle =
                drawing::rectangle((area.x, area.y), (area.right(), area.bottom()), *colour, *opacity);
            explained(rectangle, about.as_deref())
        }
        Mark::Outline { area, colour, width, about } => {
            explained(outline(area, *colour, *width), about.as_deref())
        }
        Mark::Text { text, at, lettering, .. } => drawing::text(text, *at, *lettering),
        Mark::Line { from, to, colour, is_dashed, has_head } => html! {
            g stroke-dasharray=[is_dashed.then_some("4 3")] { (drawing::line(*from, *to, *colour)) }
            @if *has_head { (head(*from, *to, *colour)) }
        },
    }
}

/// What a mark is, where a browser shows it to those who point at it.
fn explained(mark: Markup, about: Option<&str>) -> Markup {
    match about {
        Some(about) => html! { g { title { (about) } (mark) } },
        None => mark,
    }
}

fn outline(area: &Area, colour: Colour, width: f64) -> Markup {
    html! {
        rect x=(rounded(area.x)) y=(rounded(area.y)) width=(rounded(area.width)) height=(rounded(area.height))
            fill="transparent" stroke=(colour.css()) stroke-width=(width) {}
    }
}

/// The head of an arrow.
fn head(from: (f64, f64), to: (f64, f64), colour: Colour) -> Markup {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(f64::MIN_POSITIVE);
    let (dx, dy) = (dx / length, dy / length);
    let back = (to.0 - HEAD.0 * dx, to.1 - HEAD.0 * dy);
    let side = |by: f64| format!("{},{}", rounded(back.0 - by * dy), rounded(back.1 + by * dx));
    let points = format!("{},{} {} {}", rounded(to.0), rounded(to.1), side(HEAD.1), side(-HEAD.1));
    html! { polygon points=(points) fill=(colour.css()) {} }
}

fn rounded(length: f64) -> f64 {
    (length * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use compare::drawing::TEXT;

    use super::*;

    #[test]
    fn a_file_stands_alone_and_says_what_it_shows() {
        let mut scene = Scene::new("a", "A & B".to_owned(), "Two letters".to_owned());
        scene.height = 30.0;
        scene.text("<b>", (5.0, 10.0), TEXT, scene.area());
        scene.arrow((0.0, 5.0), (20.0, 5.0), Colour::Text);
        let text = file(&scene, Theme::Dark);
        assert!(text.contains(r#"<title id="a-title">A &amp; B</title><desc id="a-description">"#), "{text}");
        assert!(text.contains(r#"role="img" aria-labelledby="a-title a-description""#), "{text}");
        assert!(text.contains("&lt;b&gt;") && text.contains(r#"points="20,5 15,7.6 15,2.4""#), "{text}");
        assert!(!text.contains("var("), "{text}");
    }
}
