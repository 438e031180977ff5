//! The commands on hashes. Fields keep the order in which they came, while none is deleted.

use wire::Buffer;
use wire::resp::{Args, Digits, parse_integer, write};

use super::Keyspace;
use super::value::{Hash, Value, field_bytes};
use crate::failure::Failure;

/// Up to this many fields a deletion keeps the order of the others, as Redis does; beyond, the last
/// field takes the deleted one's place, which takes no longer in a larger hash.
const ORDERED_FIELDS_MAX: usize = 128;

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
        let (hash, bytes) = self.hash_or_new(&args[1])?;
        let mut added = 0;
        for at in (2..args.len()).step_by(2) {
            added += usize::from(put(hash, bytes, &args[at], &args[at + 1]));
        }
        self.changes += 1;
        Ok(added)
    }

    pub(super) fn hget(&self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        match self.hash(&args[1])?.and_then(|hash| hash.get(&args[2])) {
            None => Ok(write::null(out)?),
            Some(value) => Ok(write::bulk(out, value)?),
        }
    }

    pub(super) fn hmget(&self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let hash = self.hash(&args[1])?;
        write::array(out, args.len() - 2)?;
        args.iter().skip(2).try_for_each(|field| match hash.and_then(|hash| hash.get(field)) {
            None => Ok(write::null(out)?),
            Some(value) => Ok(write::bulk(out, value)?),
        })
    }

    pub(super) fn hgetall(&self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let Some(hash) = self.hash(&args[1])? else { return Ok(write::array(out, 0)?) };
        write::array(out, hash.len() * 2)?;
        for (field, value) in hash {
            write::bulk(out, field)?;
            write::bulk(out, value)?;
        }
        Ok(())
    }

    pub(super) fn hlen(&self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        Ok(write::length(out, self.hash(&args[1])?.map_or(0, Hash::len))?)
    }

    pub(super) fn hincrby(&mut self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let (key, field) = (&args[1], &args[2]);
        let increment = parse_integer(&args[3]).ok_or(Failure::NotAnInteger)?;
        let value = match self.hash(key)?.and_then(|hash| hash.get(field)) {
            None => 0,
            Some(value) => parse_integer(value).ok_or(Failure::FieldNotAnInteger)?,
        };
        let sum = value.checked_add(increment).ok_or(Failure::Overflow)?;
        let (hash, bytes) = self.hash_or_new(key)?;
        put(hash, bytes, field, Digits::new(sum).as_bytes());
        self.changes += 1;
        Ok(write::integer(out, sum)?)
    }

    pub(super) fn hdel(&mut self, args: Args<'_>, out: &mut Buffer) -> Result<(), Failure> {
        let key = &args[1];
        let hash = match self.entries.get_mut(key) {
            None => return Ok(write::length(out, 0)?),
            Some(Value::Hash(hash)) => hash,
            Some(_) => return Err(Failure::WrongType),
        };
        let mut removed = 0;
        for field in args.iter().skip(2) {
            if let Some((field, value)) = take(hash, field) {
                self.bytes -= field_bytes(&field, &value);
                removed += 1;
            }
        }
        if hash.is_empty() {
            self.remove(key);
        }
        self.changes += u64::from(removed > 0);
        Ok(write::length(out, removed)?)
    }

    fn hash(&self, key: &[u8]) -> Result<Option<&Hash>, Failure> {
        match self.entries.get(key) {
            None => Ok(None),
            Some(Value::Hash(hash)) => Ok(Some(hash)),
            Some(_) => Err(Failure::WrongType),
        }
    }

    /// The hash at `key`, made if need be, and the count of bytes. The caller puts a field into it.
    fn hash_or_new(&mut self, key: &[u8]) -> Result<(&mut Hash, &mut usize), Failure> {
        if !self.entries.contains_key(key) {
            self.add(key, Value::Hash(Hash::with_hasher(self.hash)));
        }
        match self.entries.get_mut(key) {
            Some(Value::Hash(hash)) => Ok((hash, &mut self.bytes)),
            _ => Err(Failure::WrongType),
        }
    }
}

type Field = (alloc::boxed::Box<[u8]>, alloc::boxed::Box<[u8]>);

fn take(hash: &mut Hash, field: &[u8]) -> Option<Field> {
    if hash.len() <= ORDERED_FIELDS_MAX {
        hash.shift_remove_entry(field)
    } else {
        hash.swap_remove_entry(field)
    }
}

/// Sets a field and says whether it is new. A value of the same length is written over in place.
fn put(hash: &mut Hash, bytes: &mut usize, field: &[u8], value: &[u8]) -> bool {
    match hash.get_mut(field) {
        None => {
            *bytes += field_bytes(field, value);
            hash.insert(field.into(), value.into());
            true
        }
        Some(old) if old.len() == value.len() => {
            old.copy_from_slice(value);
            false
        }
        Some(old) => {
            *bytes = *bytes + value.len() - old.len();
            *old = value.into();
            false
        }
    }
}
