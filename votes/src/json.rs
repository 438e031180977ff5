//! A JSON serializer for serde that can also write to targets without allocation.
//!
//! It supports what this application needs: objects, arrays, strings, unsigned integers and booleans. `serde_json`
//! supports all of JSON, but without the standard library it writes only to a vector, and it checks every byte of a
//! string separately.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::ser::{Impossible, Serialize, SerializeSeq, SerializeStruct};
use wire::resp::Digits;

/// Where JSON goes.
pub trait Output {
    /// Appends a piece.
    ///
    /// # Errors
    /// [`Error::Full`].
    fn put(&mut self, piece: &[u8]) -> Result<(), Error>;
}

impl Output for Vec<u8> {
    fn put(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.extend_from_slice(piece);
        Ok(())
    }
}

/// Why something was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no room for it.
    Full,
    /// It is none of what the module knows.
    Unknown,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "there is no room for the JSON",
            Self::Unknown => "this cannot be written as JSON here",
        })
    }
}

impl core::error::Error for Error {}

impl serde::ser::Error for Error {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Unknown
    }
}

/// A value as JSON; empty when it is none of what the module knows, which its tests would show.
pub fn to_string(value: &impl Serialize) -> String {
    let mut json = Vec::new();
    let written = value.serialize(Serializer::new(&mut json)).is_ok();
    String::from_utf8(json).ok().filter(|_| written).unwrap_or_default()
}

/// Writes one value.
#[derive(Debug)]
pub struct Serializer<'a, O>(&'a mut O);

impl<'a, O: Output> Serializer<'a, O> {
    /// A writer of one value into `output`.
    pub fn new(output: &'a mut O) -> Self {
        Self(output)
    }
}

/// Writes the elements of an array, or the fields of an object.
#[derive(Debug)]
pub struct Members<'a, O> {
    output: &'a mut O,
    is_first: bool,
}

impl<O: Output> Members<'_, O> {
    #[inline]
    fn next(&mut self, separated: &[u8], first: &[u8]) -> Result<(), Error> {
        let is_first = core::mem::take(&mut self.is_first);
        self.output.put(if is_first { first } else { separated })
    }
}

impl<O: Output> SerializeSeq for Members<'_, O> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.next(b",", b"[")?;
        value.serialize(Serializer(self.output))
    }

    fn end(mut self) -> Result<(), Error> {
        self.next(b"]", b"[]")
    }
}

impl<O: Output> SerializeStruct for Members<'_, O> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.next(b",\"", b"{\"")?;
        self.output.put(key.as_bytes())?;
        self.output.put(b"\":")?;
        value.serialize(Serializer(self.output))
    }

    #[inline]
    fn end(mut self) -> Result<(), Error> {
        self.next(b"}", b"{}")
    }
}

/// Whether a string's bytes stand for themselves.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    // Without an early end it is done for many bytes at once.
    text.iter().fold(true, |plain, byte| plain & (*byte >= b' ') & (*byte != b'"') & (*byte != b'\\'))
}

/// A byte as it stands in a string (RFC 8259, section 7).
fn escaped(byte: &u8) -> [u8; 6] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [b'\\', b'u', b'0', b'0', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

fn put_escaped(output: &mut impl Output, text: &[u8]) -> Result<(), Error> {
    text.iter().try_for_each(|byte| match is_plain(&[*byte]) {
        true => output.put(&[*byte]),
        false => output.put(&escaped(byte)),
    })
}

/// The methods for what is never said.
macro_rules! unknown {
    ($($method:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        $(fn $method(self $(, _: $argument)*) -> Result<unknown!(@ $($result)?), Error> {
            Err(Error::Unknown)
        })*
    };
    (@ $result:ty) => { $result };
    (@) => { () };
}

impl<'a, O: Output> serde::Serializer for Serializer<'a, O> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Members<'a, O>;
    type SerializeStruct = Members<'a, O>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStructVariant = Impossible<(), Error>;

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.0.put(if value { b"true" } else { b"false" })
    }

    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        self.0.put(Digits::of_u64(value).as_bytes())
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Error> {
        let text = value.as_bytes();
        self.0.put(b"\"")?;
        if is_plain(text) {
            self.0.put(text)?;
        } else {
            put_escaped(self.0, text)?;
        }
        self.0.put(b"\"")
    }

    #[inline]
    fn serialize_unit_variant(self, _: &str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        Ok(Members { output: self.0, is_first: true })
    }

    #[inline]
    fn serialize_struct(self, _: &str, _: usize) -> Result<Self::SerializeStruct, Error> {
        Ok(Members { output: self.0, is_first: true })
    }

    /// Text of which the caller knows that it needs no escapes; JSON has no bytes.
    #[inline]
    fn serialize_bytes(self, text: &[u8]) -> Result<(), Error> {
        debug_assert!(is_plain(text), "{}", text.escape_ascii());
        self.0.put(b"\"")?;
        self.0.put(text)?;
        self.0.put(b"\"")
    }

    unknown! {
        serialize_i8(i8); serialize_i16(i16); serialize_i32(i32); serialize_i64(i64);
        serialize_u8(u8); serialize_u16(u16); serialize_u32(u32);
        serialize_f32(f32); serialize_f64(f64); serialize_char(char);
        serialize_none(); serialize_unit(); serialize_unit_struct(&'static str);
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), Error> {
        Err(Error::Unknown)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &str, _: &T) -> Result<(), Error> {
        Err(Error::Unknown)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &str,
        _: u32,
        _: &str,
        _: &T,
    ) -> Result<(), Error> {
        Err(Error::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;
    use serde_json::{Value, json};

    #[derive(Serialize)]
    struct Said {
        text: &'static str,
        number: u64,
        list: Vec<bool>,
    }

    #[test]
    fn what_is_written_reads_back_as_the_same() {
        for text in ["plain", "", "\"quoted\" \\ \n\u{1f}\u{7f}", "é😀"] {
            let said = to_string(&Said { text, number: u64::MAX, list: alloc::vec![true, false] });
            let read: Value = serde_json::from_str(&said).expect("JSON");
            assert_eq!(read, json!({"text": text, "number": u64::MAX, "list": [true, false]}), "{said}");
        }
        assert_eq!(to_string(&Vec::<u64>::new()), "[]");
    }

    #[test]
    fn unsupported_types_are_errors() {
        let mut json = Vec::new();
        assert_eq!(1.5.serialize(Serializer::new(&mut json)), Err(Error::Unknown));
        assert_eq!((to_string(&-1), to_string(&Some("x"))), (String::new(), String::new()));
    }
}
