//! Settings of a program: names and values from the environment, checked as they are read.
//!
//! On Linux the environment is the process's; in a guest it is the `env=NAME=VALUE` words of the
//! kernel's command line. This module does not read either: the platform hands the pairs over.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::client::{DatabaseLogin, HttpHost, StoreLogin};
use crate::secret::Secret;
use crate::service::{Peer, Target};
use crate::shutdown::StopToken;
use wire::hex::percent_decoded;
use wire::postgres::url::{self, Url};

/// Longest value that is accepted.
pub const VALUE_BYTES_MAX: usize = 1024;

/// The port of a store's address that names none.
const STORE_PORT_DEFAULT: u16 = 6379;

/// The port of an HTTP server's address that names none.
const HTTP_PORT_DEFAULT: u16 = 80;

/// What an address of a store looks like.
const STORE_EXPECTED: &str = "redis://host:port, with :password@ or user:password@ before the host and /number of a database behind the port \
     if need be";

/// The environment of a program.
///
/// ```
/// use kernel_app::Settings;
///
/// let settings = Settings::from_pairs([("GREETING", "Hello"), ("PORT", "80 80")]);
/// assert_eq!(settings.text("GREETING", "Hi", 64)?, "Hello");
/// assert_eq!(settings.port("HEALTH_PORT", 8084)?, 8084);
/// let error = settings.port("PORT", 8080).unwrap_err();
/// assert_eq!(error.to_string(), "PORT=\"80 80\" cannot be used: give a TCP port from 1 to 65535");
/// # Ok::<(), kernel_app::settings::SettingError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Names and values, each name once. There are few, and they are read once.
    values: Vec<(String, String)>,
}

/// Where a store is, and what it wants to hear first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreAddress {
    /// Where it is.
    pub target: Target,
    /// Who asks, and for which database.
    pub login: StoreLogin,
}

impl StoreAddress {
    /// It as a server to stay connected to.
    pub fn peer(&self) -> Peer {
        Peer { name: "store", setting: self.login.setting, target: self.target.clone() }
    }
}

/// Where an HTTP server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAddress {
    /// Where it is, and which setting says so.
    pub peer: Peer,
    /// What requests call it.
    pub host: HttpHost,
}

/// Where a database is, and who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseAddress {
    /// Where it is, and which setting says so.
    pub peer: Peer,
    /// Who logs in.
    pub login: DatabaseLogin,
}

/// A setting that cannot be used: which, what it says, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// Name of the setting.
    pub name: &'static str,
    /// The value as given.
    pub value: String,
    /// What is expected instead.
    pub expected: &'static str,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?} cannot be used: give {}", self.name, self.value, self.expected)
    }
}

impl core::error::Error for SettingError {}

