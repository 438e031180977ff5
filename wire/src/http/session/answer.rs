//! The output side of a session.
//!
//! It writes only while a request waits for an answer.

use super::super::response::{self, Framing, LAST_CHUNK};
use super::{Phase, Session};
use crate::buffer::{Buffer, Full};
use crate::http::head::Version;
use crate::http::{Method, Refusal, Response};
use crate::time::Instant;

impl Session {
    /// Answers the request that was received last. `date` is a whole `Date` line or empty.
    ///
    /// # Errors
    /// When the response does not fit; nothing was written, and the request still waits for an answer.
    pub fn answer(
        &mut self,
        response: &Response<'_>,
        date: &[u8],
        now: Instant,
        output: &mut Buffer,
    ) -> Result<(), Full> {
        if self.phase != Phase::Answering {
            return Ok(());
        }
        let before = output.len();
        response::write(response, self.framing(date), output)?;
        self.stall.wrote(before, output.len());
        self.next(now);
        Ok(())
    }

    /// Answers with a broken rule; no more requests are read.
    ///
    /// # Errors
    /// When there is no room for the answer: reset the connection.
    pub fn refuse(
        &mut self,
        refusal: Refusal,
        date: &[u8],
        now: Instant,
        output: &mut Buffer,
    ) -> Result<(), Full> {
        self.method = Method::Other;
        self.persists = false;
        self.phase = Phase::Answering;
        self.answer(&Response::text(refusal.status(), refusal.text()), date, now, output)
    }

    /// Begins an answer of unknown length to the request that was received last.
    ///
    /// # Errors
    /// When the head does not fit; nothing was written, and the request still waits for an answer.
    pub fn start_stream(
        &mut self,
        content_type: &str,
        headers: &[&str],
        date: &[u8],
        now: Instant,
        output: &mut Buffer,
    ) -> Result<(), Full> {
        if self.phase != Phase::Answering {
            return Ok(());
        }
        // Before HTTP/1.1 only the end of the connection can end such a body.
        self.persists &= self.version == Version::One;
        let before = output.len();
        response::write_stream_head(content_type, headers, self.framing(date), output)?;
        self.stall.wrote(before, output.len());
        self.phase = Phase::Streaming;
        self.since = now;
        if self.method == Method::Head {
            self.next(now);
        }
        Ok(())
    }

    /// Adds to the body of a stream: all of `bytes` or nothing.
    ///
    /// # Errors
    /// When `bytes` do not fit.
    pub fn push(&mut self, bytes: &[u8], output: &mut Buffer) -> Result<(), Full> {
        if self.phase != Phase::Streaming || bytes.is_empty() {
            return Ok(());
        }
        if self.version == Version::Zero {
            return self.write_out(bytes, output);
        }
        let before = output.len();
        response::write_chunk(bytes, output)?;
        self.stall.wrote(before, output.len());
        Ok(())
    }

    /// Ends the body of a stream.
    ///
    /// # Errors
    /// When the end does not fit: reset the connection.
    pub fn finish(&mut self, now: Instant, output: &mut Buffer) -> Result<(), Full> {
        if self.phase != Phase::Streaming {
            return Ok(());
        }
        if self.version == Version::One {
            self.write_out(LAST_CHUNK, output)?;
        }
        self.next(now);
        Ok(())
    }

    /// Reads no more requests; what is in the output may still be sent.
    pub fn end(&mut self) {
        self.phase = Phase::Over;
        self.chunked = None;
    }

    pub(super) fn write_out(&mut self, bytes: &[u8], output: &mut Buffer) -> Result<(), Full> {
        let before = output.len();
        output.write(bytes)?;
        self.stall.wrote(before, output.len());
        Ok(())
    }

    fn framing<'a>(&self, date: &'a [u8]) -> Framing<'a> {
        Framing {
            version: self.version,
            persists: self.persists,
            head_only: self.method == Method::Head,
            date,
        }
    }

    fn next(&mut self, now: Instant) {
        self.chunked = None;
        self.since = now;
        self.arrived = 0;
        self.phase = if self.persists { Phase::Idle } else { Phase::Over };
    }
}
