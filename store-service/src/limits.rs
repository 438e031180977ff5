//! All limits of the store.
//!
//! The size of a request and its number of arguments, and so the sizes of keys and values, are limited by
//! [`wire::resp::COMMAND_BYTES_MAX`] and [`wire::resp::ARGS_MAX`].

use core::time::Duration;

/// Most RESP clients at a time; the rest of the node's connections are left to HTTP.
pub const CLIENTS_MAX: usize = 512;

/// Keys and values, unless `MAXMEMORY` says otherwise: half of a machine of 64 MiB. Counted as they are
/// allocated, in use or not; a vote in a queue takes some 120 bytes, and a voter's result some 60.
pub const MEMORY_BYTES_DEFAULT: usize = 32 * 1024 * 1024;
/// The least that `MAXMEMORY` may say.
pub const MEMORY_BYTES_MIN: usize = 1024 * 1024;
/// Beyond the limit, what hashes and counters may still take, in 16ths of it: a full queue must be able to
/// drain into its results.
pub const MEMORY_RESULTS_SIXTEENTHS: usize = 1;
/// The same for moves from list to list, and what nothing exceeds.
pub const MEMORY_MOVES_SIXTEENTHS: usize = 2;

/// What a machine needs beside data: clients, the log's buffers, sockets. `MAXMEMORY` and the reserve get the
/// rest at most, where a machine's memory is known.
pub const MACHINE_BYTES_OTHER: usize = 12 * 1024 * 1024;

/// Most commands between `MULTI` and `EXEC`.
pub const QUEUE_COMMANDS_MAX: usize = 1024;
/// Most bytes of queued commands, of all clients together.
pub const QUEUE_BYTES_MAX: usize = 1024 * 1024;
/// A queue's storage above this is given back after `EXEC`.
pub const QUEUE_BYTES_KEPT: usize = 16 * 1024;

/// Most bytes of what all clients together have allocated: replies, transactions, names, half-read requests.
/// Beyond, those that have the most are disconnected.
pub const CLIENTS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The same where a machine's memory is known, which is no more than it needs.
pub const MACHINE_CLIENTS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most bytes of keys that blocked clients wait for, of all of them together.
pub const WAIT_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes of keys that clients watch, of all of them together.
pub const WATCH_BYTES_MAX: usize = 512 * 1024;
/// A longer wait has no end.
pub const WAIT_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Longest reply to one request.
pub const REPLY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// When all clients together have this much to be sent, replies longer than [`REPLY_BYTES_SCARCE`] are
/// refused.
pub const REPLIES_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest reply while replies are scarce; more than any one element needs.
pub const REPLY_BYTES_SCARCE: usize = 2 * wire::resp::COMMAND_BYTES_MAX;
/// Room for the errors that take the place of replies that are too long.
pub const REPLY_BYTES_ERRORS: usize = QUEUE_COMMANDS_MAX * 128;
/// Reply storage above this is given back once the client has it.
pub const REPLY_BYTES_KEPT: usize = 16 * 1024;
/// A client that takes nothing of a reply for this long is dropped.
pub const REPLY_STALL_MAX: Duration = Duration::from_secs(60);

/// A client whose replies wait for the disk for this long is disconnected: what became of its requests
/// stays open.
pub const COMMIT_WAIT_MAX: Duration = Duration::from_secs(10);

/// Longest client name.
pub const NAME_BYTES_MAX: usize = 256;

/// Largest HTTP request body; the store takes none.
pub const HTTP_BODY_BYTES_MAX: usize = 1024;
