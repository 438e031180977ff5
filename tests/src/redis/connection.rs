//! A connection that shows a server's replies as they came, byte by byte.
//!
//! Understands of RESP2 and RESP3 only where a reply ends.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

use crate::sockets::connect;

/// How long a server may take for one step, on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of one read.
const READ_BYTES: usize = 64 * 1024;

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    taken: usize,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(address: SocketAddrV4) -> io::Result<Self> {
        let stream = connect(address, TIMEOUT)?;
        Ok(Self { stream, received: Vec::new(), taken: 0 })
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next reply, as it came.
    ///
    /// # Errors
    /// When the connection ends before the reply does, or nothing comes for long.
    pub fn reply(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(length) = reply_bytes(&self.received[self.taken..]) {
                let reply = self.received[self.taken..self.taken + length].to_vec();
                self.taken += length;
                return Ok(reply);
            }
            if self.receive()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Sends one request and takes its reply.
    ///
    /// # Errors
    /// When the connection ends.
    pub fn ask(&mut self, args: &[&[u8]]) -> io::Result<Vec<u8>> {
        self.send(&request(args))?;
        self.reply()
    }

    /// Whether nothing comes for this long.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn is_quiet_for(&mut self, time: Duration) -> io::Result<bool> {
        self.stream.set_read_timeout(Some(time))?;
        let received = match self.receive() {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(true),
            Err(error) => Err(error),
            Ok(_) => Ok(false),
        };
        self.stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(received? && self.taken == self.received.len())
    }

    /// Everything until the server ends the connection, however it does so.
    ///
    /// # Errors
    /// When it does not.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.receive() {
                Ok(0) => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Ok(self.received.split_off(core::mem::take(&mut self.taken)))
    }

    fn receive(&mut self) -> io::Result<usize> {
        self.received.drain(..core::mem::take(&mut self.taken));
        let start = self.received.len();
        self.received.resize(start + READ_BYTES, 0);
        let result = self.stream.read(&mut self.received[start..]);
        self.received.truncate(start + result.as_ref().copied().unwrap_or(0));
        result
    }
}

/// A request as clients send it.
pub fn request<T: AsRef<[u8]>>(args: &[T]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for argument in args {
        let argument = argument.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Length of the reply at the start of `input`; none while it is incomplete.
///
/// # Panics
/// When it is neither RESP2 nor RESP3.
pub fn reply_bytes(input: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut left = 1_u64;
    while left > 0 {
        let rest = &input[at..];
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        at += end + 2;
        left -= 1;
        let number = || -> i64 {
            let text = String::from_utf8_lossy(&rest[1..end]).into_owned();
            text.parse().unwrap_or_else(|_| panic!("{text:?} is no length"))
        };
        match rest[0] {
            b'+' | b'-' | b':' | b'_' => {}
            b'$' | b'=' => at += usize::try_from(number()).map_or(0, |length| length + 2),
            b'*' | b'~' => left += u64::try_from(number()).unwrap_or(0),
            b'%' => left += 2 * u64::try_from(number()).unwrap_or(0),
            other => panic!("{} begins no reply", other.escape_ascii()),
        }
        if at > input.len() {
            return None;
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_ends_where_its_last_part_does() {
        let whole: [&[u8]; 10] = [
            b"_\r\n",
            b"=5\r\ntxt:x\r\n",
            b"%2\r\n+a\r\n*1\r\n:1\r\n+b\r\n~1\r\n+c\r\n",
            b"+OK\r\n",
            b"-ERR no\r\n",
            b":-1\r\n",
            b"$4\r\na\r\nb\r\n",
            b"$-1\r\n",
            b"*-1\r\n",
            b"*3\r\n:1\r\n*2\r\n$0\r\n\r\n*0\r\n$-1\r\n",
        ];
        for reply in whole {
            for cut in 0..reply.len() {
                assert_eq!(reply_bytes(&reply[..cut]), None, "{} cut at {cut}", reply.escape_ascii());
            }
            assert_eq!(reply_bytes(&[reply, b"+more\r\n"].concat()), Some(reply.len()));
        }
    }
}
