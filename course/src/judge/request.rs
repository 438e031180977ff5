//! A request to a guest, and what must come back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::exercise::format::Request;
use crate::judge::verdict::Fault;

/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// How long an answer may take, once there is a connection.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long one read waits.
const READ_LIMIT: Duration = Duration::from_millis(100);
/// Time between two tries of a guest that does not listen yet. QEMU accepts connections before it does.
const PAUSE: Duration = Duration::from_millis(50);
/// How much of an answer is told.
const SHOWN_CHARS_MAX: usize = 200;

/// Asks until something comes back, at most until `deadline`.
pub fn ask(address: SocketAddrV4, request: &Request, deadline: Instant) -> Result<(), Fault> {
    loop {
        let answer = once(address, request, deadline);
        if !answer.is_empty() {
            return compare(request, &answer);
        }
        if Instant::now() >= deadline {
            return Err(Fault::new(expected(request), "no answer"));
        }
        thread::sleep(PAUSE);
    }
}

/// What comes back on one connection; nothing, if there is none.
fn once(address: SocketAddrV4, request: &Request, deadline: Instant) -> String {
    let asked = Connection::open(address).and_then(|mut connection| {
        connection.send(&request.bytes("close"))?;
        Ok(connection.answer(request, deadline))
    });
    asked.unwrap_or_default()
}

/// A connection that the judge opened.
pub struct Connection(TcpStream);

impl Connection {
    /// Opens one.
    ///
    /// # Errors
    /// When nobody accepts it.
    pub fn open(address: SocketAddrV4) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address.into(), ANSWER_LIMIT)?;
        stream.set_read_timeout(Some(READ_LIMIT))?;
        stream.set_write_timeout(Some(ANSWER_LIMIT))?;
        Ok(Self(stream))
    }

    /// Asks, and leaves the connection open.
    ///
    /// # Errors
    /// When what comes back is wrong, or nothing.
    pub fn ask(&mut self, request: &Request, deadline: Instant) -> Result<(), Fault> {
        let sent = self.send(&request.bytes("keep-alive"));
        sent.map_err(|error| {
            Fault::new(expected(request), format!("{error} on a connection that was kept"))
        })?;
        compare(request, &self.answer(request, deadline))
    }

    fn send(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(text.as_bytes())
    }

    fn answer(&mut self, request: &Request, deadline: Instant) -> String {
        let deadline = deadline.min(Instant::now() + ANSWER_LIMIT);
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        while Instant::now() < deadline && bytes.len() < ANSWER_BYTES_MAX {
            match self.0.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => bytes.extend_from_slice(&buffer[..length]),
                // Silence is the end of what is right already.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if request.answer_has.is_in(&String::from_utf8_lossy(&bytes)) {
                        break;
                    }
                }
                Err(_) => break,
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn compare(request: &Request, answer: &str) -> Result<(), Fault> {
    let shown: String = answer.chars().take(SHOWN_CHARS_MAX).collect();
    if !request.answer_has.is_in(answer) {
        return Err(Fault::new(expected(request), format!("`{shown}`")));
    }
    match &request.answer_lacks {
        Some(pattern) if pattern.is_in(answer) => {
            Err(Fault::new(format!("an answer without `{}`", pattern.text()), format!("`{shown}`")))
        }
        _ => Ok(()),
    }
}

fn expected(request: &Request) -> String {
    let what = request.path.as_deref().map_or_else(
        || format!("{:?}", request.send.as_deref().unwrap_or_default()),
        |path| format!("GET {path}"),
    );
    format!("an answer with `{}` to {what} at port {}", request.answer_has.text(), request.port)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::judge::verdict::{Style, Verdict};

    fn request(toml: &str) -> Request {
        toml::from_str(toml).expect("a request")
    }

    /// What is said of a server that answers its connections so, one after the other, and closes them.
    fn said(request: &Request, answers: &'static [&'static str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("a number").port();
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("a client");
                let mut buffer = [0; 1024];
                let _ = stream.read(&mut buffer).expect("a request");
                stream.write_all(answer.as_bytes()).expect("a reader");
            }
        });
        let address = SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port);
        match ask(address, request, Instant::now() + Duration::from_secs(60)) {
            Ok(()) => "right".to_owned(),
            Err(fault) => Verdict::NotYet(fault, String::new()).line("n", Style::Plain),
        }
    }

    #[test]
    fn a_guest_that_does_not_listen_yet_is_asked_again() {
        let request = request("port = 80\npath = \"/x\"\nanswer_has = \"200 OK\"");
        assert_eq!(said(&request, &["", "HTTP/1.1 200 OK\r\n\r\n"]), "right");
    }

    #[test]
    fn a_connection_is_kept_for_the_next_request() {
        let request = request("port = 80\npath = \"/x\"\nanswer_has = \"200 OK\"");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("a number").port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut asked = Vec::new();
            for _ in 0..2 {
                let mut buffer = [0; 1024];
                let length = stream.read(&mut buffer).expect("a request");
                asked.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("a reader");
            }
            asked
        });
        let address = SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port);
        let mut connection = Connection::open(address).expect("a server");
        let deadline = Instant::now() + Duration::from_secs(60);
        assert!(connection.ask(&request, deadline).is_ok());
        assert!(connection.ask(&request, deadline).is_ok());
        let asked = server.join().expect("a server");
        assert!(asked.iter().all(|request| request.contains("Connection: keep-alive")), "{asked:?}");
        // The server has closed it.
        let Err(fault) = connection.ask(&request, deadline) else { panic!("an answer of nobody") };
        let line = Verdict::NotYet(fault, String::new()).line("n", Style::Plain);
        assert!(line.contains("an answer with `200 OK` to GET /x at port 80"), "{line}");
    }

    #[test]
    fn a_wrong_answer_is_told_with_what_was_asked() {
        let text = "port = 7\nsend = \"hi\"\nanswer_has = \"^hi$\"\nanswer_lacks = \"i\"";
        let request = request(text);
        assert_eq!(
            said(&request, &["ho"]),
            "n: not yet: expected an answer with `^hi$` to \"hi\" at port 7; came `ho`"
        );
        assert_eq!(said(&request, &["hi"]), "n: not yet: expected an answer without `i`; came `hi`");
    }
}
