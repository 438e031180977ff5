//! A step that looks at an answer in `answer.toml`.

use anyhow::Result;
use toml::{Table, Value};

use crate::exercise::format::{Answer, Description};
use crate::exercise::tree::Tree;
use crate::judge::bench::Bench;
use crate::judge::figure;
use crate::judge::verdict::Fault;

/// The file of answers.
const FILE: &str = "answer.toml";
/// An answer that is still open.
const OPEN: &str = "?";

/// Compares an answer with the right one.
///
/// # Errors
/// When a figure cannot be measured.
pub fn judge(bench: &Bench<'_>, step: &Answer) -> Result<Option<Fault>> {
    let answers = match read(&bench.work, &bench.exercise.description) {
        Ok(answers) => answers,
        Err(fault) => return Ok(Some(fault)),
    };
    let value = match given(&answers, &step.key, &step.question) {
        Ok(value) => value,
        Err(fault) => return Ok(Some(fault)),
    };
    let figure = match (&step.figure, step.tolerance_percent) {
        (Some(name), Some(percent)) => Some((figure::measure(bench, name)?, percent)),
        _ => None,
    };
    Ok(if is_right(step, value, figure) { None } else { Some(wrong(step, value)) })
}

/// The answers, all of known keys.
fn read(work: &Tree, description: &Description) -> Result<Table, Fault> {
    let well_formed = format!("{FILE} with a line `key = value` for each answer");
    let text = work.text(FILE).ok_or_else(|| Fault::new(&well_formed, "no such file"))?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
        Fault::new(&well_formed, format!("`{}` in line {line}", error.message()))
    })?;
    let keys = description.answer_keys();
    match table.keys().find(|key| !keys.contains(key.as_str())) {
        Some(unknown) => {
            let keys: Vec<&str> = keys.into_iter().collect();
            Err(Fault::new(format!("the keys {} in {FILE}", keys.join(", ")), format!("the key {unknown}")))
        }
        None => Ok(table),
    }
}

/// The answer to a question.
fn given<'a>(answers: &'a Table, key: &str, question: &str) -> Result<&'a Value, Fault> {
    let line = format!("{question} as `{key}` in {FILE}");
    match answers.get(key) {
        None => Err(Fault::new(line, "no such line")),
        Some(Value::String(text)) if text.trim() == OPEN => Err(Fault::new(line, "no answer yet")),
        Some(value) => Ok(value),
    }
}

fn is_right(step: &Answer, value: &Value, figure: Option<(f64, f64)>) -> bool {
    let in_range = |least: f64, most: f64| number(value).is_some_and(|value| least <= value && value <= most);
    if let Some((right, percent)) = figure {
        let far = (right * percent / 100.0).abs();
        return in_range(right - far, right + far);
    }
    match (&step.equals, step.between, &step.one_of) {
        (Some(right), ..) => is_same(value, right),
        (_, Some([least, most]), _) => in_range(least, most),
        (.., Some(right)) => right.iter().any(|right| is_same(value, right)),
        _ => false,
    }
}

fn wrong(step: &Answer, value: &Value) -> Fault {
    let shown = plain(value);
    let known = step.wrong.iter().find(|(known, _)| simple(known) == simple(&shown));
    let why = known.map_or_else(|| "which is not right".to_owned(), |(_, why)| why.clone());
    Fault::new(format!("{} (`{}`)", step.question, step.key), format!("{shown}: {why}"))
}

fn is_same(value: &Value, right: &Value) -> bool {
    match (number(value), number(right)) {
        (Some(value), Some(right)) => value == right,
        _ => simple(&plain(value)) == simple(&plain(right)),
    }
}

/// A number, also in quotes.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::String(text) => text.trim().replace(['_', ','], "").parse().ok(),
        _ => None,
    }
}

/// A value without the quotes around a text.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn simple(text: &str) -> String {
    text.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::verdict::{Style, Verdict};

    const HEAD: &str = "title = \"t\"\ngrade = \"easy\"\ngoal = \"g\"\nread = \"r\"\nminutes = 1\n\
        hints = [\"a\", \"b\"]\n[[step]]\nkind = \"answer\"\nkey = \"idle\"\nquestion = \"the number of x\"\n";

    fn said(step: &str, file: &str) -> String {
        let description = Description::parse(&format!("{HEAD}{step}")).expect("well formed");
        let Some(crate::exercise::format::Step::Answer(answer)) = description.steps.first() else {
            return String::new();
        };
        let mut work = Tree::default();
        work.insert(FILE, file.as_bytes().to_vec());
        let found = read(&work, &description)
            .and_then(|answers| given(&answers, "idle", &answer.question).cloned())
            .and_then(
                |value| if is_right(answer, &value, None) { Ok(()) } else { Err(wrong(answer, &value)) },
            );
        match found {
            Ok(()) => "right".to_owned(),
            Err(fault) => Verdict::NotYet(fault, String::new()).line("n", Style::Plain),
        }
    }

    #[test]
    fn answers_are_compared_as_people_mean_them() {
        let step = "equals = 691445\n";
        for file in ["idle = 691445", "idle = \"691,445\"", "idle = 691_445", "idle = 691445.0"] {
            assert_eq!(said(step, file), "right", "{file}");
        }
        assert_eq!(said("one_of = [\"hlt\", \"mwait\"]", "idle = \" HLT \""), "right");
        assert_eq!(said("between = [2, 5]", "idle = 5"), "right");
        assert!(said("between = [2, 5]", "idle = 6").contains("came 6: which is not right"));
    }

    #[test]
    fn a_typical_wrong_answer_is_explained_and_the_right_one_kept_secret() {
        let text = said("equals = 3\nwrong = { \"2\" = \"2 counts only the others\" }", "idle = 2");
        assert_eq!(text, "n: not yet: expected the number of x (`idle`); came 2: 2 counts only the others");
        assert!(!said("equals = 37", "idle = 36").contains("37"));
    }

    #[test]
    fn a_file_that_is_none_is_told_with_its_line_or_key() {
        assert!(
            said("equals = 3", "idle = 3\nx = [\n").contains("in line 2"),
            "{}",
            said("equals = 3", "idle = 3\nx = [\n")
        );
        assert!(
            said("equals = 3", "idel = 3")
                .contains("expected the keys idle in answer.toml; came the key idel")
        );
        assert!(said("equals = 3", "").contains("came no such line"));
        assert!(said("equals = 3", "idle = \"?\"").contains("came no answer yet"));
    }
}
