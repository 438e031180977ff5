//! The elements that were moved to the processing list and are not counted yet, in the list's order.
//!
//! It sends nothing. It is one flat byte store, which allocates nothing once it is warm.

use alloc::vec::Vec;
use core::ops::Range;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element<'a> {
    /// The element's bytes.
    Payload(&'a [u8]),
    /// An element that was too large to be taken in; it is only on the processing list.
    Oversized,
}

/// Elements in the order in which they were moved. The first `settled` of them are done with.
#[derive(Debug, Default)]
pub struct FetchedEntries {
    bytes: Vec<u8>,
    elements: Vec<Option<Range<usize>>>,
    settled: usize,
}

impl FetchedEntries {
    /// How many elements are not yet settled.
    pub fn unsettled(&self) -> usize {
        self.elements.len() - self.settled
    }

    /// Adds an element that fits.
    pub fn push(&mut self, payload: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(payload);
        self.elements.push(Some(start..self.bytes.len()));
    }

    /// Adds an element that was not taken in.
    pub fn push_oversized(&mut self) {
        self.elements.push(None);
    }

    /// The unsettled element at `index`, counted from the first unsettled one.
    pub fn get(&self, index: usize) -> Option<Element<'_>> {
        let element = self.elements.get(self.settled + index)?;
        Some(
            element.as_ref().map_or(Element::Oversized, |range| Element::Payload(&self.bytes[range.clone()])),
        )
    }

    /// The first `count` unsettled elements are done with; the memory is used again once all are.
    pub fn settle(&mut self, count: usize) {
        self.settled = (self.settled + count).min(self.elements.len());
        if self.unsettled() == 0 {
            self.clear();
        }
    }

    /// Forgets all elements; they are still on the processing list.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.elements.clear();
        self.settled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_come_in_order_and_are_settled_from_the_front() {
        let mut fetched = FetchedEntries::default();
        fetched.push(b"one");
        fetched.push_oversized();
        fetched.push(b"");
        assert_eq!(fetched.unsettled(), 3);
        assert_eq!(fetched.get(0), Some(Element::Payload(b"one")));
        fetched.settle(1);
        assert_eq!((fetched.get(0), fetched.get(1)), (Some(Element::Oversized), Some(Element::Payload(b""))));
        fetched.settle(1);
        assert_eq!((fetched.get(0), fetched.get(1)), (Some(Element::Payload(b"")), None));
        fetched.settle(9);
        assert_eq!((fetched.unsettled(), fetched.get(0)), (0, None));
        assert!(fetched.bytes.is_empty() && fetched.elements.is_empty());
    }
}
