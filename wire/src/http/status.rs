//! Status codes and their prepared status lines (RFC 9110 section 15).
//!
//! The session writes interim (1xx) responses itself.

/// A status that can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The code, such as 200.
    pub code: u16,
    /// The code as text, for metrics.
    pub label: &'static str,
    /// The line that opens the response.
    pub(super) line: &'static str,
    /// The reason phrase with a line end, for bodies of errors.
    pub text: &'static str,
}

macro_rules! statuses {
    ($($code:literal $phrase:literal,)*) => {
        [$(Status {
            code: $code,
            label: stringify!($code),
            line: concat!("HTTP/1.1 ", stringify!($code), " ", $phrase, "\r\n"),
            text: concat!($phrase, "\n"),
        },)*]
    };
}

/// Every status that can be answered, the frequent ones first.
pub static STATUSES: [Status; 33] = statuses! {
    200 "OK",
    303 "See Other",
    204 "No Content",
    304 "Not Modified",
    404 "Not Found",
    400 "Bad Request",
    503 "Service Unavailable",
    201 "Created",
    202 "Accepted",
    206 "Partial Content",
    301 "Moved Permanently",
    302 "Found",
    307 "Temporary Redirect",
    308 "Permanent Redirect",
    401 "Unauthorized",
    403 "Forbidden",
    405 "Method Not Allowed",
    406 "Not Acceptable",
    408 "Request Timeout",
    409 "Conflict",
    410 "Gone",
    411 "Length Required",
    412 "Precondition Failed",
    413 "Content Too Large",
    414 "URI Too Long",
    415 "Unsupported Media Type",
    417 "Expectation Failed",
    422 "Unprocessable Content",
    429 "Too Many Requests",
    431 "Request Header Fields Too Large",
    500 "Internal Server Error",
    501 "Not Implemented",
    505 "HTTP Version Not Supported",
};

/// Position of 500 in [`STATUSES`]: what a code that is not listed becomes.
const INTERNAL_SERVER_ERROR: usize = 30;

/// Position of `code` in [`STATUSES`]; that of 500 when it is not there.
pub fn position(code: u16) -> usize {
    STATUSES.iter().position(|status| status.code == code).unwrap_or(INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_ready_to_send_and_unknown_codes_are_the_servers_fault() {
        assert_eq!(STATUSES[position(405)].line, "HTTP/1.1 405 Method Not Allowed\r\n");
        assert_eq!(STATUSES[position(405)].text, "Method Not Allowed\n");
        for unknown in [0, 99, 299, 999] {
            assert_eq!(STATUSES[position(unknown)].code, 500, "{unknown}");
        }
        for (at, status) in STATUSES.iter().enumerate() {
            assert_eq!(position(status.code), at, "{} is listed once", status.code);
        }
    }
}
