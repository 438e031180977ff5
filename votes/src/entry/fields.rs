//! An entry's fields as they stand in its JSON, before they are checked.
//!
//! They are read by visitors of our own: serde's say what they met in place of what they wanted, and for a number
//! serde_json links the formatting of floats, 20 KB of each image that reads entries.

use alloc::borrow::{Cow, ToOwned};
use core::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The fields of a vote. Others are ignored.
#[derive(serde::Deserialize)]
pub struct Fields<'a> {
    #[serde(borrow)]
    pub voter_id: Text<'a>,
    #[serde(borrow)]
    pub vote: Text<'a>,
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub seq: Option<Text<'a>>,
}

impl<'a> Fields<'a> {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// When it is none, or has not the fields.
    pub fn read(payload: &'a [u8]) -> serde_json::Result<Self> {
        let mut json = serde_json::Deserializer::from_slice(payload);
        let fields = json.deserialize_any(FieldsVisitor)?;
        json.end()?;
        Ok(fields)
    }
}

/// A string, borrowed from the payload unless it has escapes.
pub struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

/// The methods for what is neither an object nor a string.
macro_rules! refuse_other_values {
    () => {
        refuse_other_values! { visit_bool(bool) visit_i64(i64) visit_u64(u64) visit_f64(f64) visit_unit() }

        fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            Err(unwanted())
        }
    };
    ($($method:ident($($argument:ty)?))*) => {
        $(fn $method<E: Error>(self $(, _: $argument)?) -> Result<Self::Value, E> {
            Err(unwanted())
        })*
    };
}

fn unwanted<E: Error>() -> E {
    E::custom("neither the object nor a string of a vote")
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fields<'de>, A::Error> {
        Fields::deserialize(MapAccessDeserializer::new(map))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Fields<'de>, E> {
        Err(unwanted())
    }

    refuse_other_values! {}
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Text<'de>, A::Error> {
        Err(unwanted())
    }

    refuse_other_values! {}
}
