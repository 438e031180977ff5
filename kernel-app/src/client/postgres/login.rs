//! Logging in to PostgreSQL: with a password by SCRAM-SHA-256, or without one.
//!
//! Never sends a password in the clear or as MD5, whatever the server asks for.

use alloc::string::{String, ToString};
use core::fmt;

use wire::Buffer;
use wire::postgres::scram::{self, Scram, ScramError};
use wire::postgres::{Authentication, Message, write};

use crate::secret::Secret;
use wire::Entropy;

/// Who logs in where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseLogin {
    /// The setting that says so; for logs and reasons.
    pub setting: &'static str,
    /// The PostgreSQL role that logs in.
    pub user: String,
    /// Its password, if it has one.
    pub password: Option<Secret>,
    /// Name of the database.
    pub database: String,
}

/// Why logging in has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginError {
    /// The server's reason.
    Refused(String),
    /// A password is wanted, and there is none.
    NoPassword,
    /// The server wants the password in a way that would give it away.
    Method(&'static str),
    /// The server's side of the proof is not right.
    Scram(ScramError),
    /// A message that does not belong here.
    Unexpected,
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => f.write_str(reason),
            Self::NoPassword => {
                f.write_str("it wants a password: give postgres://user:password@host/database")
            }
            Self::Method(method) => {
                write!(
                    f,
                    "it wants the password {method}: let pg_hba.conf say scram-sha-256, and set the password anew"
                )
            }
            Self::Scram(error) => write!(f, "{error}"),
            Self::Unexpected => f.write_str("it says something unexpected"),
        }
    }
}

/// A login that is under way.
#[derive(Debug)]
pub(super) struct Login {
    scram: Scram,
    step: Step,
}

/// What was said last. Each step is taken once: a server that challenges again and again would keep us hashing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Who logs in where.
    Begun,
    /// That the client can prove its password.
    Offered,
    /// The proof.
    Proved,
    /// By the server, its own.
    Checked,
    /// By the server, that it accepts the client.
    Accepted,
}

impl Login {
    /// Begins.
    pub fn new(entropy: &mut dyn Entropy) -> Self {
        let mut nonce = [0; scram::NONCE_BYTES];
        entropy.fill(&mut nonce);
        Self { scram: Scram::new(&nonce), step: Step::Begun }
    }

    /// Takes one message of the server; says whether statements can be sent now.
    ///
    /// # Errors
    /// When the connection is of no use.
    pub fn take(
        &mut self,
        message: Message<'_>,
        login: &DatabaseLogin,
        output: &mut Buffer,
    ) -> Result<bool, LoginError> {
        match message {
            Message::Error(error) => return Err(LoginError::Refused(error.to_string())),
            Message::Authentication(step) => self.authenticate(step, login, output)?,
            Message::Ready if self.step == Step::Accepted => return Ok(true),
            Message::Other => {}
            _ => return Err(LoginError::Unexpected),
        }
        Ok(false)
    }

    fn authenticate(
        &mut self,
        step: Authentication<'_>,
        login: &DatabaseLogin,
        output: &mut Buffer,
    ) -> Result<(), LoginError> {
        let password = || login.password.as_ref().map(Secret::as_bytes).ok_or(LoginError::NoPassword);
        // Nothing else was sent, so there is room.
        let sent = match step {
            Authentication::Ok if matches!(self.step, Step::Offered | Step::Proved) => {
                return Err(LoginError::Scram(ScramError::Impostor));
            }
            Authentication::Ok => {
                self.step = Step::Accepted;
                Ok(())
            }
            Authentication::Sasl(mechanisms) if self.step == Step::Begun => {
                password()?;
                if !mechanisms.split(|byte| *byte == 0).any(|name| name == scram::MECHANISM.as_bytes()) {
                    return Err(LoginError::Method("by another mechanism than SCRAM-SHA-256"));
                }
                self.step = Step::Offered;
                write::sasl_initial(output, scram::MECHANISM, self.scram.first().as_bytes())
            }
            Authentication::SaslContinue(challenge) if self.step == Step::Offered => {
                self.step = Step::Proved;
                let proof = self.scram.prove(challenge, password()?).map_err(LoginError::Scram)?;
                write::sasl_response(output, proof.as_bytes())
            }
            Authentication::SaslFinal(last) if self.step == Step::Proved => {
                self.scram.check(last).map_err(LoginError::Scram)?;
                self.step = Step::Checked;
                Ok(())
            }
            Authentication::Sasl(_) | Authentication::SaslContinue(_) | Authentication::SaslFinal(_) => {
                return Err(LoginError::Unexpected);
            }
            Authentication::Cleartext => return Err(LoginError::Method("in the clear")),
            Authentication::Md5 => return Err(LoginError::Method("as MD5")),
            Authentication::Other(_) => return Err(LoginError::Method("in a way that is not known here")),
        };
        sent.map_err(|_| LoginError::Unexpected)
    }
}
