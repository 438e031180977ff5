//! The course's part of it: pictures in its folder, and the values of its file of figures.

use crate::model::figures::Figures;

/// Where the course's pictures are, from the repository's root.
pub const IMAGES: &str = "docs/course/src/images";
/// Where its figures are.
pub const FIGURES: &str = "docs/course/figures.toml";

/// The file of figures with new values for those whose command is this one; all other lines stay as they are. Each
/// figure is a line of its own: `"NAME" = { value = 1, tolerance_percent = 10, command = "..." }`.
pub fn updated(file: &str, command: &str, figures: &Figures) -> String {
    file.split_inclusive('\n')
        .map(|line| updated_line(line, command, figures).unwrap_or_else(|| line.to_owned()))
        .collect()
}

fn updated_line(line: &str, command: &str, figures: &Figures) -> Option<String> {
    let (name, rest) = line.strip_prefix('"')?.split_once('"')?;
    let is_ours = rest.contains(&format!("command = \"{command}\""));
    let value = figures.get(name).filter(|_| is_ours)?;
    let (before, behind) = line.split_once("value = ")?;
    let old: String = behind.chars().take_while(|letter| letter.is_ascii_digit() || *letter == '_').collect();
    Some(format!("{before}value = {value}{}", &behind[old.len()..]))
}

/// What a picture is called in the course: pictures of another service than the usual one bear its name.
pub fn image_name(service: &str, picture: &str, theme: &str) -> String {
    match service {
        "vote-service" => format!("{picture}-{theme}.svg"),
        _ => format!("{service}-{picture}-{theme}.svg"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_of_this_command_are_replaced() {
        let file = "# figures\n\"a.b\" = { value = 1_000, tolerance_percent = 10, command = \"c x\" }\n\
                    \"a.c\" = { value = 7, command = \"c y\" }\n\"gone\" = { value = 3, command = \"c x\" }";
        let mut figures = Figures::default();
        figures.add("a.b", 12);
        figures.add("a.c", 13);
        assert_eq!(updated(file, "c x", &figures), file.replace("1_000", "12"));
    }

    #[test]
    fn pictures_of_the_usual_service_have_short_names() {
        assert_eq!(image_name("vote-service", "size", "dark"), "size-dark.svg");
        assert_eq!(image_name("hello", "size", "dark"), "hello-size-dark.svg");
    }
}
