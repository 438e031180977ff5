//! The form of a chapter: its sections and their order, its exercises, its pictures.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::book::folders::EXERCISES;
use crate::book::links::resolve;
use crate::book::markdown::Page;

/// What each chapter ends with, in this order.
const SECTIONS: [&str; 6] = ["Run it", "Change it", "Measure it", "Exercises", "Check yourself", "Read on"];
/// How many questions a chapter asks.
const QUESTIONS: std::ops::RangeInclusive<usize> = 3..=5;
/// The fewest characters of a text that stands for a picture.
const ALTERNATIVE_MIN: usize = 15;

/// The number of the chapter that a page is: `06` of `06-virtqueue.md`.
pub fn number(page: &Page) -> Option<&str> {
    let name = page.path.rsplit('/').next()?;
    let (number, _) = name.split_once('-')?;
    (number.len() == 2 && number.chars().all(|c| c.is_ascii_digit())).then_some(number)
}

/// Where a chapter is not of the form.
pub fn malformed(page: &Page) -> Vec<String> {
    let titles: Vec<&str> = page
        .headings
        .iter()
        .filter(|heading| heading.level == 2)
        .map(|heading| heading.text.as_str())
        .collect();
    let mut faults = Vec::new();
    let mut tell = |fault: String| faults.push(format!("{}: {fault}", page.path));
    if page.headings.first().is_none_or(|heading| heading.level != 1 || heading.line != 1) {
        tell("it does not begin with a title".to_owned());
    }
    for line in ["You need: ", "Time: about "] {
        let head = page.text.split("\n## ").next().unwrap_or_default();
        if !head.contains(line) {
            tell(format!("there is no \"{line}…\" below the title"));
        }
    }
    if !titles.ends_with(&SECTIONS) {
        let wanted = SECTIONS.join(", ");
        tell(format!(
            "its last sections are not {wanted} in this order; its sections are {}",
            titles.join(", ")
        ));
    }
    let questions = section(page, "Check yourself").matches("<details>").count();
    if !QUESTIONS.contains(&questions) {
        tell(format!("it asks {questions} questions with an answer in <details>, not 3 to 5"));
    }
    faults
}

/// Exercises that a chapter names and that are not there, and the other way round.
///
/// # Errors
/// When the folder cannot be read.
pub fn exercises(root: &Path, chapters: &[Page]) -> Result<Vec<String>> {
    let found = exercise_numbers(&root.join(EXERCISES))?;
    let mut faults = Vec::new();
    let mut named = BTreeSet::new();
    for page in chapters {
        let Some(chapter) = number(page) else { continue };
        for exercise in exercises_named(section(page, "Exercises"), chapter) {
            if !found.contains(&exercise) {
                faults.push(format!("{}: the exercise {exercise} is not in {EXERCISES}", page.path));
            }
            named.insert(exercise);
        }
    }
    let unnamed = found.difference(&named);
    faults.extend(unnamed.map(|exercise| format!("{EXERCISES}: no chapter names the exercise {exercise}")));
    Ok(faults)
}

/// The pictures of a page: each in light and dark, with a text that stands for it.
pub fn pictures(root: &Path, page: &Page) -> Vec<String> {
    let mut faults = Vec::new();
    let mut tell = |fault: String| faults.push(format!("{}: {fault}", page.path));
    let html: String = page.html.iter().map(|piece| piece.text.as_str()).collect();
    for picture in html.split("<picture>").skip(1).filter_map(|rest| rest.split("</picture>").next()) {
        let [light, dark, words] =
            ["src", "srcset", "alt"].map(|name| attribute(picture, name).unwrap_or_default());
        if !(light.ends_with("-light.svg") && dark == light.replace("-light.svg", "-dark.svg")) {
            tell(format!(
                "a picture's files are {light:?} and {dark:?}, not NAME-light.svg and NAME-dark.svg"
            ));
        }
        for file in [light, dark] {
            if !root.join(resolve(&page.path, file)).is_file() {
                tell(format!("the picture {file} is not there"));
            }
        }
        if words.len() < ALTERNATIVE_MIN {
            tell(format!("the picture {light} has no `alt` that says what it shows"));
        }
    }
    for link in page.links.iter().filter(|link| link.is_picture && link.text.len() < ALTERNATIVE_MIN) {
        tell(format!("the picture {} has no words that say what it shows", link.target));
    }
    faults
}

