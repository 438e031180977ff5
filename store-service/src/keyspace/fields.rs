//! A hash's fields. A small hash keeps them in the order of insertion; a large one finds them by a secret hash.

use alloc::boxed::Box;

use wire::resp::write;

use super::allocation::allocation_bytes;
use super::buckets::Buckets;
use super::item::{Item, Position};
use super::secret_hash::SecretHash;
use super::sequence::{Place, Sequence};

/// Up to this many fields a hash keeps their order, also when others are deleted, as Redis does.
pub(super) const ORDERED_FIELDS_MAX: usize = 128;

/// The fields, small or large.
#[derive(Debug)]
pub(super) struct Fields {
    form: Form,
    len: usize,
    snapshot_bytes: usize,
}

#[derive(Debug)]
enum Form {
    Ordered(Sequence),
    Hashed(Box<Buckets>),
}

impl Fields {
    pub(super) fn new() -> Self {
        Self { form: Form::Ordered(Sequence::default()), len: 0, snapshot_bytes: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// What it takes in memory.
    pub(super) fn memory(&self) -> usize {
        match &self.form {
            Form::Ordered(items) => items.memory(),
            Form::Hashed(buckets) => allocation_bytes(size_of::<Buckets>()) + buckets.memory(),
        }
    }

    /// What its fields take as bulk strings.
    pub(super) fn snapshot_bytes(&self) -> usize {
        self.snapshot_bytes
    }

    /// The value of a field.
    pub(super) fn get(&self, hash: SecretHash, field: &[u8]) -> Option<&[u8]> {
        let position = hash.position(field);
        match &self.form {
            Form::Ordered(items) => find(items, position, field).map(|(_, value)| value),
            Form::Hashed(buckets) => buckets.get(position, field),
        }
    }

    /// Sets a field and says whether it is new.
    pub(super) fn put(&mut self, hash: SecretHash, field: &[u8], value: &[u8]) -> bool {
        let position = hash.position(field);
        let old = match &mut self.form {
            Form::Ordered(items) => {
                let place = find(items, position, field).map(|(place, old)| (place, old.len()));
                Item { position, field, value }.write(|parts| match place {
                    Some((place, _)) => items.replace(place, parts),
                    None => {
                        items.push_back(parts);
                    }
                });
                place.map(|(_, old)| old)
            }
            Form::Hashed(buckets) => buckets.put(position, field, value),
        };
        self.snapshot_bytes += write::bulk_bytes(value.len());
        match old {
            Some(old) => self.snapshot_bytes -= write::bulk_bytes(old),
            None => {
                self.snapshot_bytes += write::bulk_bytes(field.len());
                self.len += 1;
                self.leave_order();
            }
        }
        old.is_none()
    }

    /// Takes a field away and says whether it was there.
    pub(super) fn remove(&mut self, hash: SecretHash, field: &[u8]) -> bool {
        let position = hash.position(field);
        let old = match &mut self.form {
            Form::Ordered(items) => {
                let found = find(items, position, field).map(|(place, value)| (place, value.len()));
                found.map(|(place, old)| {
                    items.remove(place);
                    old
                })
            }
            Form::Hashed(buckets) => buckets.remove(position, field),
        };
        let Some(old) = old else { return false };
        self.snapshot_bytes -= write::bulk_bytes(field.len()) + write::bulk_bytes(old);
        self.len -= 1;
        true
    }

    /// All fields with their values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let ordered = self.ordered().into_iter().flat_map(|items| items.iter().filter_map(Item::read));
        let hashed = self.hashed().into_iter().flat_map(|buckets| buckets.from(0));
        ordered.chain(hashed).map(|item| (item.field, item.value))
    }

    /// The fields of a small hash.
    pub(super) fn ordered(&self) -> Option<&Sequence> {
        if let Form::Ordered(items) = &self.form { Some(items) } else { None }
    }

    /// The fields of a large one.
    pub(super) fn hashed(&self) -> Option<&Buckets> {
        if let Form::Hashed(buckets) = &self.form { Some(buckets) } else { None }
    }

    /// Makes a small hash a large one, if it has become one.
    fn leave_order(&mut self) {
        let Form::Ordered(items) = &mut self.form else { return };
        if items.len() <= ORDERED_FIELDS_MAX {
            return;
        }
        let mut buckets = Box::<Buckets>::default();
        while let Some(item) = items.front().and_then(Item::read) {
            buckets.put(item.position, item.field, item.value);
            items.pop_front();
        }
        self.form = Form::Hashed(buckets);
    }
}

fn find<'a>(items: &'a Sequence, position: Position, field: &[u8]) -> Option<(Place, &'a [u8])> {
    items.places().find_map(|(place, body)| {
        Item::read(body).filter(|item| item.is(position, field)).map(|item| (place, item.value))
    })
}
