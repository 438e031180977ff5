//! The two sets of colours, which are those of the comparison's charts.

use compare::drawing::STYLE;

/// Which set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Light, Self::Dark];

    /// What files of it are called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// A text with the colours of this theme in place of the style sheet's variables, for a file that stands alone.
    pub fn resolve(self, text: &str) -> String {
        let mut resolved = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("var(--") {
            let (name, behind) = after.split_once(')').unwrap_or((after, ""));
            resolved.push_str(before);
            resolved.push_str(self.value(name).unwrap_or("currentColor"));
            rest = behind;
        }
        resolved + rest
    }

    /// The value of a variable of the style sheet.
    pub fn value(self, name: &str) -> Option<&'static str> {
        let (light, dark) = STYLE.split_once("prefers-color-scheme: dark")?;
        let rules = if self == Self::Light { light } else { dark };
        let (_, after) = rules.split_once(&format!("--{name}:"))?;
        after.split(';').next().map(str::trim)
    }
}

/// How much two colours differ in brightness, from 1 to 21 (WCAG 2.2, "contrast ratio").
#[cfg(test)]
pub fn contrast(one: &str, other: &str) -> Option<f64> {
    let luminance = |colour: &str| {
        let digits = colour.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&digits[at..at + 2], 16).ok()?) / 255.0;
            Some(if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) })
        };
        Some(0.2126 * channel(0)? + 0.7152 * channel(2)? + 0.0722 * channel(4)?)
    };
    let (one, other) = (luminance(one)?, luminance(other)?);
    Some((one.max(other) + 0.05) / (one.min(other) + 0.05))
}

#[cfg(test)]
mod tests {
    use compare::drawing::Colour;

    use super::*;

    #[test]
    fn variables_are_replaced_by_the_theme_s_colours() {
        let text = format!("a {} b {}", Colour::Paper.css(), Colour::Stage(1).css());
        assert_eq!(Theme::Light.resolve(&text), "a #ffffff b #0b5cad");
        assert_eq!(Theme::Dark.resolve(&text), "a #161c25 b #6db3f2");
        assert_eq!(contrast("#ffffff", "#000000").map(f64::round), Some(21.0));
    }

    #[test]
    fn texts_can_be_read_on_what_they_stand_on_in_both_themes() {
        for theme in Theme::ALL {
            let value =
                |colour: Colour| theme.value(colour.css().trim_start_matches("var(--").trim_end_matches(')'));
            let stages = (0..6).map(|stage| (Colour::Paper, Colour::Stage(stage)));
            let others =
                [(Colour::Text, Colour::Paper), (Colour::Faint, Colour::Paper), (Colour::Text, Colour::Grid)];
            for (text, ground) in stages.chain(others) {
                let found = value(text).zip(value(ground)).and_then(|(one, other)| contrast(one, other));
                assert!(
                    found.is_some_and(|ratio| ratio >= 4.5),
                    "{theme:?} {text:?} on {ground:?}: {found:?}"
                );
            }
        }
    }
}
