//! The attributes of oncely.
