//! Room in which a thread puts texts together.

use std::cell::Cell;
use std::thread::LocalKey;

/// A text that is put together over and over: only what comes of it has to be allocated.
pub(super) type Room = LocalKey<Cell<String>>;

/// Runs `work` with an empty text. Nested in itself, or while the thread ends, it is a new one.
pub(super) fn with_text<T>(room: &'static Room, work: impl FnOnce(&mut String) -> T) -> T {
    let mut text = room.try_with(Cell::take).unwrap_or_default();
    let made = work(&mut text);
    text.clear();
    let _ = room.try_with(|room| room.set(text));
    made
}
