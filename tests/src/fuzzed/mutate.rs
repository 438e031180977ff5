//! Inputs made of a corpus by chance, with a seed that decides all of it.
//!
//! Knows nothing of coverage; `cargo fuzz` does.

/// Most changes to one input.
const CHANGES_MAX: usize = 6;
/// Longest input that is made.
const INPUT_BYTES_MAX: usize = 4 * 1024;
/// What parsers look for.
const WORDS: [&[u8]; 20] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b":",
    b"=",
    b" ",
    b"\"",
    b"'",
    b"\\",
    b"-1",
    b"0",
    b"18446744073709551616",
    b"Content-Length: 1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"HTTP/1.1",
    b"*1\r\n",
    b"$-1\r\n",
    b"--",
    b"\xff",
];

/// Makes inputs without end.
pub struct Mutator {
    corpus: Vec<Vec<u8>>,
    state: u64,
}

impl Mutator {
    /// Of this corpus, which must not be empty.
    pub fn new(corpus: Vec<Vec<u8>>, seed: u64) -> Self {
        Self { corpus, state: seed | 1 }
    }

    /// The next input.
    pub fn input(&mut self) -> Vec<u8> {
        let mut input = self.pick().clone();
        for _ in 0..=self.below(CHANGES_MAX) {
            self.change(&mut input);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = (at + self.below(16)).min(input.len());
        match self.below(6) {
            0 => drop(input.drain(at..end)),
            1 => drop(input.splice(at..at, WORDS[self.below(WORDS.len())].iter().copied())),
            2 => {
                let copy = input[at..end].to_vec();
                drop(input.splice(at..at, copy));
            }
            3 => {
                let other = self.pick().clone();
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend(&other[from..]);
            }
            4 => input.insert(at, self.below(256) as u8),
            _ => {
                let byte = self.below(256) as u8;
                if let Some(place) = input.get_mut(at) {
                    *place = byte;
                }
            }
        }
    }

    fn pick(&mut self) -> &Vec<u8> {
        let index = self.below(self.corpus.len());
        &self.corpus[index]
    }

    /// xorshift64* (Vigna 2016).
    fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        ((self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end.max(1) as u64) as usize
    }
}
