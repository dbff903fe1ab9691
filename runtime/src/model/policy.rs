//! The choices a caller makes about the two things nobody can prevent: interruptions and outages.

/// What the next call does when the one before it ended without an outcome: its process died, it
/// panicked, or its future was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnInterrupted {
    /// Run the body again: at least once. The body sees a higher
    /// [`attempt`](crate::Call::attempt).
    #[default]
    Rerun,
    /// Refuse with [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted) until someone
    /// resolves the record: at most once.
    Hold,
}

/// What a call does when the store cannot be reached before its body starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnStoreError {
    /// Fail closed with [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable).
    #[default]
    Refuse,
    /// Run the body without protection, and report it: unless another is known to hold the key. Then
    /// the call waits for the store as long as it would wait for the other.
    Run,
}
