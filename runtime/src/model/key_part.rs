//! Values that may stand in a key.
