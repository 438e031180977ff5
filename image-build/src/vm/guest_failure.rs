//! Lines on a guest's serial line that say that it cannot continue.
//!
//! Some faults of the kernel leave the machine idle for ever, so a failing status is not enough. Only lines that
//! begin like the final messages of the kernel, the loader and the program count, so the output of a healthy program
//! is never taken for a fault.

/// Longest part of a fault that is repeated to the user, in bytes.
const FAULT_BYTES_MAX: usize = 400;

/// Beginning of the loader's lines, which it writes only when it fails.
const LOADER_FAULT: &str = "[LOADER] error: ";

/// Beginnings of the program's own last words, from kernel-app's panic and fault handlers.
const PROGRAM_FAULTS: [&str; 2] = ["PANIC: ", "FAULT: "];

/// Lines around a program's last words that say nothing: they are of panics in Rust, also of one thread that has
/// waited for another.
const AFTERTHOUGHTS: [&str; 5] = [
    "note: run with `RUST_BACKTRACE",
    "note: Some details are omitted",
    "thread '",
    "stack backtrace:",
    "called `Result::unwrap()` on an `Err` value: Any ",
];

/// The last of a program's lines that says something.
pub fn last_words<'a>(lines: impl DoubleEndedIterator<Item = &'a str>) -> Option<&'a str> {
    let says = |line: &&str| !line.is_empty() && !AFTERTHOUGHTS.iter().any(|words| line.starts_with(words));
    let line = lines.rev().map(str::trim).find(says)?;
    Some(&line[..line.floor_char_boundary(FAULT_BYTES_MAX)])
}

/// Remembers the first fault of a serial line, and its last words.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    first: Option<String>,
    last: Option<String>,
}

impl Watch {
    /// Looks at a line and says whether it is a fault.
    pub fn line(&mut self, line: &[u8]) -> bool {
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        self.last = last_words([text].into_iter()).map(str::to_owned).or_else(|| self.last.take());
        let found = is_fault(text);
        if found && self.first.is_none() {
            let end = text.floor_char_boundary(FAULT_BYTES_MAX);
            self.first = Some(text[..end].to_owned());
        }
        found
    }

    /// The last line that said something, if there was one.
    pub fn last_words(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// The first fault, if there was one.
    pub fn first_fault(&self) -> Option<&str> {
        self.first.as_deref()
    }
}

fn is_fault(line: &str) -> bool {
    if line.starts_with(LOADER_FAULT) || PROGRAM_FAULTS.iter().any(|fault| line.starts_with(fault)) {
        return true;
    }
    // The kernel writes `[core][LEVEL] text`, and names an exception as in `Page fault (#PF)!`.
    let Some(core_end) = line.find("][").filter(|_| line.starts_with('[')) else { return false };
    let (core, text) = (&line[1..core_end], &line[core_end + 1..]);
    let exception = text.starts_with("[ERROR] ") && text.contains("(#");
    core.bytes().all(|byte| byte.is_ascii_digit()) && (text.starts_with("[PANIC]") || exception)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_and_loader_faults_are_noticed() {
        for line in [
            "[0][PANIC] panicked at src/mm/mod.rs:99:9:",
            "[0][ERROR] Page fault (#PF)!",
            "[0][ERROR] General protection fault (#GP) Exception: x",
            "[LOADER] error: there is no program in this file",
            "PANIC: panicked at vote-service/src/lib.rs:1:1: x",
            "FAULT: page fault at image+0x10 (rip 0x200010), address 0x0, error code 0x2, stack 0x0",
        ] {
            assert!(is_fault(line), "{line}");
        }
    }

    #[test]
    fn what_programs_write_is_no_fault() {
        for line in [
            "",
            "[",
            "[0]",
            "[a][PANIC] from a program",
            "the PANIC: of others",
            "vote: POST / with [PANIC] in a form",
            "[0][ERROR] could not parse bootarg: x",
            "2026-01-01T00:00:00Z ERROR vote: Page fault",
        ] {
            assert!(!is_fault(line), "{line}");
        }
    }

    #[test]
    fn last_words_are_the_last_that_say_something() {
        let panic = "thread 'main' panicked at src/main.rs:1:1:\nError: no KVM\nnote: run with `RUST_BACKTRACE=1` x\n\n";
        assert_eq!(last_words(panic.lines()), Some("Error: no KVM"));
        let main = "thread 'main' panicked at src/vm.rs:638:23:\ncalled `Result::unwrap()` on an `Err` value: Any { .. }";
        assert_eq!(last_words(format!("{panic}{main}\n").lines()), Some("Error: no KVM"));
        assert_eq!(last_words("\n \n".lines()), None);
        assert_eq!(last_words("x".repeat(1000).lines()).map(str::len), Some(FAULT_BYTES_MAX));
    }

    #[test]
    fn the_first_fault_is_the_one_to_tell() {
        let mut watch = Watch::default();
        assert!(!watch.line(b"hello\n"));
        assert!(watch.line(b"[0][ERROR] Page fault (#PF)!\r\n"));
        assert!(watch.line(b"[0][PANIC] later\n"));
        assert_eq!(watch.first_fault(), Some("[0][ERROR] Page fault (#PF)!"));
        assert!(!watch.line(b"\n"));
        assert_eq!(watch.last_words(), Some("[0][PANIC] later"));
    }
}
