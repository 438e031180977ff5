//! Header lines as places in the input: they can be kept, and used for the same bytes when those come again.

/// Header lines of the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Headers<'a> {
    pub input: &'a [u8],
    pub lines: &'a [Line],
}

impl<'a> Headers<'a> {
    /// The values of those called `name`; letter case does not matter.
    #[inline]
    pub fn named(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.lines.iter().filter_map(move |line| line.value_of(name.as_bytes(), self.input))
    }
}

/// Where a header line stands in the input, which begins with its head: places and lengths in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    name: Place,
    value: Place,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    at: u16,
    bytes: u16,
}

impl Line {
    /// That of a line which `httparse` has found in the input.
    pub fn of(header: &httparse::Header<'_>, input: &[u8]) -> Self {
        Self { name: Place::of(header.name.as_bytes(), input), value: Place::of(header.value, input) }
    }

    /// The value, if the line has this name; letter case does not matter.
    #[inline]
    pub fn value_of<'a>(self, name: &[u8], input: &'a [u8]) -> Option<&'a [u8]> {
        // Most names differ in their lengths.
        let is_named = usize::from(self.name.bytes) == name.len()
            && self.name.of_input(input).eq_ignore_ascii_case(name);
        is_named.then(|| self.value.of_input(input))
    }
}

impl Place {
    /// That of a part of the input, which is within a head: `HEAD_BYTES_MAX` is less than 2^16.
    fn of(part: &[u8], input: &[u8]) -> Self {
        let at = part.as_ptr().addr() - input.as_ptr().addr();
        Self { at: at as u16, bytes: part.len() as u16 }
    }

    fn of_input(self, input: &[u8]) -> &[u8] {
        let at = usize::from(self.at);
        input.get(at..at + usize::from(self.bytes)).unwrap_or_default()
    }
}
