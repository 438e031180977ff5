//! A boot by stages: how many instructions each has taken, from the first one after the reset to the first answer.

use super::figures::{Figures, slug};
use super::number::grouped;

/// A stage's name, and what happens in it.
type Told = (&'static str, &'static str);

/// The stages until a program runs, in order.
const UNTIL_PROGRAM: [Told; 4] = [
    ("firmware", "the machine's own program finds the image"),
    ("loader", "64-bit mode, page tables, what the kernel must know"),
    ("kernel", "Hermit: memory, interrupts, its one task"),
    ("program", "page rights, heap, settings, clock, the services"),
];
/// What a service has after that.
const AFTER_PROGRAM: [Told; 3] = [
    ("devices", "the search for the network card, and its queues"),
    ("network", "TCP/IP, the address from a setting, the first turns"),
    ("first answer", "a connection, GET /, the page"),
];

/// A stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What it is called.
    pub name: &'static str,
    /// What happens in it.
    pub about: &'static str,
    /// How many instructions it took.
    pub instructions: u64,
}

/// A boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Its stages in order; those that a program does not have are left out.
    pub stages: Vec<Stage>,
    /// How many instructions QEMU's counter says there were until the guest rested, without the first answer.
    pub counted: Option<u64>,
}

/// A place in the code at which a stage begins.
pub type Begins<'a> = &'a dyn Fn(u64) -> bool;

impl Boot {
    /// Splits the trace of a boot where each stage but the first begins; `answer` is what followed it.
    pub fn of(trace: &[u64], begins: [Begins<'_>; 5], answer: Option<u64>, counted: Option<u64>) -> Self {
        let lengths = split(trace, &begins).into_iter().chain(answer.map(|answer| answer as usize));
        let told = UNTIL_PROGRAM.into_iter().chain(AFTER_PROGRAM);
        let stage =
            |((name, about), length): (Told, usize)| Stage { name, about, instructions: length as u64 };
        let stages = told.zip(lengths).map(stage).filter(|stage| stage.instructions > 0).collect();
        Self { stages, counted }
    }

    /// How many instructions all stages took.
    pub fn instructions(&self) -> u64 {
        self.stages.iter().map(|stage| stage.instructions).sum()
    }

    /// The figures of a service's boot.
    pub fn figures(&self, service: &str) -> Figures {
        let mut figures = Figures::default();
        let prefix = format!("boot.{service}");
        figures.add(format!("{prefix}.instructions"), self.instructions());
        if let Some(counted) = self.counted {
            figures.add(format!("{prefix}.counted"), counted);
        }
        for stage in &self.stages {
            figures.add(format!("{prefix}.{}.instructions", slug(stage.name)), stage.instructions);
        }
        figures
    }
}

/// Milliseconds that instructions take where each takes a nanosecond, as the counter's clock has it.
pub fn milliseconds(instructions: u64) -> String {
    let micros = instructions / 1000;
    match micros {
        ..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{}.{:02} ms", micros / 1000, micros % 1000 / 10),
        _ => format!("{} ms", grouped(micros / 1000)),
    }
}

/// The lengths of the parts of a trace: one before the first beginning, and one from each on. A beginning is looked for
/// behind the previous one; one that does not come has no length.
fn split(trace: &[u64], begins: &[Begins<'_>]) -> Vec<usize> {
    let mut bounds = vec![0];
    let mut found: Vec<Option<usize>> = Vec::new();
    let mut at = 0;
    for begins in begins {
        let next = trace[at..].iter().position(|address| begins(*address)).map(|offset| at + offset);
        at = next.unwrap_or(at);
        found.push(next);
    }
    for (index, bound) in found.iter().enumerate() {
        let later = found[index..].iter().flatten().next();
        bounds.push(bound.or(later.copied()).unwrap_or(trace.len()));
    }
    bounds.push(trace.len());
    bounds.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_add_up_to_the_trace_and_one_that_does_not_come_is_left_out() {
        let trace = [1, 1, 2, 3, 3, 2, 5, 5];
        let is = |wanted: u64| move |address: u64| address == wanted;
        let (two, three, four, five, six) = (is(2), is(3), is(4), is(5), is(6));
        let boot = Boot::of(&trace, [&two, &three, &four, &five, &six], Some(10), Some(8));
        let told: Vec<(&str, u64)> =
            boot.stages.iter().map(|stage| (stage.name, stage.instructions)).collect();
        let expected = [("firmware", 2), ("loader", 1), ("kernel", 3), ("devices", 2), ("first answer", 10)];
        assert_eq!(told, expected);
        assert_eq!(boot.instructions(), 18);
        assert_eq!(boot.figures("x").get("boot.x.first-answer.instructions"), Some(10));
    }

    #[test]
    fn an_instruction_is_a_nanosecond() {
        assert_eq!([1_234_567, 20_000_000, 999].map(milliseconds), ["1.23 ms", "20 ms", "0 µs"]);
    }
}
