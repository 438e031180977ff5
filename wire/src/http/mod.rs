//! HTTP/1.1 server as a sans-IO state machine per connection (read RFC 9110 and RFC 9112 first).
//!
//! Parses, bounds and frames requests and writes responses. Does not route, and knows neither the
//! connection table nor a clock: bytes and `now` are arguments.

mod method;
mod request;
mod response;

pub use method::Method;
pub use request::{HEADERS_MAX, HeaderSpace, Request};
pub use response::Response;
