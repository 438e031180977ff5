//! The server's side of PostgreSQL's protocol (section 55.7), as far as the services' client speaks it.
//!
//! Keeps no state.

/// What the client said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Startup,
    Close,
    Parse { name: String, sql: String },
    Bind { name: String, parameters: Vec<Vec<u8>> },
    Execute,
    Sync,
    Terminate,
}

/// The first message of `input` and its length; none while it is not whole. The first message of a connection
/// has no type.
///
/// # Errors
/// What is not understood.
pub fn parse(input: &[u8], is_first: bool) -> Result<Option<(Request, usize)>, String> {
    let head = usize::from(!is_first);
    let Some(length) = input.get(head..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
    let end = head + u32::from_be_bytes(*length) as usize;
    let Some(body) = input.get(head + 4..end) else { return Ok(None) };
    let kind = if is_first { 0 } else { input[0] };
    let request = match kind {
        0 => Some(Request::Startup),
        b'C' => Some(Request::Close),
        b'P' => parse_prepare(body),
        b'B' => parse_bind(body),
        b'E' => Some(Request::Execute),
        b'S' => Some(Request::Sync),
        b'X' => Some(Request::Terminate),
        _ => None,
    };
    request.map(|request| Some((request, end))).ok_or_else(|| format!("message {}", body.escape_ascii()))
}

fn parse_prepare(body: &[u8]) -> Option<Request> {
    let (name, rest) = text(body)?;
    Some(Request::Parse { name, sql: text(rest)?.0 })
}

fn parse_bind(body: &[u8]) -> Option<Request> {
    let (_, rest) = text(body)?;
    let (name, rest) = text(rest)?;
    let (formats, rest) = number(rest)?;
    let (count, mut rest) = number(rest.get(2 * formats..)?)?;
    let mut parameters = Vec::new();
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk()?;
        let (value, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        parameters.push(value.to_vec());
        rest = after;
    }
    Some(Request::Bind { name, parameters })
}

fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((String::from_utf8(bytes[..end].to_vec()).ok()?, &bytes[end + 1..]))
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((usize::from(u16::from_be_bytes(*number)), rest))
}

/// A message of this type.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(4 + body.len()).expect("short");
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// What is said to a client that need not prove anything.
pub fn welcome() -> Vec<u8> {
    let version = message(b'S', b"server_version\x0015.0 (a model)\0");
    [message(b'R', &[0; 4]), version, message(b'K', &[0; 8]), ready()].concat()
}

/// ReadyForQuery.
pub fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

/// ErrorResponse.
pub fn error(code: &str, text: &str) -> Vec<u8> {
    message(b'E', format!("SERROR\0C{code}\0M{text}\0\0").as_bytes())
}

/// DataRow.
pub fn row(values: &[Option<String>]) -> Vec<u8> {
    let mut body = u16::try_from(values.len()).expect("few columns").to_be_bytes().to_vec();
    for value in values {
        let length = value.as_ref().map_or(-1, |value| i32::try_from(value.len()).expect("short"));
        body.extend(length.to_be_bytes());
        body.extend(value.iter().flat_map(|value| value.bytes()));
    }
    message(b'D', &body)
}
