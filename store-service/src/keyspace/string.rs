//! `SET`, `GET` and `INCR`. No expiry: a key stays until it is deleted.

use wire::Buffer;
use wire::resp::{Args, Digits, parse_integer, write};

use super::Keyspace;
use super::value::Value;
use crate::failure::Failure;

/// The options of `SET`.
#[derive(Clone, Copy, Debug, Default)]
struct SetOptions {
    only_new: bool,
    only_present: bool,
    get: bool,
}

impl SetOptions {
    fn parse(args: Args<'_>) -> Result<Self, Failure> {
        let mut options = Self::default();
        for option in args.iter().skip(3) {
            let is = |name: &[u8]| option.eq_ignore_ascii_case(name);
            match () {
                () if is(b"NX") => options.only_new = true,
                () if is(b"XX") => options.only_present = true,
                () if is(b"GET") => options.get = true,
                () if is(b"KEEPTTL") => {}
                () if is(b"EX") || is(b"PX") || is(b"EXAT") || is(b"PXAT") => return Err(Failure::NoExpiry),
                () => return Err(Failure::Syntax),
            }
        }
        if options.only_new && options.only_present { Err(Failure::Syntax) } else { Ok(options) }
    }
}

impl Keyspace {
    pub(super) fn set(&mut self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let options = SetOptions::parse(args)?;
        let (key, value) = (&args[1], &args[2]);
        if options.get {
            self.get(args, out)?;
        }
        let present = self.entries.contains_key(key);
        let refused = (options.only_new && present) || (options.only_present && !present);
        if !refused {
            self.replace_string(key, value);
            self.changes += 1;
        }
        match (options.get, refused) {
            (true, _) => Ok(()),
            (false, true) => Ok(write::null(out)?),
            (false, false) => Ok(write::simple(out, b"OK")?),
        }
    }

    pub(super) fn get(&self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        match self.entries.get(&args[1]) {
            None => Ok(write::null(out)?),
            Some(Value::String(value)) => Ok(write::bulk(out, value)?),
            Some(_) => Err(Failure::WrongType),
        }
    }

    pub(super) fn incr(&mut self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        self.add_to(&args[1], 1, out)
    }

    pub(super) fn incr_by(&mut self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let increment = parse_integer(&args[2]).ok_or(Failure::NotAnInteger)?;
        self.add_to(&args[1], increment, out)
    }

    fn add_to(&mut self, key: &[u8], increment: i64, out: &mut Buffer) -> Result<(), Failure> {
        let value = match self.entries.get(key) {
            None => 0,
            Some(Value::String(value)) => parse_integer(value).ok_or(Failure::NotAnInteger)?,
            Some(_) => return Err(Failure::WrongType),
        };
        let sum = value.checked_add(increment).ok_or(Failure::Overflow)?;
        self.replace_string(key, Digits::new(sum).as_bytes());
        self.changes += 1;
        Ok(write::integer(out, sum)?)
    }

    /// Makes `key` hold `value`, whatever it held.
    fn replace_string(&mut self, key: &[u8], value: &[u8]) {
        // Cannot fail: any value will do.
        let _ = self.change(
            key,
            || Value::String(value.into()),
            |old: &mut Value| match old {
                // A counter is mostly as long as it was.
                Value::String(old) if old.len() == value.len() => old.copy_from_slice(value),
                other => *other = Value::String(value.into()),
            },
        );
        self.tell_whole(key, Some(value));
    }
}