/// The value of an attribute in HTML.
fn attribute<'a>(html: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = html.split_once(&format!(" {name}=\""))?;
    rest.split('"').next()
}

/// The text of a section, without its heading.
fn section<'a>(page: &'a Page, title: &str) -> &'a str {
    let heading = format!("\n## {title}\n");
    let rest = page.text.split_once(&heading).map_or("", |(_, rest)| rest);
    rest.split("\n## ").next().unwrap_or_default()
}

/// The exercises of a chapter that a text names, such as `06.2`.
fn exercises_named(text: &str, chapter: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    let words = words.map(|word| word.trim_end_matches('.'));
    let is_exercise = |word: &&str| {
        word.strip_prefix(chapter).and_then(|rest| rest.strip_prefix('.')).is_some_and(|rest| rest.len() == 1)
    };
    words.filter(is_exercise).map(str::to_owned).collect()
}

/// The numbers of the exercises in a folder: `06.2` of `06.2-lost-interrupt`.
fn exercise_numbers(folder: &Path) -> Result<BTreeSet<String>> {
    let mut numbers = BTreeSet::new();
    if !folder.exists() {
        return Ok(numbers);
    }
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name.split_once('-').map_or("", |(number, _)| number);
        if entry.path().is_dir() && number.len() == 4 && number.as_bytes()[2] == b'.' {
            numbers.insert(number.to_owned());
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAPTER: &str = "# 6. A\n\nYou need: x.\n\nTime: about 30 minutes\n\n## The idea\n\n## Run it\n\n\
        ## Change it\n\n## Measure it\n\n## Exercises\n\n1. **06.2 lost**: `cargo course check 06.2`\n2. 06.3.\n\n\
        ## Check yourself\n\n<details><summary>a</summary>b</details>\n<details>c</details>\n<details>d</details>\n\n\
        ## Read on\n";

    fn chapter(text: &str) -> Page {
        Page::parse("docs/course/src/06-a.md", text.to_owned())
    }

    #[test]
    fn a_chapter_has_its_sections_in_order() {
        assert_eq!(malformed(&chapter(CHAPTER)), [""; 0]);
        let faults =
            malformed(&chapter(&CHAPTER.replace("## Run it", "## Ran it").replace("You need", "Needs")));
        assert_eq!(faults.len(), 2, "{faults:?}");
        let faults = malformed(&chapter(&CHAPTER.replace("<details>c</details>\n", "")));
        assert!(faults[0].contains("asks 2 questions"), "{faults:?}");
    }

    #[test]
    fn exercises_are_named_and_there() {
        let root = tempfile::tempdir().expect("a folder");
        for name in ["06.2-lost", "06.4-other"] {
            fs::create_dir_all(root.path().join(EXERCISES).join(name)).expect("a folder");
        }
        let faults = exercises(root.path(), &[chapter(CHAPTER)]).expect("a folder");
        assert_eq!(
            faults,
            [
                "docs/course/src/06-a.md: the exercise 06.3 is not in course/exercises",
                "course/exercises: no chapter names the exercise 06.4",
            ]
        );
    }

    #[test]
    fn a_picture_has_two_files_and_words() {
        let root = tempfile::tempdir().expect("a folder");
        let images = root.path().join("docs/course/src/images");
        fs::create_dir_all(&images).expect("a folder");
        fs::write(images.join("a-light.svg"), "").expect("a file");
        let picture = |words: &str| {
            format!(
                "<picture><source media=\"(prefers-color-scheme: dark)\" srcset=\"images/a-dark.svg\">\
                 <img alt=\"{words}\" src=\"images/a-light.svg\"></picture>\n"
            )
        };
        let page = chapter(&picture("How an image lies in memory"));
        assert!(pictures(root.path(), &page)[0].contains("images/a-dark.svg is not there"));
        fs::write(images.join("a-dark.svg"), "").expect("a file");
        assert_eq!(pictures(root.path(), &page), [""; 0]);
        assert!(pictures(root.path(), &chapter(&picture("")))[0].contains("no `alt`"));
    }
}
