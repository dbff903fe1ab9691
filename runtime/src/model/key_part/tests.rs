//! What keys look like, and that no two lists of parts share one.

#![allow(clippy::unwrap_used)]

use std::borrow::Cow;
use std::fmt;
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::Piece::{Part, Text};
use super::*;
use crate::model::ErrorKind;

fn rendered(pieces: &[Piece<'_>]) -> String {
    render(pieces).unwrap()
}

fn alone(part: &dyn KeyPart) -> String {
    rendered(&[Part(part)])
}

fn refusal(pieces: &[Piece<'_>]) -> String {
    let error = render(pieces).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidKey);
    error.to_string()
}

/// Puts another key together while its own is.
struct Nested(&'static str);

impl KeyPart for Nested {
    fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
        writer.push_str(&rendered(&[Text("inner-"), Part(&self.0)]));
    }
}

#[test]
fn a_part_may_render_a_key_of_its_own() {
    let key = [Text("outer:"), Part(&Nested("one")), Text(":"), Part(&Nested("other"))];
    assert_eq!(rendered(&key), "outer:inner-one:inner-other");
    assert_eq!(rendered(&[Text("after")]), "after");
}

#[test]
fn ordinary_values_stand_as_they_are() {
    assert_eq!(rendered(&[Text("order:"), Part(&42)]), "order:42");
    assert_eq!(rendered(&[Text("user:"), Part(&"a@b")]), "user:a%40b");
    assert_eq!(rendered(&[Part(&"Zoë"), Text("/"), Part(&true)]), "Zoë/true");
    assert_eq!(alone(&"AZaz09-._~"), "AZaz09-._~");
    assert_eq!(alone(&"a b/c%\0"), "a%20b%2Fc%25%00");
}

#[test]
fn every_standard_type_has_its_own_spelling() {
    assert_eq!(alone(&u128::MAX), u128::MAX.to_string());
    assert_eq!(alone(&i128::MIN), i128::MIN.to_string());
    assert_eq!(alone(&NonZero::<u8>::MIN), "1");
    assert_eq!(alone(&false), "false");
    assert_eq!(alone(&'é'), "é");
    assert_eq!(alone(&':'), "%3A");
    let pointers: [&dyn KeyPart; 7] = [
        &"x".to_owned(),
        &Cow::Borrowed("x"),
        &Box::<str>::from("x"),
        &Arc::<str>::from("x"),
        &Rc::<str>::from("x"),
        &&&"x",
        &&mut 'x',
    ];
    for pointer in pointers {
        assert_eq!(alone(pointer), "x");
    }
}

#[test]
fn the_character_after_a_part_is_escaped_inside_it() {
    let key = |x: &str, y: &str| rendered(&[Part(&x), Text("-"), Part(&y)]);
    assert_eq!(key("a-b", "c"), "a%2Db-c");
    assert_eq!(key("a", "b-c"), "a-b-c");

    assert_eq!(rendered(&[Part(&"a4"), Text("41"), Part(&"4")]), "a%34414");
    assert_eq!(rendered(&[Part(&"né"), Text("é")]), "n%C3%A9é");
    assert_eq!(rendered(&[Part(&"a%"), Text("%41"), Part(&"")]), "a%25%%41");
    assert_eq!(rendered(&[Part(&"1-"), Text(""), Text("-")]), "1%2D-");
}

#[test]
fn parts_without_text_between_them_are_refused() {
    let message = refusal(&[Part(&1), Text(""), Part(&2)]);
    assert_eq!(message, "two parts of the key have no text between them");
}

#[test]
fn a_key_is_neither_empty_nor_too_long() {
    assert_eq!(refusal(&[]), "the key is empty");
    assert_eq!(refusal(&[Text(""), Part(&"")]), "the key is empty");
    assert_eq!(rendered(&[Part(&"x".repeat(512))]).len(), 512);

    let too_long = "the key has more than 512 bytes; use a shorter one or its hash";
    assert_eq!(refusal(&[Part(&"x".repeat(513))]), too_long);
    assert_eq!(refusal(&[Part(&":".repeat(171))]), too_long);
    assert_eq!(refusal(&[Text(&"x".repeat(513))]), too_long);
    assert_eq!(refusal(&[Part(&Displayed(endless))]), too_long);
}

#[test]
fn a_part_that_is_too_long_is_not_copied_whole() {
    let mut text = String::new();
    let mut writer = KeyPartWriter { text: &mut text, following: None, failed: false };
    writer.push_str(&":".repeat(1 << 20));
    writer.push_display("x".repeat(1 << 20));
    assert!(!writer.failed);
    assert!(text.capacity() <= 4 * MAX_KEY_BYTES);
}

#[test]
fn a_part_that_cannot_be_displayed_is_refused() {
    let message = refusal(&[Text("x"), Part(&Displayed(|_| Err(fmt::Error)))]);
    assert_eq!(message, "a part of the key cannot be displayed");
}

#[cfg(feature = "uuid")]
#[test]
fn uuids_are_hyphenated_and_in_lower_case() {
    let id = uuid::Uuid::from_u128(0xABCD_EF01_2345);
    assert_eq!(alone(&id), "00000000-0000-0000-0000-abcdef012345");
}

#[cfg(all(feature = "chrono", feature = "time", feature = "jiff"))]
#[test]
fn every_date_crate_gives_the_same_key() {
    let date = "2026-01-02";
    assert_eq!(alone(&chrono::NaiveDate::from_ymd_opt(2026, 1, 2).unwrap()), date);
    let january = time::Month::January;
    assert_eq!(alone(&time::Date::from_calendar_date(2026, january, 2).unwrap()), date);
    assert_eq!(alone(&jiff::civil::date(2026, 1, 2)), date);

    for nanoseconds in [0, 1, -1, 1_767_312_000_000_000_042, -62_135_596_800_000_000_001_i128] {
        let time = time::OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap();
        let seconds = nanoseconds.div_euclid(1_000_000_000) as i64;
        let rest = nanoseconds.rem_euclid(1_000_000_000) as u32;
        let chrono = chrono::DateTime::from_timestamp(seconds, rest).unwrap();
        let jiff = jiff::Timestamp::from_nanosecond(nanoseconds).unwrap();
        assert_eq!(alone(&time), alone(&chrono));
        assert_eq!(alone(&time), alone(&jiff));

        let local = time::PrimitiveDateTime::new(time.date(), time.time());
        assert_eq!(alone(&local), alone(&chrono.naive_utc()));
        assert_eq!(alone(&local), alone(&jiff::tz::Offset::UTC.to_datetime(jiff)));
        assert_eq!(alone(&time), alone(&local) + "Z");
    }
}

#[cfg(feature = "chrono")]
#[test]
fn equal_instants_give_one_key_in_every_zone() {
    let utc = chrono::DateTime::from_timestamp(1_767_322_800, 5).unwrap();
    let zone = chrono::FixedOffset::east_opt(5400).unwrap();
    assert_eq!(alone(&utc), "2026-01-02T03%3A00%3A00.000000005Z");
    assert_eq!(alone(&utc.with_timezone(&zone)), alone(&utc));
}

#[cfg(feature = "chrono")]
#[test]
fn leap_seconds_meet_no_other_time() {
    use chrono::{NaiveDate, Timelike};

    let day = NaiveDate::from_ymd_opt(2016, 12, 31).unwrap();
    let leap = day.and_hms_nano_opt(23, 59, 59, 1_500_000_000).unwrap();
    assert_eq!(alone(&leap), "2016-12-31T23%3A59%3A60.500000000");
    let odd = day.and_hms_opt(1, 2, 3).unwrap().with_nanosecond(1_500_000_000).unwrap();
    let next = day.and_hms_nano_opt(1, 2, 4, 500_000_000).unwrap();
    assert_ne!(alone(&odd), alone(&next));
}

#[cfg(feature = "chrono")]
#[test]
fn years_beyond_four_digits_have_a_sign() {
    let first = |year| alone(&chrono::NaiveDate::from_ymd_opt(year, 1, 1).unwrap());
    assert_eq!(first(12), "0012-01-01");
    assert_eq!(first(-1), "-0001-01-01");
    assert_eq!(first(10_000), "%2B10000-01-01");
}

#[cfg(feature = "time")]
#[test]
fn an_instant_without_a_date_in_utc_still_has_a_key() {
    let zone = |hours| time::UtcOffset::from_hms(hours, 0, 0).unwrap();
    let last = time::PrimitiveDateTime::MAX;
    let beyond = last.assume_offset(zone(-2));
    let same = beyond.checked_to_offset(zone(-3)).unwrap();
    assert_eq!(alone(&beyond), alone(&same));
    assert_ne!(alone(&beyond), alone(&last.assume_offset(zone(-1))));
}

proptest! {
    #[test]
    fn the_parts_of_a_key_can_be_read_back((texts, parts) in template(parts)) {
        let key = key(&texts, &parts);
        prop_assert_eq!(read_back(&key, &texts), Some(parts));
    }

    #[test]
    fn different_parts_give_different_keys(
        (texts, (some, others)) in template(|count| (parts(count), parts(count)))
    ) {
        prop_assert_eq!(key(&texts, &some) == key(&texts, &others), some == others);
    }
}

/// The texts of a template, the first and last of which may be empty, and values for what stands
/// between them.
fn template<S: Strategy>(
    values: impl Fn(usize) -> S + Clone,
) -> impl Strategy<Value = (Vec<String>, S::Value)> {
    (0..4_usize, text(0), text(0)).prop_flat_map(move |(inner, first, last)| {
        let texts = vec(text(1), inner).prop_map(move |inner| {
            let (first, last) = (first.clone(), last.clone());
            [first].into_iter().chain(inner).chain([last]).collect::<Vec<_>>()
        });
        (texts, values(inner + 1))
    })
}

fn parts(count: usize) -> impl Strategy<Value = Vec<String>> + use<> {
    vec(text(0), count)
}

/// Pieces of text that make accidents likely.
const AWKWARD: &[&str] =
    &["%", "%%", "%25", "%4", "4", "1", "2", "5", "A", "a", "C3", "é", "ê", ":", "-"];

/// Text of a few characters, most of it awkward.
fn text(least: usize) -> impl Strategy<Value = String> {
    prop_oneof![
        8 => vec(select(AWKWARD), least..4).prop_map(|pieces| pieces.concat()),
        1 => vec(any::<char>(), least..4).prop_map(String::from_iter),
    ]
}

/// The key, or nothing where it would be empty: that is refused, and has only one reading.
fn key(texts: &[String], parts: &[String]) -> String {
    let mut pieces = vec![Text(&texts[0])];
    for (part, text) in parts.iter().zip(&texts[1..]) {
        pieces.extend([Part(part), Text(text)]);
    }
    render(&pieces).unwrap_or_default()
}

/// Reads a key as the proof at [`render`] does.
fn read_back(key: &str, texts: &[String]) -> Option<Vec<String>> {
    let mut rest = key.strip_prefix(&texts[0].replace('%', "%%"))?;
    let mut parts = Vec::new();
    for text in &texts[1..] {
        let mut part = Vec::new();
        while let Some(first) = rest.chars().next() {
            let escape = rest.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
            match (first, escape) {
                ('%', Some(byte)) => {
                    part.push(byte);
                    rest = &rest[3..];
                }
                _ if first == '%' || text.starts_with(first) => break,
                _ => {
                    part.extend(first.encode_utf8(&mut [0; 4]).bytes());
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        parts.push(String::from_utf8(part).ok()?);
        rest = rest.strip_prefix(&text.replace('%', "%%"))?;
    }
    rest.is_empty().then_some(parts)
}

/// A part that displays as a function says.
struct Displayed(fn(&mut fmt::Formatter<'_>) -> fmt::Result);

impl KeyPart for Displayed {
    fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
        writer.push_display(self);
    }
}

impl Display for Displayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

fn endless(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    loop {
        f.write_str("x")?;
    }
}
