//! The store as the consumer sees it, and what its replies answer.

use crate::limits::REPLY_TIMEOUT;
use kernel_app::Context;
use kernel_app::client::{StoreClient, StoreSendError};
use votes::Choice;

/// What a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// `LMOVE` back to the queue.
    Replayed,
    /// `LMOVE` or `BLMOVE` to the processing list.
    Fetched,
    /// `WATCH`, `UNWATCH`, `MULTI`, or a command that the transaction takes up.
    Acknowledged,
    /// `HMGET` of one option's results.
    Held(Choice),
    /// `EXEC`.
    Executed,
    /// `EXEC` of the `LMOVE` of an oversized element to the rejected ones.
    SetAside,
    /// `LPUSH` of an element that was removed but not counted.
    Restored,
    /// `LPOP` of an old rejected element.
    Trimmed,
    /// `LLEN` of the processing list.
    ProcessingLength,
    /// `LLEN` of the rejected ones.
    RejectedLength,
    /// `LLEN` of the queue.
    Depth,
    /// `HINCRBY` of this worker's count.
    Shown,
    /// `HGETALL` of all workers' counts.
    Looked,
    /// `LMOVE` from another worker's processing list back to the queue.
    Reclaimed,
    /// `LLEN` of another worker's processing list.
    LeftBehind,
    /// `HDEL` of another worker.
    Forgotten,
    /// `HGETALL` of the epochs.
    Epochs,
}

/// What comes of sending: nothing, or why it cannot be.
pub(super) type Sent = Result<(), StoreSendError>;

/// The store, while something may be sent to it.
pub struct Store<'a, 'b> {
    /// The connection.
    pub client: &'a mut StoreClient<Awaited>,
    /// The time, and where the bytes go.
    pub context: &'a mut Context<'b>,
}

impl Store<'_, '_> {
    pub(super) fn send(&mut self, args: &[&[u8]], awaited: Awaited) -> Sent {
        self.client.inquire(args, awaited, REPLY_TIMEOUT, self.context)
    }
}
