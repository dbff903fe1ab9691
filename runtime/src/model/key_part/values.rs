//! The standard types that may stand in a key, and `Uuid`.
//!
//! No implementation is recommended: the trait's own advice says more than a list that is cut off,
//! and changes with the features; and it names the type the user wrote, not what it points to.

use std::borrow::Cow;
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;

use super::{KeyPart, KeyPartWriter};

#[diagnostic::do_not_recommend]
impl KeyPart for str {
    fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
        writer.push_str(self);
    }
}

#[diagnostic::do_not_recommend]
impl KeyPart for String {
    fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
        writer.push_str(self);
    }
}

#[diagnostic::do_not_recommend]
impl KeyPart for Cow<'_, str> {
    fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
        writer.push_str(self);
    }
}

#[diagnostic::do_not_recommend]
impl KeyPart for char {
    fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
        writer.push_str(self.encode_utf8(&mut [0; 4]));
    }
}

macro_rules! displayed {
    ($($value:ty)*) => {$(
        #[diagnostic::do_not_recommend]
        impl KeyPart for $value {
            fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
                writer.push_display(self);
            }
        }
    )*};
}

macro_rules! integers {
    ($($integer:ty)*) => {
        displayed! { $(NonZero<$integer>)* }
        $(
            #[diagnostic::do_not_recommend]
            impl KeyPart for $integer {
                fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
                    writer.push_str(itoa::Buffer::new().format(*self));
                }
            }
        )*
    };
}

displayed! { bool }
integers! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize }

#[cfg(feature = "uuid")]
displayed! { uuid::Uuid }

macro_rules! pointers {
    ($($pointer:ty)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<T: KeyPart + ?Sized> KeyPart for $pointer {
            fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
                T::write_key_part(self, writer);
            }
        }
    )*};
}

pointers! { &T &mut T Box<T> Arc<T> Rc<T> }
