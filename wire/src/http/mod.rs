//! An HTTP/1.1 server as one sans-IO state machine per connection (read RFC 9110 and RFC 9112 first), and in [`reply`]
//! what a client needs to find a response.
//!
//! It parses, limits and frames requests, and writes responses. It does not route, and knows neither the connection
//! table nor a clock: bytes and `now` are arguments.

pub mod chunked;
pub mod date;
mod head;
mod head_reader;
mod headers;
pub mod limits;
mod method;
mod refusal;
pub mod reply;
mod request;
mod response;
pub mod session;
pub mod status;
mod target;

pub use head_reader::HeadReader;
pub use method::Method;
pub use refusal::Refusal;
pub use request::Request;
pub use response::{Page, Response};
pub use session::{Received, Session};
