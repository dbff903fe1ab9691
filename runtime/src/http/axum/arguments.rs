//! Which part axum's extractors play in the call of an annotated handler.

use axum::extract::{
    ConnectInfo, Extension, Form, Json, MatchedPath, OriginalUri, Path, Query, RawForm, RawQuery,
    State,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Uri, Version};
use serde::{Serialize, Serializer};

use crate::model::{Arguments, Carrier, Carries, Fingerprintable, Unfingerprinted};

/// What the service brings to a request, or the way by which it came.
impl<S> Unfingerprinted for State<S> {}
impl<T> Unfingerprinted for Extension<T> {}
impl<T> Unfingerprinted for ConnectInfo<T> {}
impl Unfingerprinted for HeaderMap {}
impl Unfingerprinted for MatchedPath {}
impl Unfingerprinted for Version {}

macro_rules! carry_their_content {
    ($($extractor:ident)+) => {$(
        impl<T> Carrier for $extractor<T> {}

        impl<T: Fingerprintable> Carries for $extractor<T> {
            fn count(&self, arguments: Arguments) -> Arguments {
                arguments.with(&self.0)
            }
        }
    )+};
}

carry_their_content!(Form Json Path Query);

macro_rules! count_as {
    ($($extractor:ty: $value:expr;)+) => {$(
        impl Carrier for $extractor {}

        impl Carries for $extractor {
            fn count(&self, arguments: Arguments) -> Arguments {
                let value: fn(&$extractor) -> _ = $value;
                arguments.with(&value(self))
            }
        }
    )+};
}

/// Bytes as bytes, and not as a sequence of numbers.
struct Raw(Bytes);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

count_as! {
    Bytes: |bytes| Raw(bytes.clone());
    RawForm: |form| Raw(form.0.clone());
    RawQuery: |query| query.0.clone();
    Method: |method| method.to_string();
    Uri: |uri| uri.to_string();
    OriginalUri: |uri| uri.0.to_string();
}
