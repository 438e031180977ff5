//! HTTP responses: nothing may panic, a response is found with its last byte and no sooner, and what cannot be read
//! does not become readable by what follows.

use wire::http::reply::reply;

/// The end of any head.
const MORE: &[u8] = b"\r\n\r\n";

/// Reads `bytes` as a response, whole, in pieces and with more behind it.
pub fn check(bytes: &[u8]) {
    let found = reply(bytes);
    let followed = reply(&[bytes, MORE].concat());
    match found {
        Ok(Some(found)) => {
            let length = found.body.end;
            assert!(length > 0 && length <= bytes.len() && found.body.start <= length);
            for cut in [0, 1, length / 2, length - 1] {
                assert_eq!(reply(&bytes[..cut]), Ok(None), "cut at {cut}");
            }
            assert_eq!(followed, Ok(Some(found)));
        }
        Ok(None) => {}
        Err(error) => assert!(followed.is_err(), "{error} is forgotten: {followed:?}"),
    }
}
