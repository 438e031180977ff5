//! The commands on hashes. `fields` stores their fields.

use wire::Buffer;
use wire::resp::{Args, Digits, parse_integer, write};

use super::Keyspace;
use super::fields::Fields;
use super::value::Value;
use crate::failure::Failure;

impl Keyspace {
    pub(super) fn hset(&mut self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let added = self.set_fields(args)?;
        Ok(write::length(out, added)?)
    }

    /// `HSET` of before Redis 4, which many clients still send.
    pub(super) fn hmset(&mut self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        self.set_fields(args)?;
        Ok(write::simple(out, b"OK")?)
    }

    /// Sets all fields; how many are new.
    fn set_fields(&mut self, args: Args<'_>) -> Result<usize, Failure> {
        if !args.len().is_multiple_of(2) {
            return Err(Failure::Arguments);
        }
        let secret = self.hash;
        self.hash(&args[1])?;
        self.tell_fields(b"HSET", &args[1], args.iter().skip(1));
        let added = self.change_hash(&args[1], |hash| {
            let pairs = (2..args.len()).step_by(2);
            pairs.filter(|at| hash.put(secret, &args[*at], &args[at + 1])).count()
        })?;
        self.changes += 1;
        Ok(added)
    }

    pub(super) fn hget(&self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        match self.hash(&args[1])?.and_then(|hash| hash.get(self.hash, &args[2])) {
            None => Ok(write::null(out)?),
            Some(value) => Ok(write::bulk(out, value)?),
        }
    }

    pub(super) fn hmget(&self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let hash = self.hash(&args[1])?;
        write::array(out, args.len() - 2)?;
        args.iter().skip(2).try_for_each(|field| match hash.and_then(|hash| hash.get(self.hash, field)) {
            None => Ok(write::null(out)?),
            Some(value) => Ok(write::bulk(out, value)?),
        })
    }

    pub(super) fn hgetall(&self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let Some(hash) = self.hash(&args[1])? else { return Ok(write::array(out, 0)?) };
        write::array(out, hash.len() * 2)?;
        for (field, value) in hash.iter() {
            write::bulk(out, field)?;
            write::bulk(out, value)?;
        }
        Ok(())
    }

    pub(super) fn hlen(&self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        Ok(write::length(out, self.hash(&args[1])?.map_or(0, Fields::len))?)
    }

    pub(super) fn hincrby(&mut self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let (key, field) = (&args[1], &args[2]);
        let increment = parse_integer(&args[3]).ok_or(Failure::NotAnInteger)?;
        let value = match self.hash(key)?.and_then(|hash| hash.get(self.hash, field)) {
            None => 0,
            Some(value) => parse_integer(value).ok_or(Failure::FieldNotAnInteger)?,
        };
        let sum = value.checked_add(increment).ok_or(Failure::Overflow)?;
        let secret = self.hash;
        let digits = Digits::new(sum);
        self.tell_fields(b"HSET", key, [key, field, digits.as_bytes()].into_iter());
        self.change_hash(key, |hash| hash.put(secret, field, digits.as_bytes()))?;
        self.changes += 1;
        Ok(write::integer(out, sum)?)
    }

    pub(super) fn hdel(&mut self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let key = &args[1];
        let removed = match self.hash(key)? {
            None => 0,
            Some(_) => {
                let secret = self.hash;
                self.tell_fields(b"HDEL", key, args.iter().skip(1));
                let fields = args.iter().skip(2);
                self.change_hash(key, |hash| fields.filter(|field| hash.remove(secret, field)).count())?
            }
        };
        self.changes += u64::from(removed > 0);
        Ok(write::length(out, removed)?)
    }

    fn hash(&self, key: &[u8]) -> Result<Option<&Fields>, Failure> {
        match self.entries.get(key) {
            None => Ok(None),
            Some(Value::Hash(hash)) => Ok(Some(hash)),
            Some(_) => Err(Failure::WrongType),
        }
    }

    /// Changes the hash at `key`, which is made if need be, and goes if nothing is left in it.
    fn change_hash<R>(&mut self, key: &[u8], change: impl FnOnce(&mut Fields) -> R) -> Result<R, Failure> {
        self.change(key, || Value::Hash(Fields::new().into()), change)
    }
}
