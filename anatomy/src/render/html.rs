//! All pictures in one page, which loads nothing and follows the reader's choice of light or dark.

use compare::drawing::STYLE;
use maud::{DOCTYPE, PreEscaped, html};

use super::svg;
use crate::picture::scene::Scene;

/// What the page's pictures have beyond the style sheet of reports: as many columns as a window has room for.
const RULES: &str = "main, header, footer { max-width: 1800px; } .figures { columns: 480px 3; }
figcaption { font-weight: 400; color: var(--faint); } figure svg { max-width: 640px; } a { overflow-wrap: anywhere; }";

/// The page of a service; `text` says the same without pictures.
pub fn page(service: &str, scenes: &[Scene], text: &str) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "The anatomy of " (service) }
                style { (PreEscaped(STYLE)) (PreEscaped(RULES)) }
            }
            body {
                header { h1 { "The anatomy of " (service) } }
                main {
                    div class="figures" {
                        @for scene in scenes {
                            figure id=(format!("picture-{}", scene.name)) {
                                (svg::draw(scene))
                                figcaption { (scene.how) }
                            }
                        }
                    }
                    details {
                        summary { "The same as text" }
                        pre { (text) }
                    }
                }
                footer { "Made by cargo image anatomy " (service) }
            }
        }
    };
    page.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_all_pictures_and_loads_nothing() {
        let scene = |name| Scene { height: 20.0, ..Scene::new(name, format!("The {name}"), String::new()) };
        let page = page("x", &[scene("size"), scene("boot")], "a < b");
        assert_eq!(page.matches("<svg").count(), 2);
        assert!(page.contains("var(--paper)") && page.contains("prefers-color-scheme: dark"));
        assert!(page.contains("a &lt; b"));
        let links = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!links.contains("http") && !links.contains("src="), "{links}");
    }
}
