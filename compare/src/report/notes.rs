//! Footnotes: what a reader must know of single figures, numbered from 1 in the order of the cells.

use crate::results::{Cell, Results};

/// The notes of a report.
pub struct Notes(Vec<String>);

impl Notes {
    /// All notes of the results, each once.
    pub fn new(results: &Results) -> Self {
        let mut notes: Vec<String> = Vec::new();
        for note in results.cells.iter().flat_map(|cell| &cell.notes) {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        Self(notes)
    }

    /// The numbers of a cell's notes.
    pub fn numbers(&self, cell: &Cell) -> Vec<usize> {
        let place = |note: &String| self.0.iter().position(|other| other == note);
        cell.notes.iter().filter_map(|note| Some(place(note)? + 1)).collect()
    }

    /// Each note with its number.
    pub fn all(&self) -> impl Iterator<Item = (usize, &str)> {
        self.0.iter().enumerate().map(|(index, note)| (index + 1, note.as_str()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
