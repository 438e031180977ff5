//! Every limit of the worker, in one place.
//!
//! Holds no limits of HTTP or of connections: those are kernel-app's.

use core::time::Duration;

/// Longest `voter_id` and `id`, in characters; the original's column is `VARCHAR(255)`.
pub const TEXT_CHARS_MAX: usize = 255;
/// Longest queue element that is looked into. Enough for a `voter_id` of [`TEXT_CHARS_MAX`]
/// characters that are all escaped; longer elements are set aside unread.
pub const PAYLOAD_BYTES_MAX: usize = 4096;
/// Most elements on the processing list, and so the most that a crash leaves to be replayed.
pub const BATCH_MAX: usize = 64;
/// A transaction takes no further vote after this many bytes of commands. With one more vote of the
/// largest size it still fits into a connection's output.
pub const TRANSACTION_BYTES_MAX: usize = 128 * 1024;
/// Most elements kept on the list of rejected ones; the oldest go first. Until the next cycle there can
/// be one batch more.
pub const REJECTED_MAX: usize = 1000;
/// Most rejected elements that are dropped in one cycle.
pub const TRIM_MAX: usize = BATCH_MAX;
/// How long the store holds a `BLMOVE` on an empty queue.
pub const BLOCK_S: u8 = 5;
/// Longest wait for the next reply; above [`BLOCK_S`], or an idle queue would look like a dead store.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(BLOCK_S as u64 + 5);
/// First pause after the store answered with an error.
pub const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest pause after the store answered with an error.
pub const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Longest part of a store's error message that is kept for logs and `/readyz`.
pub const MESSAGE_BYTES_MAX: usize = 160;
/// Longest `INSTANCE`, which names the processing list.
pub const INSTANCE_BYTES_MAX: usize = 64;
