//! Where a client's connection stands between requests and answers: what of it may be given to another instance.
//!
//! It follows HTTP/1.1 as long as it is certain what is said. On anything else it gives up for the rest of the
//! connection, which is then relayed as it is.

use super::head::{self, AnswerHead, RequestFacts, RequestHead};

/// Most bytes of a request that are kept to be repeated.
pub const REQUEST_BYTES_MAX: usize = 4 * 1024;
/// Most bytes of an answer's head that are looked at.
pub const ANSWER_HEAD_BYTES_MAX: usize = 4 * 1024;

/// What becomes of a connection whose instance has ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rescue {
    /// Nothing is under way: another instance gets the next request.
    Detach,
    /// Another instance gets what has been sent since the last answer.
    Repeat,
    /// The client is told of the end.
    None,
}

/// The state of a connection.
#[derive(Debug, Default)]
pub struct Exchange {
    phase: Phase,
    /// What has come of a request that has no answer yet, or of the head of an answer.
    kept: Vec<u8>,
    /// Whether a request has been answered.
    has_answered: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// No request is under way.
    #[default]
    Idle,
    /// A request's head is coming; all of it is kept.
    Head,
    /// So many bytes of the request are still to come; only what is repeatable is kept.
    Body(RequestFacts, u64),
    /// The answer's head is coming.
    AnswerHead(RequestFacts),
    /// So many bytes of the answer are still to come.
    AnswerBody { left: u64, is_persistent: bool },
    /// It is not known what is said.
    Unknown,
}

impl Exchange {
    /// The client has sent this.
    pub fn sent(&mut self, bytes: &[u8]) {
        let (bytes_count, kept) = (bytes.len() as u64, self.kept.len());
        match self.phase {
            Phase::Idle | Phase::Head if kept + bytes.len() <= REQUEST_BYTES_MAX => {
                self.kept.extend_from_slice(bytes);
                self.look_at_request();
            }
            Phase::Body(facts, left) if bytes_count <= left => {
                self.phase = Phase::Body(facts, left - bytes_count);
            }
            // Too much, or the next request before the answer to the last one.
            _ => self.give_up(),
        }
    }

    fn look_at_request(&mut self) {
        match head::request(&self.kept) {
            RequestHead::Partial => self.phase = Phase::Head,
            RequestHead::Whole(facts) => match facts.bytes.checked_sub(self.kept.len() as u64) {
                Some(left) => {
                    self.phase = Phase::Body(facts, left);
                    if !facts.is_repeatable {
                        self.kept.clear();
                    }
                }
                None => self.give_up(),
            },
            RequestHead::Unknown => self.give_up(),
        }
    }

    /// The instance has answered this.
    pub fn answered(&mut self, bytes: &[u8]) {
        match self.phase {
            Phase::Body(facts, 0) => {
                self.kept.clear();
                self.look_at_answer(facts, bytes);
            }
            Phase::AnswerHead(facts) => self.look_at_answer(facts, bytes),
            Phase::AnswerBody { left, is_persistent } => {
                self.advance(left.checked_sub(bytes.len() as u64), is_persistent);
            }
            // It answers what has not been asked, or not in full.
            Phase::Idle | Phase::Head | Phase::Body(..) | Phase::Unknown => self.give_up(),
        }
    }

    fn look_at_answer(&mut self, request: RequestFacts, bytes: &[u8]) {
        // A head comes in one piece, as a rule; then it need not be kept.
        let total = (self.kept.len() + bytes.len()) as u64;
        let head = if self.kept.is_empty() {
            head::answer(bytes)
        } else if total <= ANSWER_HEAD_BYTES_MAX as u64 {
            self.kept.extend_from_slice(bytes);
            head::answer(&self.kept)
        } else {
            AnswerHead::Unknown
        };
        match head {
            AnswerHead::Partial if total <= ANSWER_HEAD_BYTES_MAX as u64 => {
                if self.kept.is_empty() {
                    self.kept.extend_from_slice(bytes);
                }
                self.phase = Phase::AnswerHead(request);
            }
            AnswerHead::Whole(facts) => {
                self.kept.clear();
                let body_bytes = if request.is_head { 0 } else { facts.body_bytes };
                let left = facts.head_bytes.checked_add(body_bytes).and_then(|all| all.checked_sub(total));
                self.advance(left, request.is_persistent && facts.is_persistent);
            }
            AnswerHead::Partial | AnswerHead::Unknown => self.give_up(),
        }
    }

    /// So much of an answer's body is left; none when more has come than it may have.
    fn advance(&mut self, left: Option<u64>, is_persistent: bool) {
        match left {
            Some(0) if is_persistent => {
                self.has_answered = true;
                self.phase = Phase::Idle;
            }
            Some(left) if left > 0 => self.phase = Phase::AnswerBody { left, is_persistent },
            // The connection's end is part of this answer.
            _ => self.give_up(),
        }
    }

    fn give_up(&mut self) {
        self.kept = Vec::new();
        self.phase = Phase::Unknown;
    }

