//! The address of a database and its login: `postgres://user:password@host:port/database`.
//!
//! Guests read their setting with it. The host tool checks its option with it before anything boots.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::hex::percent_decoded;

/// What an address begins with.
pub const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
/// The port of an address that names none.
pub const PORT_DEFAULT: u16 = 5432;
/// Longest password: a kernel's command line takes no longer ones.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Longest name of a host (RFC 1035, section 2.3.4).
pub const HOST_BYTES_MAX: usize = 253;

/// An address in its parts.
#[derive(Clone, PartialEq, Eq)]
pub struct Url<'a> {
    /// A name or an IPv4 address.
    pub host: &'a str,
    /// Never 0.
    pub port: u16,
    /// The role, decoded.
    pub user: String,
    /// Its password, decoded, if there is one.
    pub password: Option<Vec<u8>>,
    /// The database, decoded.
    pub database: String,
}

impl fmt::Debug for Url<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, user, database, .. } = self;
        write!(f, "{user}@{host}:{port}/{database}")
    }
}

/// Why an address cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// It begins with no scheme of PostgreSQL.
    Scheme,
    /// There is no `user@`.
    NoUser,
    /// The user is empty, or not text.
    User,
    /// The password is empty or too long, or wrongly encoded.
    Password,
    /// The host is empty, or no name.
    Host,
    /// The port is no number from 1 to 65535.
    Port,
    /// There is no `/database`, or its name is not text.
    Database,
    /// Options follow, such as `?sslmode=require`.
    Options,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "it does not begin with postgres://",
            Self::NoUser => "it names no user: put user:password@ before the host",
            Self::User => "the user is empty or no text",
            Self::Password => {
                "the password is empty, longer than 256 bytes, or has a % that two hexadecimal digits do not follow"
            }
            Self::Host => "the host is empty or no name: letters, digits, dots, - and _",
            Self::Port => "the port is no number from 1 to 65535",
            Self::Database => "it names no database: put /database behind the host",
            Self::Options => {
                "options such as ?sslmode=disable are not known here: leave them out (there is no TLS in any case)"
            }
        })
    }
}

impl core::error::Error for UrlError {}

impl<'a> Url<'a> {
    /// Takes an address apart.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn parse(url: &'a str) -> Result<Self, UrlError> {
        let rest = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme)).ok_or(UrlError::Scheme)?;
        let (credentials, place) = rest.rsplit_once('@').ok_or(UrlError::NoUser)?;
        let (server, database) = place.split_once('/').ok_or(UrlError::Database)?;
        if database.contains(['?', '#']) {
            return Err(UrlError::Options);
        }
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(parse_password(password)?)),
            None => (credentials, None),
        };
        let (host, port) = parse_server(server)?;
        let user = parse_text(user).ok_or(UrlError::User)?;
        let database = parse_text(database).ok_or(UrlError::Database)?;
        Ok(Self { host, port, user, password, database })
    }
}

fn parse_password(text: &str) -> Result<Vec<u8>, UrlError> {
    let password =
        percent_decoded(text.bytes()).filter(|bytes| (1..=PASSWORD_BYTES_MAX).contains(&bytes.len()));
    password.ok_or(UrlError::Password)
}

fn parse_text(text: &str) -> Option<String> {
    let text = String::from_utf8(percent_decoded(text.bytes())?).ok()?;
    (!text.is_empty() && !text.contains(['\0', '?'])).then_some(text)
}

fn parse_server(server: &str) -> Result<(&str, u16), UrlError> {
    let (host, port) = server.rsplit_once(':').map_or((server, None), |(host, port)| (host, Some(port)));
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-' || c == '_';
    if host.is_empty() || host.len() > HOST_BYTES_MAX || !host.chars().all(is_allowed) {
        return Err(UrlError::Host);
    }
    let port = port.map_or(Ok(PORT_DEFAULT), |port| port.parse().map_err(|_| UrlError::Port))?;
    if port == 0 { Err(UrlError::Port) } else { Ok((host, port)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let url = Url::parse("postgresql://me:a%2fb@:c@db.example:7/my%20votes").expect("an address");
        assert_eq!((url.host, url.port, &*url.user, &*url.database), ("db.example", 7, "me", "my votes"));
        assert_eq!(url.password.as_deref(), Some(&b"a/b@:c"[..]));
        let url = Url::parse("postgres://me@db/votes").expect("an address");
        assert_eq!((url.port, url.password), (PORT_DEFAULT, None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (wrong, error) in [
            ("mysql://me@db/votes", UrlError::Scheme),
            ("postgres://db/votes", UrlError::NoUser),
            ("postgres://:x@db/votes", UrlError::User),
            ("postgres://me:@db/votes", UrlError::Password),
            ("postgres://me:%4@db/votes", UrlError::Password),
            ("postgres://me@/votes", UrlError::Host),
            ("postgres://me@[::1]/votes", UrlError::Host),
            ("postgres://me@db:0/votes", UrlError::Port),
            ("postgres://me@db:x/votes", UrlError::Port),
            ("postgres://me@db", UrlError::Database),
            ("postgres://me@db/", UrlError::Database),
            ("postgres://me@db/votes?sslmode=disable", UrlError::Options),
        ] {
            assert_eq!(Url::parse(wrong), Err(error), "{wrong}");
        }
    }
}