impl Settings {
    /// Settings from name and value pairs; a later pair replaces an earlier one.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut settings = Self::default();
        pairs.into_iter().for_each(|(name, value)| settings.set(name.into(), value.into()));
        settings
    }

    /// The same settings but for this one.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut settings = self.clone();
        settings.set(name.to_owned(), value.to_owned());
        settings
    }

    fn set(&mut self, name: String, value: String) {
        self.values.retain(|(known, _)| *known != name);
        self.values.push((name, value));
    }

    /// The value as given; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.values.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A text of 1 to `bytes_max` bytes without control characters.
    ///
    /// # Errors
    /// When the value is longer or has control characters.
    pub fn text(&self, name: &'static str, default: &str, bytes_max: usize) -> Result<String, SettingError> {
        let value = self.get(name).unwrap_or(default);
        if value.len() > bytes_max.min(VALUE_BYTES_MAX) || value.chars().any(char::is_control) {
            return Err(error(name, value, "a short text without control characters"));
        }
        Ok(value.to_owned())
    }

    /// A TCP port.
    ///
    /// # Errors
    /// When the value is not a number from 1 to 65535.
    pub fn port(&self, name: &'static str, default: u16) -> Result<u16, SettingError> {
        let Some(value) = self.get(name) else { return Ok(default) };
        match value.parse() {
            Ok(port) if port != 0 => Ok(port),
            _ => Err(error(name, value, "a TCP port from 1 to 65535")),
        }
    }

    /// A TCP port, for what is not listened for unless it is set.
    ///
    /// # Errors
    /// When the value is not a number from 1 to 65535.
    pub fn optional_port(&self, name: &'static str) -> Result<Option<u16>, SettingError> {
        self.get(name).map(|_| self.port(name, 0)).transpose()
    }

    /// A whole number of at most `most`; `expected` says what to give instead.
    ///
    /// # Errors
    /// When the value has another shape or is more.
    pub fn number(
        &self,
        name: &'static str,
        default: u32,
        most: u32,
        expected: &'static str,
    ) -> Result<u32, SettingError> {
        let Some(value) = self.get(name) else { return Ok(default) };
        value.parse().ok().filter(|number| *number <= most).ok_or_else(|| error(name, value, expected))
    }

    /// A number of bytes of at least `least`, or with Redis's suffixes for powers of 1024.
    ///
    /// # Errors
    /// When the value has another shape or is less; `expected` says what to give instead.
    pub fn bytes(
        &self,
        name: &'static str,
        default: usize,
        least: usize,
        expected: &'static str,
    ) -> Result<usize, SettingError> {
        let Some(value) = self.get(name) else { return Ok(default) };
        parse_bytes(value).filter(|bytes| *bytes >= least).ok_or_else(|| error(name, value, expected))
    }

    /// A store as `redis://[[user]:password@]host[:port][/database]`, or as [`Settings::target`] says. In user and
    /// password, `%` and two hexadecimal digits stand for any byte (RFC 3986 section 2.1).
    ///
    /// # Errors
    /// When the value has another shape; it is then shown without the password.
    pub fn store(&self, name: &'static str, default: &str) -> Result<StoreAddress, SettingError> {
        let value = self.get(name).unwrap_or(default);
        let (target, login) =
            parse_store(value).ok_or_else(|| error(name, &without_password(value), STORE_EXPECTED))?;
        Ok(StoreAddress { target, login: StoreLogin { setting: name, ..login } })
    }

    /// A PostgreSQL database as `postgres://user[:password]@host[:port]/database`. In user, password and database,
    /// `%` and two hexadecimal digits stand for any byte.
    ///
    /// # Errors
    /// When the value has another shape; it is then shown without the password.
    pub fn database(&self, name: &'static str) -> Result<DatabaseAddress, SettingError> {
        let value = self.get(name).unwrap_or_default();
        let expected = "postgres://user:password@host:port/database";
        parse_database_url(value, name).ok_or_else(|| error(name, &without_password(value), expected))
    }

    /// An HTTP server as `http://host[:port]`, or as [`Settings::target`] says.
    ///
    /// # Errors
    /// When the value has another shape.
    pub fn http(&self, name: &'static str, default: &str) -> Result<HttpAddress, SettingError> {
        let target = self.target(name, default, "http", HTTP_PORT_DEFAULT, "http")?;
        let host = match &target {
            Target::Host { host, port } => format!("{host}:{port}"),
            Target::Memory { service, .. } => service.clone(),
        };
        let peer = Peer { name: "http", setting: name, target };
        Ok(HttpAddress { peer, host: HttpHost { setting: name, name: host } })
    }

    /// A password; an empty one counts as absent.
    ///
    /// # Errors
    /// When it is too long. The value is not shown.
    pub fn secret(&self, name: &'static str) -> Result<Option<Secret>, SettingError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let secret = Secret::new(value.as_bytes());
        secret.map(Some).ok_or_else(|| error(name, "***", "a password of at most 256 bytes"))
    }

    /// The secret of requests to stop.
    ///
    /// # Errors
    /// When it is too long.
    pub fn stop_token(&self) -> Result<StopToken, SettingError> {
        self.secret("STOP_TOKEN").map(StopToken::new)
    }

    /// A server as `scheme://host[:port]`, or `memory://service` for one in the same image, which is
    /// met at its listener called `memory_listener`.
    ///
    /// # Errors
    /// When the value has another shape.
    pub fn target(
        &self,
        name: &'static str,
        default: &str,
        scheme: &str,
        port_default: u16,
        memory_listener: &'static str,
    ) -> Result<Target, SettingError> {
        let value = self.get(name).unwrap_or(default);
        parse_target(value, scheme, port_default, memory_listener).ok_or_else(|| {
            error(name, value, "scheme://host:port, such as redis://10.0.2.2:6379 or http://10.0.2.2:8090")
        })
    }
}

/// An address as it may be shown.
pub fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    match rest.rsplit_once('@') {
        Some((_, host)) => [scheme, "://***@", host].concat(),
        // Whoever has forgotten the host has written the password in its place.
        None if is_database(url) => [scheme, "://***"].concat(),
        None => url.to_owned(),
    }
}

/// Whether an address is that of a database, and not of a store.
pub fn is_database(url: &str) -> bool {
    url::SCHEMES.iter().any(|scheme| url.starts_with(scheme))
}

fn error(name: &'static str, value: &str, expected: &'static str) -> SettingError {
    SettingError { name, value: value.chars().take(80).collect(), expected }
}

