//! All limits of the worker.
//!
//! Limits of HTTP and of connections are in kernel-app.

use core::time::Duration;

/// Most elements that are moved to the processing list in one cycle. A batch whose transaction another
/// worker got in the way of can have the next one behind it, so twice as many is what a crash can leave.
pub const BATCH_MAX: usize = 64;
/// A transaction takes no further element after this many bytes of elements. With one more of the largest
/// size its voters still fit into one command, and all of it, which names each voter twice and each element
/// once or twice, into a connection's output.
pub const TRANSACTION_BYTES_MAX: usize = 48 * 1024;
/// Most elements kept on the list of rejected ones; the oldest go first. Until the next cycle there can
/// be one batch more.
pub const REJECTED_MAX: usize = 1000;
/// Most rejected elements that are dropped in one cycle.
pub const TRIM_MAX: usize = BATCH_MAX;
/// How often a worker shows the others that it is there, and looks for them.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
/// A worker that has shown nothing for this long has left its votes to the others. Twice
/// [`HEARTBEAT_EVERY`]; should it only be slow, nothing is lost or counted twice.
pub const ORPHAN_AFTER: Duration = Duration::from_secs(10);
/// A worker that has shown nothing for this long, and has left nothing, is not looked for any more. By then
/// no command of its last connection can still be on the way: it gives a connection up after
/// [`REPLY_TIMEOUT`], and the store ends its `BLMOVE` after [`BLOCK_S`].
pub const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Most other workers that are watched; further ones are once some of these are gone.
pub const MEMBERS_MAX: usize = 64;
/// Longest first pause before a transaction is tried again that another worker got in the way of.
pub const YIELD_MIN: Duration = Duration::from_millis(1);
/// How often the longest pause doubles while others keep getting in the way.
pub const YIELD_DOUBLINGS_MAX: u32 = 5;
/// How long the store holds a `BLMOVE` on an empty queue.
pub const BLOCK_S: u8 = 5;
/// Longest wait for a reply; above [`BLOCK_S`], or an idle queue would look like a dead store.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(BLOCK_S as u64 + 5);
/// First pause after the store answered with an error.
pub const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest pause after the store answered with an error.
pub const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Longest part of a store's error message that is kept for logs and `/readyz`.
pub const MESSAGE_BYTES_MAX: usize = 160;
/// Longest `INSTANCE`, which names the processing list.
pub const INSTANCE_BYTES_MAX: usize = 64;
/// Most epochs of a store that are looked at; vote instances keep 256, and a field that says that there were more.
pub const EPOCHS_MAX: usize = 512;
/// Longest name of an epoch.
pub const EPOCH_BYTES_MAX: usize = 64;
