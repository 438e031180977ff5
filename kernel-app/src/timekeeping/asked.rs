//! The host's time, requested over the serial line from the tool that started the machine.
//!
//! A question is a line with one control character. The answer is another control character and the microseconds
//! since 1970. It does not matter how late the guest reads the answer, because it contains the time at which the
//! question arrived. The caller reads and writes the lines.

use core::time::Duration;

use wire::Instant;

/// The question: Enquiry (ECMA-48).
pub const QUESTION: &str = "\x05\n";
/// What an answer begins with: Acknowledge. So many hexadecimal digits follow.
const ANSWER: u8 = 0x06;
const DIGITS: u32 = 14;
/// How often is asked, and how long it is waited after an answer. Whoever answers may have been late; the answer that
/// was least so counts.
const QUESTIONS: u32 = 4;
const INTERVAL: Duration = Duration::from_millis(150);

/// Reads an answer byte by byte.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerReader {
    digits_left: u32,
    micros: u64,
}

impl AnswerReader {
    /// Takes the next byte; what breaks an answer off ends it.
    pub fn take(&mut self, byte: u8) -> Option<Duration> {
        if byte == ANSWER {
            *self = Self { digits_left: DIGITS, micros: 0 };
            return None;
        }
        let digit = char::from(byte).to_digit(16).filter(|_| self.digits_left > 0);
        let Some(digit) = digit else {
            *self = Self::default();
            return None;
        };
        self.micros = self.micros << 4 | u64::from(digit);
        self.digits_left -= 1;
        (self.digits_left == 0).then_some(Duration::from_micros(self.micros))
    }
}

/// Some questions after each other.
#[derive(Clone, Copy, Debug)]
pub struct Questions {
    left: u32,
    ask_at: Instant,
    /// When the one was asked whose answer has not come. Without an answer there is no other question: nobody is there.
    asked_at: Option<Instant>,
    /// The least time of the host at the counter's zero that the answers give.
    at_zero: Option<Duration>,
}

impl Questions {
    /// The first is asked at once.
    pub const fn new(now: Instant) -> Self {
        Self { left: QUESTIONS, ask_at: now, asked_at: None, at_zero: None }
    }

    /// Whether somebody has answered, and nothing is asked just now.
    pub fn is_answered(&self) -> bool {
        self.at_zero.is_some() && self.asked_at.is_none()
    }

    /// When the next one is to be asked, if it is known.
    pub fn ask_at(&self) -> Option<Instant> {
        (self.left > 0 && self.asked_at.is_none()).then_some(self.ask_at)
    }

    /// Whether to ask now; then it is asked.
    pub fn ask(&mut self, now: Instant) -> bool {
        let is_due = self.ask_at().is_some_and(|at| at <= now);
        if is_due {
            self.asked_at = Some(now);
            self.left -= 1;
        }
        is_due
    }

    /// An answer: what the host's time is `now`, as far as is known.
    pub fn answer(&mut self, told: Duration, now: Instant) -> Option<Duration> {
        let asked_at = self.asked_at.take()?;
        self.ask_at = now + INTERVAL;
        let at_zero = told.checked_sub(asked_at.since(Instant::ZERO))?;
        let at_zero = self.at_zero.map_or(at_zero, |best| best.min(at_zero));
        self.at_zero = Some(at_zero);
        Some(at_zero + now.since(Instant::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use super::*;

    fn read(bytes: &[u8]) -> Vec<Duration> {
        let mut reader = AnswerReader::default();
        bytes.iter().filter_map(|byte| reader.take(*byte)).collect()
    }

    #[test]
    fn answers_are_read_and_nothing_else() {
        let time = Duration::from_micros(1_795_907_555_928_065);
        assert_eq!(read(b"\x060661613ac0a201"), [Duration::from_micros(0x06_6161_3ac0_a201)]);
        let answer = format!("\x06{:014x}", time.as_micros());
        assert_eq!(read(answer.as_bytes()), [time]);
        assert_eq!(read(format!("x\x0612{answer}7{answer}").as_bytes()), [time, time]);
        for nonsense in ["", "0661613ac0a201", "\x0606616\x04ac0a201", "\x0606616 3ac0a201"] {
            assert_eq!(read(nonsense.as_bytes()), [], "{nonsense:?}");
        }
    }

    #[test]
    fn the_answer_that_was_least_late_counts_however_late_it_is_read() {
        let start = Duration::from_secs(1_700_000_000);
        let mut now = Instant::from_millis(100);
        let mut questions = Questions::new(now);
        let mut error = Duration::MAX;
        for (asked, (late_ms, read_ms)) in [(30, 200), (2, 700), (9, 10), (50, 51)].into_iter().enumerate() {
            assert!(questions.ask(now) && !questions.ask(now), "question {asked}");
            let told = start + now.since(Instant::ZERO) + Duration::from_millis(late_ms);
            now = now + Duration::from_millis(read_ms);
            let right = questions.answer(told, now).expect("an answer");
            error = right - (start + now.since(Instant::ZERO));
            assert_eq!(questions.answer(told, now), None, "one question, one answer");
            assert!(questions.is_answered());
            now = questions.ask_at().unwrap_or(now);
        }
        assert_eq!(error, Duration::from_millis(2));
        assert_eq!(questions.ask_at(), None);
    }

    #[test]
    fn without_an_answer_nobody_is_asked_again() {
        let mut questions = Questions::new(Instant::ZERO);
        assert!(questions.ask(Instant::from_millis(1)));
        assert_eq!(questions.ask_at(), None);
        assert!(!questions.ask(Instant::from_millis(100_000)) && !questions.is_answered());
        assert!(QUESTION.ends_with('\n') && QUESTION.chars().all(char::is_control), "no word of a log");
    }
}
