//! A report as data: sections of paragraphs, tables, charts and logs. Renderers know nothing else of a run.

use super::chart::{Chart, Colour};
use super::labels;
use crate::record::Execution;

/// What a cell without a figure says.
pub const NONE: &str = "–";

/// A whole report.
pub struct Document {
    pub title: &'static str,
    /// The answer in sentences.
    pub answer: Vec<String>,
    /// What it is from, in one line.
    pub facts: String,
    /// What stands in the way of reading it.
    pub warnings: Vec<&'static str>,
    pub sections: Vec<Section>,
    pub footer: String,
}

/// A part of a report under a heading of its own.
#[derive(Default)]
pub struct Section {
    /// Its name in links, and in the navigation, where it is listed there.
    pub link: Option<(&'static str, &'static str)>,
    pub title: String,
    /// What is compared with what, for a section of two substrates.
    pub pairing: Option<Pairing>,
    pub blocks: Vec<Block>,
}

/// What two substrates run on, and whether that is the same.
pub struct Pairing {
    pub name: String,
    pub alike: bool,
}

impl Pairing {
    pub fn new(own: Execution, other: Execution) -> Self {
        let (name, other_name) = (labels::execution(own), labels::execution(other));
        let alike = own.is_emulated() == other.is_emulated();
        let name = match own == other {
            true => format!("like with like, both {name}"),
            false => format!("{name} against {other_name}"),
        };
        Self { name, alike }
    }
}

/// A piece of a section.
pub enum Block {
    Heading(&'static str),
    Paragraph(String),
    /// A paragraph that says that there is nothing to say.
    Faint(&'static str),
    Warning(String),
    List(Vec<String>),
    Table(Table),
    /// Only a page can show them.
    Charts(Vec<Chart>),
    /// What a program said, under a line that sums it up.
    Log {
        summary: String,
        text: String,
    },
    /// What a page shows only when it is asked for. `minor` is what a document in Markdown leaves out.
    Fold {
        summary: String,
        blocks: Vec<Block>,
        minor: bool,
    },
    /// Notes by their number, from 1.
    Notes(Vec<String>),
}

/// How a page shows a table.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    #[default]
    Rows,
    /// A card for each row, for a few figures that are read from afar: its columns are two figures, their ratio, its
    /// interval and a goal.
    Cards,
}

/// Rows of cells.
#[derive(Default)]
pub struct Table {
    pub title: String,
    /// What runs all of its rows, where that is one thing.
    pub execution: Option<Execution>,
    /// What a reader should know of all its figures.
    pub about: String,
    pub form: Form,
    /// The first is that of the rows' names.
    pub columns: Vec<Column>,
    pub groups: Vec<Group>,
}

/// Rows that run alike, or all rows.
pub struct Group {
    pub execution: Option<Execution>,
    pub rows: Vec<Row>,
}

pub struct Column {
    pub title: String,
    /// Whether it has words in it, not figures.
    pub is_text: bool,
    /// What several columns have in common, and which execution that is.
    pub over: Option<(Execution, String)>,
}

/// Its last cell goes on to the end where there are fewer of them than columns.
pub struct Row {
    pub name: TableCell,
    pub cells: Vec<TableCell>,
}

/// Whether something is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    Better,
    Worse,
    Same,
}

/// A figure or a few words.
#[derive(Clone, Default)]
pub struct TableCell {
    pub text: String,
    /// What belongs to it and matters less, such as a figure's spread.
    pub detail: String,
    pub tone: Tone,
    /// The colour that charts have for it.
    pub colour: Option<Colour>,
    /// Numbers of its notes.
    pub notes: Vec<usize>,
    /// How many samples did not count.
    pub voided: usize,
}

impl Table {
    /// A table of one group, whose first columns have words in them.
    pub fn plain(title: &str, words: &[&str], figures: &[&str], rows: Vec<Row>) -> Self {
        let words = words.iter().map(|title| Column::text(*title));
        let columns = words.chain(figures.iter().map(|title| Column::figure(*title))).collect();
        let groups = vec![Group { execution: None, rows }];
        Self { title: title.to_owned(), columns, groups, ..Self::default() }
    }

    /// Whether rows that run alike are together.
    pub fn is_grouped(&self) -> bool {
        self.groups.iter().any(|group| group.execution.is_some())
    }
}

impl Column {
    pub fn text(title: impl Into<String>) -> Self {
        Self { title: title.into(), is_text: true, over: None }
    }

    pub fn figure(title: impl Into<String>) -> Self {
        Self { title: title.into(), is_text: false, over: None }
    }
}

impl Row {
    pub fn new(name: impl Into<TableCell>, cells: impl IntoIterator<Item = TableCell>) -> Self {
        Self { name: name.into(), cells: cells.into_iter().collect() }
    }
}

impl<T: Into<String>> From<T> for TableCell {
    fn from(text: T) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// Items by what runs their instructions, guests before processes; within that in their order.
pub fn by_execution<T>(items: impl IntoIterator<Item = (Execution, T)>) -> Vec<(Execution, Vec<T>)> {
    let mut groups =
        [Execution::Emulated, Execution::Accelerated, Execution::Native].map(|of| (of, Vec::new()));
    for (execution, item) in items {
        if let Some((_, group)) = groups.iter_mut().find(|(of, _)| *of == execution) {
            group.push(item);
        }
    }
    groups.into_iter().filter(|(_, group)| !group.is_empty()).collect()
}