fn parse_bytes(value: &str) -> Option<usize> {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match value[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1 << 10,
        "mb" => 1 << 20,
        "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

fn parse_store(value: &str) -> Option<(Target, StoreLogin)> {
    let target = |server: &str| parse_target(server, "redis", STORE_PORT_DEFAULT, "resp");
    let Some(rest) = value.strip_prefix("redis://") else {
        return Some((target(value)?, StoreLogin::default()));
    };
    let (credentials, server) = match rest.rsplit_once('@') {
        Some((credentials, server)) => (Some(credentials), server),
        None => (None, rest),
    };
    let (host, database) = server.split_once('/').unwrap_or((server, ""));
    let (user, password) = credentials.map_or(Some((None, None)), parse_credentials)?;
    let login = StoreLogin { user, password, database: parse_database(database)?, ..StoreLogin::default() };
    Some((target(&["redis://", host].concat())?, login))
}

/// `[user]:password`. The user `default` is the one that needs no naming.
fn parse_credentials(text: &str) -> Option<(Option<String>, Option<Secret>)> {
    let (user, password) = text.split_once(':')?;
    let user = String::from_utf8(percent_decoded(user.bytes())?).ok()?;
    let password = Secret::new(&percent_decoded(password.bytes())?)?;
    Some((Some(user).filter(|user| !matches!(user.as_str(), "" | "default")), Some(password)))
}

/// The number of a database; none is the first.
fn parse_database(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    match text {
        "" => Some(0),
        number if is_number => number.parse().ok(),
        _ => None,
    }
}

fn parse_database_url(value: &str, setting: &'static str) -> Option<DatabaseAddress> {
    let Url { host, port, user, password, database } = Url::parse(value).ok()?;
    let password = password.map_or(Some(None), |password| Secret::new(&password).map(Some))?;
    let login = DatabaseLogin { setting, user, password, database };
    let target = Target::Host { host: host.to_owned(), port };
    Some(DatabaseAddress { peer: Peer { name: "database", setting, target }, login })
}

fn parse_target(value: &str, scheme: &str, port_default: u16, listener: &'static str) -> Option<Target> {
    if let Some(service) = value.strip_prefix("memory://") {
        return (!service.is_empty()).then(|| Target::Memory { service: service.to_owned(), listener });
    }
    let authority = value.strip_prefix(scheme)?.strip_prefix("://")?.trim_end_matches('/');
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
        None => (authority, port_default),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-' || c == '_';
    (!host.is_empty() && host.len() <= 253 && host.chars().all(allowed))
        .then(|| Target::Host { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Settings {
        Settings::from_pairs([(name, value)])
    }

    fn redis(value: &str) -> Result<Target, SettingError> {
        one("REDIS_URL", value).target("REDIS_URL", "redis://store", "redis", 6379, "resp")
    }

    fn store(value: &str) -> Result<StoreAddress, SettingError> {
        one("REDIS_URL", value).store("REDIS_URL", "redis://store")
    }

    #[test]
    fn a_store_can_have_a_password_a_user_and_a_database() {
        let address = |user: Option<&str>, password: Option<&[u8]>, database| StoreAddress {
            target: Target::Host { host: "db".to_owned(), port: 7000 },
            login: StoreLogin {
                setting: "REDIS_URL",
                user: user.map(str::to_owned),
                password: password.and_then(Secret::new),
                database,
            },
        };
        assert_eq!(store("redis://db:7000"), Ok(address(None, None, 0)));
        assert_eq!(store("redis://db:7000/"), Ok(address(None, None, 0)));
        assert_eq!(store("redis://db:7000/15"), Ok(address(None, None, 15)));
        assert_eq!(store("redis://:a:b@c@db:7000"), Ok(address(None, Some(b"a:b@c"), 0)));
        assert_eq!(store("redis://:a/b@db:7000/2"), Ok(address(None, Some(b"a/b"), 2)));
        assert_eq!(store("redis://default:%70%40%25/@db:7000"), Ok(address(None, Some(b"p@%/"), 0)));
        assert_eq!(store("redis://m%65:secret@db:7000/3"), Ok(address(Some("me"), Some(b"secret"), 3)));
    }

    #[test]
    fn a_wrong_address_is_shown_without_its_password() {
        for wrong in [
            "redis://secret@db",
            "redis://:@db",
            "redis://:secret@",
            "redis://:secret%4@db",
            "redis://%ff:secret@db",
            "redis://:secret@db/votes",
            "redis://:secret@db/-1",
            "redis://:secret@db/+1",
            "redis://:secret@db/0/1",
            "redis://:secret@db/4294967296",
            "rediss://:secret@db",
        ] {
            let error = store(wrong).expect_err(wrong);
            assert!(error.name == "REDIS_URL" && !error.value.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_database_is_named_with_who_logs_in() {
        let of = |value| one("RESULTS_URL", value).database("RESULTS_URL");
        let address = |user: &str, password: Option<&[u8]>, port, database: &str| DatabaseAddress {
            peer: Peer {
                name: "database",
                setting: "RESULTS_URL",
                target: Target::Host { host: "db".to_owned(), port },
            },
            login: DatabaseLogin {
                setting: "RESULTS_URL",
                user: user.to_owned(),
                password: password.and_then(Secret::new),
                database: database.to_owned(),
            },
        };
        assert_eq!(of("postgres://me@db/votes"), Ok(address("me", None, 5432, "votes")));
        assert_eq!(of("postgresql://me:a:b@db:7/votes"), Ok(address("me", Some(b"a:b"), 7, "votes")));
        let coded = "postgres://m%65:%70%40%2F@db/v%20s";
        assert_eq!(of(coded), Ok(address("me", Some(b"p@/"), 5432, "v s")));
        for wrong in [
            "postgres://db/votes",
            "postgres://me:secret",
            "postgres://me:secret@db/votes?sslmode=require",
            "postgres://me:secret@db",
            "postgres://me:secret@db/",
            "postgres://:secret@db/votes",
            "postgres://me:@db/votes",
            "postgres://me:secret@/votes",
            "postgres://me:secret@db:0/votes",
            "postgres://me:secret%@db/votes",
            "postgres://me%00:secret@db/votes",
            "mysql://me:secret@db/votes",
        ] {
            let error = of(wrong).expect_err(wrong);
            assert!(!error.value.contains("secret"), "{error}");
        }
        assert!(is_database("postgresql://x") && !is_database("redis://x"));
    }

    #[test]
    fn targets_name_a_host_or_a_service_in_the_image() {
        let host = |host: &str, port| Target::Host { host: host.to_owned(), port };
        assert_eq!(redis("redis://10.0.2.2:7000"), Ok(host("10.0.2.2", 7000)));
        assert_eq!(redis("redis://store/"), Ok(host("store", 6379)));
        assert_eq!(redis(""), Ok(host("store", 6379)));
        let memory = Target::Memory { service: "store".to_owned(), listener: "resp" };
        assert_eq!(redis("memory://store"), Ok(memory));
        for wrong in
            ["http://store", "redis://", "redis://a b", "redis://store:0", "redis://store:x", "memory://"]
        {
            assert!(redis(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_http_server_is_named_in_requests_as_in_its_address() {
        let of = |value| one("HELLO_URL", value).http("HELLO_URL", "http://hello");
        let names = |value| of(value).map(|address| address.host.name);
        assert_eq!(names("http://10.0.2.2:8090/").as_deref(), Ok("10.0.2.2:8090"));
        assert_eq!(names("").as_deref(), Ok("hello:80"));
        assert_eq!(names("memory://hello").as_deref(), Ok("hello"));
        assert!(of("https://hello").is_err());
    }

    #[test]
    fn bytes_are_read_as_redis_reads_them() {
        let bytes = |value| one("SIZE", value).bytes("SIZE", 7, 1 << 20, "a size");
        assert_eq!(bytes("2mb"), Ok(2 << 20));
        assert_eq!(bytes("1GB"), Ok(1 << 30));
        assert_eq!(bytes("4194304"), Ok(4 << 20));
        assert_eq!(bytes(""), Ok(7));
        for wrong in ["1kb", "x", "mb", "5tb", "99999999999999999999", "17179869184gb", "-1"] {
            let error = bytes(wrong).expect_err(wrong);
            assert_eq!((error.name, error.value.as_str()), ("SIZE", wrong));
        }
    }

    #[test]
    fn one_setting_is_replaced_and_the_others_stay() {
        let settings = Settings::from_pairs([("PORT", "1"), ("INSTANCE", "x")]);
        let other = settings.with("PORT", "2");
        assert_eq!((other.get("PORT"), other.get("INSTANCE")), (Some("2"), Some("x")));
        assert_eq!(settings.get("PORT"), Some("1"));
    }

    #[test]
    fn an_error_names_the_setting_the_value_and_the_way_out() {
        let error = one("PORT", "70000").port("PORT", 80).expect_err("too large");
        let expected = "PORT=\"70000\" cannot be used: give a TCP port from 1 to 65535";
        assert_eq!(alloc::format!("{error}"), expected);
        assert!(one("OPTION_A", "Ca\nts").text("OPTION_A", "Cats", 64).is_err());
    }
}