    /// What is to be done when the instance ends the connection now.
    pub fn rescue(&self) -> Rescue {
        match self.phase {
            Phase::Idle => Rescue::Detach,
            // Nobody acts on a request whose head is not whole.
            Phase::Head if is_repeatable_method(&self.kept) => Rescue::Repeat,
            Phase::Body(facts, 0) if facts.is_repeatable => Rescue::Repeat,
            _ => Rescue::None,
        }
    }

    /// What another instance is to be sent.
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Whether a request is under way that has no whole answer.
    pub fn is_under_way(&self) -> bool {
        !matches!(self.phase, Phase::Idle | Phase::Unknown)
    }

    /// Whether a request has been answered on this connection.
    pub fn has_answered(&self) -> bool {
        self.has_answered
    }
}

fn is_repeatable_method(head: &[u8]) -> bool {
    [&b"GET "[..], b"HEAD "].iter().any(|method| {
        let common = method.len().min(head.len());
        head[..common] == method[..common]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const POST: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nvote=a";
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    fn after(pieces: &[(bool, &[u8])]) -> Exchange {
        let mut exchange = Exchange::default();
        for (is_sent, bytes) in pieces {
            if *is_sent { exchange.sent(bytes) } else { exchange.answered(bytes) }
        }
        exchange
    }

    fn rescue(pieces: &[(bool, &[u8])]) -> Rescue {
        after(pieces).rescue()
    }

    #[test]
    fn a_get_is_repeated_until_the_first_byte_of_its_answer() {
        assert_eq!(rescue(&[]), Rescue::Detach);
        for end in 1..=GET.len() {
            let exchange = after(&[(true, &GET[..end])]);
            assert_eq!((exchange.rescue(), exchange.kept()), (Rescue::Repeat, &GET[..end]));
        }
        assert_eq!(rescue(&[(true, GET), (false, b"H")]), Rescue::None);
    }

    #[test]
    fn nothing_is_under_way_when_an_answer_is_whole_however_it_is_cut() {
        for cut in 1..ANSWER.len() {
            let (one, other) = ANSWER.split_at(cut);
            let pieces = [(true, GET), (false, one), (false, other)];
            assert_eq!(rescue(&pieces), Rescue::Detach, "{cut}");
            assert_eq!(rescue(&pieces[..2]), Rescue::None, "{cut}");
            let again = [&pieces[..], &[(true, GET)]].concat();
            assert_eq!((rescue(&again), after(&again).kept()), (Rescue::Repeat, GET), "{cut}");
        }
    }

    #[test]
    fn a_post_is_never_repeated_and_a_get_after_it_is() {
        for end in 1..=POST.len() {
            assert_eq!(rescue(&[(true, &POST[..end])]), Rescue::None, "{end}");
        }
        assert_eq!(rescue(&[(true, POST), (false, ANSWER)]), Rescue::Detach);
        assert_eq!(rescue(&[(true, POST), (false, ANSWER), (true, GET)]), Rescue::Repeat);
    }

    #[test]
    fn an_answer_to_head_has_no_body() {
        let head = b"HEAD / HTTP/1.1\r\n\r\n";
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(rescue(&[(true, head)]), Rescue::Repeat);
        assert_eq!(rescue(&[(true, head), (false, answer)]), Rescue::Detach);
    }

    #[test]
    fn the_end_of_a_connection_that_is_to_close_is_passed_on() {
        let closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(rescue(&[(true, GET), (false, closing)]), Rescue::None);
        let once = b"GET / HTTP/1.0\r\n\r\n";
        assert_eq!(rescue(&[(true, once), (false, ANSWER)]), Rescue::None);
        assert_eq!(rescue(&[(true, once)]), Rescue::Repeat);
    }

    #[test]
    fn what_is_not_certain_is_passed_on_as_it_is() {
        let large = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'a'; REQUEST_BYTES_MAX]].concat();
        let long_answer = [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &[b'a'; ANSWER_HEAD_BYTES_MAX]].concat();
        for pieces in [
            vec![(true, large.as_slice())],
            vec![(true, GET), (true, GET)],
            vec![(true, GET), (false, long_answer.as_slice())],
            vec![(true, GET), (false, b"HTTP/1.1 200 OK\r\n\r\n")],
            vec![(true, GET), (false, ANSWER), (false, b"more")],
            vec![(true, GET), (false, &ANSWER[..40]), (true, GET)],
            vec![(true, &GET[..10]), (false, ANSWER)],
            vec![(true, &POST[..40]), (false, ANSWER)],
            vec![(true, b"*1\r\n$4\r\nPING\r\n")],
            vec![(true, b"\x16\x03\x01\x00")],
            vec![(false, b"220 ready\r\n")],
        ] {
            assert_eq!(rescue(&pieces), Rescue::None, "{pieces:?}");
            let later = [&pieces[..], &[(true, GET)]].concat();
            assert_eq!(rescue(&later), Rescue::None, "{pieces:?}");
            assert!(after(&later).kept().is_empty());
        }
        // Two at once: the second could be about what the first one does.
        assert_eq!(rescue(&[(true, &GET.repeat(2))]), Rescue::None);
    }
}
