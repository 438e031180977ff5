//! Whether every vote that was acknowledged is counted on the result page, and none twice.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::site::Site;
use crate::client::{self, Response};

use crate::load::LoadReport;
use crate::substrate::{Application, Port};

/// How long the worker may take for the votes of one load.
const LIMIT: Duration = Duration::from_secs(60);
/// Pause between looks at the result page.
const PAUSE: Duration = Duration::from_millis(20);
/// What the result page counts, as JSON.
const SCORES: &str = "/api/scores";

/// Votes that were acknowledged, and where they are counted.
pub struct Ledger {
    page: SocketAddrV4,
    acknowledged: u64,
    state: State,
}

enum State {
    /// All votes so far are counted.
    Balanced,
    /// They are not, and will not be.
    Unbalanced(String),
    /// A load failed; nobody knows how many of its votes were taken.
    Unknown,
}

impl Ledger {
    /// Begins with one vote; none where the application is not whole.
    ///
    /// # Errors
    /// When that vote is not taken.
    pub fn open(site: &Site, application: &Application, vote: SocketAddrV4) -> Result<Option<Self>> {
        let answer = client::vote(vote, "a").context("a vote is not answered")?;
        expect_ok(&answer, "a vote")?;
        if !site.substrate.is_whole() {
            return Ok(None);
        }
        let page = application.result().endpoint(Port::Result)?.host;
        let mut ledger = Self { page, acknowledged: 1, state: State::Balanced };
        ledger.settle()?;
        Ok(Some(ledger))
    }

    /// Adds the votes of a load and waits until they are counted.
    ///
    /// # Errors
    /// When the result page does not answer.
    pub fn add(&mut self, report: &LoadReport) -> Result<()> {
        self.acknowledged += report.acknowledged;
        match self.state {
            State::Balanced if report.flaw.is_some() => self.state = State::Unknown,
            State::Balanced => self.settle()?,
            State::Unbalanced(_) | State::Unknown => {}
        }
        Ok(())
    }

    /// Why the votes do not count, if so.
    pub fn close(self) -> Option<String> {
        match self.state {
            State::Unbalanced(reason) => Some(reason),
            State::Balanced | State::Unknown => None,
        }
    }

    fn settle(&mut self) -> Result<()> {
        let begun = Instant::now();
        let mut counted = total(self.page)?;
        while counted < self.acknowledged && begun.elapsed() < LIMIT {
            std::thread::sleep(PAUSE);
            counted = total(self.page)?;
        }
        self.state = match unbalanced(self.acknowledged, counted) {
            None => State::Balanced,
            Some(reason) => State::Unbalanced(reason),
        };
        Ok(())
    }
}

fn unbalanced(acknowledged: u64, counted: u64) -> Option<String> {
    let within = if counted < acknowledged { format!(" {} s later", LIMIT.as_secs()) } else { String::new() };
    (acknowledged != counted).then(|| {
        format!("{acknowledged} votes were acknowledged, but the result page counts {counted}{within}")
    })
}

fn total(page: SocketAddrV4) -> Result<u64> {
    let answer = client::get(page, SCORES).with_context(|| format!("{SCORES} is not answered"))?;
    expect_ok(&answer, SCORES)?;
    let scores: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    scores["total"].as_u64().with_context(|| format!("{SCORES} has no total: {}", answer.text()))
}

fn expect_ok(answer: &Response, what: &str) -> Result<()> {
    ensure!(answer.status == 200, "{what} is answered with {}: {:.300}", answer.status, answer.text());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_and_too_many_votes_are_told() {
        assert_eq!(unbalanced(5, 5), None);
        let few = "5 votes were acknowledged, but the result page counts 4 60 s later";
        assert_eq!(unbalanced(5, 4).as_deref(), Some(few));
        let many = "5 votes were acknowledged, but the result page counts 6";
        assert_eq!(unbalanced(5, 6).as_deref(), Some(many));
    }
}
