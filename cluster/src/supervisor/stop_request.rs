//! The order to stop as a request on a machine's health port, for machines that hear nothing on their serial line.
//!
//! The secret is drawn for each start, and the machine has it as a setting. What an order means is the same as on the
//! serial line (`kernel_app::shutdown`): the first announces the stop, the second drains. Who stops one machine alone
//! needs one request: a plain `/stop` drains by itself after its announcement.

use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::state::HealthAddress;
use crate::state::access::Stream;

/// Setting with the secret; `kernel_app::http` compares with it.
pub const SETTING: &str = "STOP_TOKEN";
const ANNOUNCE: &str = "/stop/announce";
const STOP: &str = "/stop";
/// Bytes of a secret.
const SECRET_BYTES: usize = 16;
/// How long connecting and writing may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A new secret, in hexadecimal digits.
///
/// # Errors
/// When the system has no random numbers.
pub fn new_secret() -> Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    let mut source = File::open("/dev/urandom").context("/dev/urandom does not open")?;
    source.read_exact(&mut bytes).context("/dev/urandom gives nothing")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Who orders a machine to stop.
#[derive(Debug)]
pub struct StopRequests {
    health: HealthAddress,
    secret: String,
    /// Whether the stop has been announced: the next order drains.
    is_announced: bool,
    /// A connection that is open already.
    open: Option<Stream>,
    /// Those on which an order has been sent: their answers are not waited for.
    sent: Vec<Stream>,
}

impl StopRequests {
    /// Orders by this secret to whom this health check asks.
    pub fn new(health: HealthAddress, secret: String) -> Self {
        Self { health, secret, is_announced: false, open: None, sent: Vec::new() }
    }

    /// Connects for the next order: afterwards nobody may be let in any more.
    pub fn connect(&mut self) {
        // A machine that is not there needs no order.
        self.open = self.health.address.connect(TIMEOUT).ok();
    }

    /// Sends an order.
    pub fn send(&mut self) {
        if self.open.is_none() {
            self.connect();
        }
        let Some(mut stream) = self.open.take() else { return };
        let path = if self.is_announced { STOP } else { ANNOUNCE };
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n",
            self.health.address, self.secret
        );
        let written = stream.set_write_timeout(TIMEOUT).and_then(|()| stream.write_all(request.as_bytes()));
        // A machine that drains waits for those that are connected.
        if written.and_then(|()| stream.end_writing()).is_ok() {
            self.sent.push(stream);
            self.is_announced = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::state::access::Access;

    #[test]
    fn secrets_differ_and_are_words() {
        let (one, other) = (new_secret().expect("random numbers"), new_secret().expect("random numbers"));
        assert!(one != other && one.len() == 2 * SECRET_BYTES, "{one} {other}");
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    #[test]
    fn an_order_goes_out_on_the_connection_that_was_made_before() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = Access::Tcp(listener.local_addr().expect("an address"));
        let health = HealthAddress { address, path: "/readyz".to_owned() };
        let mut requests = StopRequests::new(health, "abc".to_owned());
        requests.connect();
        let (mut machine, _) = listener.accept().expect("a connection");
        drop(listener);
        requests.send();
        requests.send();
        drop(requests);
        let mut heard = String::new();
        machine.read_to_string(&mut heard).expect("a request");
        assert!(heard.starts_with("POST /stop/announce HTTP/1.1\r\n"), "{heard}");
        assert!(heard.contains("\r\nAuthorization: Bearer abc\r\n"), "{heard}");
        assert_eq!(heard.matches("POST").count(), 1, "nobody listens for the second");
    }
}
