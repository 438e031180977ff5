//! The whole keyspace as the fewest commands that make it, piece by piece.
//!
//! Lists and hashes are written as `KEY <command> <key>` and any number of `ADD <item>...`, which only the
//! log knows: so the name of a key is written once, however long it is, and a snapshot never takes more
//! than [`Keyspace::bytes`].

use wire::Buffer;
use wire::resp::{ARGS_MAX, COMMAND_BYTES_MAX, write};

use super::Keyspace;
use super::value::Value;

/// Begins a list or a hash.
pub const BEGIN: &[u8] = b"KEY";
/// Adds to the one that was begun last.
pub const ADD: &[u8] = b"ADD";
/// What `ADD` takes beyond its items: the array's header and the name.
const ADD_BYTES: usize = b"*1024\r\n".len() + b"$3\r\nADD\r\n".len();

/// How far a snapshot has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    key: usize,
    /// Items of the key that are written; none while it was not begun.
    items: Option<usize>,
}

impl Keyspace {
    /// Writes the commands from `cursor` on, as many as fit, each whole; says whether all is written.
    /// The keyspace must not change before that.
    ///
    /// `out` must have room for [`COMMAND_BYTES_MAX`] when it is empty.
    pub fn write_commands(&self, cursor: &mut Cursor, out: &mut Buffer) -> bool {
        while let Some((key, value)) = self.entries.get_index(cursor.key) {
            let complete = match value {
                Value::String(bytes) => write::write_command(out, &[b"SET", key, bytes]).is_ok(),
                Value::List(list) => {
                    cursor.write_items(out, [b"RPUSH", key], list.len(), |at| [list.get(at), None])
                }
                Value::Hash(hash) => cursor.write_items(out, [b"HSET", key], hash.len(), |at| {
                    hash.get_index(at).map_or([None; 2], |(field, value)| [Some(field), Some(value)])
                }),
            };
            if !complete {
                return false;
            }
            *cursor = Cursor { key: cursor.key + 1, items: None };
        }
        true
    }
}

impl Cursor {
    /// Writes a key's items as far as there is room; says whether that is all of them.
    fn write_items<'a>(
        &mut self,
        out: &mut Buffer,
        [command, key]: [&[u8]; 2],
        count: usize,
        item: impl Fn(usize) -> [Option<&'a alloc::boxed::Box<[u8]>>; 2],
    ) -> bool {
        if self.items.is_none() {
            if write::write_command(out, &[BEGIN, command, key]).is_err() {
                return false;
            }
            self.items = Some(0);
        }
        let parts = |at| item(at).into_iter().flatten();
        let mut from = self.items.unwrap_or(0);
        while from < count {
            let mut left = out.space().min(COMMAND_BYTES_MAX).saturating_sub(ADD_BYTES);
            let (mut to, mut args) = (from, 1);
            while to < count && args + 2 <= ARGS_MAX {
                let bytes = parts(to).map(|part| write::bulk_bytes(part.len())).sum();
                let Some(rest) = left.checked_sub(bytes) else { break };
                left = rest;
                args += parts(to).count();
                to += 1;
            }
            // All of it fits: it was counted.
            let mut items = (from..to).flat_map(parts);
            let written = to > from
                && write::array(out, args).is_ok()
                && write::bulk(out, ADD).is_ok()
                && items.all(|part| write::bulk(out, part).is_ok());
            if !written {
                return false;
            }
            from = to;
            self.items = Some(from);
        }
        true
    }
}
