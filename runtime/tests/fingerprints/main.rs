//! Fingerprints never change: every case of serde's data model against a file of vectors, and the
//! laws of equality and difference.

#![allow(clippy::unwrap_used, clippy::panic)]

mod laws;
mod shapes;

use std::collections::{BTreeMap, HashMap};
use std::error::Error as _;

use oncely::{Arguments, Fingerprint};
use serde::ser::{Serialize, SerializeMap, Serializer};

use laws::Tree;
use shapes::{
    Bytes, Choice, Displayed, Endless, Failing, Flattened, Map, Newtype, Order, Reordered, Rest,
    Tuple, Unannounced, Unit,
};

/// Every value of the file of vectors, by its name there.
fn vectors() -> Vec<(&'static str, Fingerprint)> {
    let order = Order { id: 7, amount: -250, note: Some("naïve") };
    let nested = BTreeMap::from([("b", vec![1, 2]), ("a", vec![])]);
    vec![
        ("unit", of(&())),
        ("unit struct", of(&Unit)),
        ("false", of(&false)),
        ("true", of(&true)),
        ("0", of(&0_u8)),
        ("5 as u8", of(&5_u8)),
        ("5 as i128", of(&5_i128)),
        ("-1 as i8", of(&-1_i8)),
        ("-128", of(&-128_i16)),
        ("255 as i32", of(&255_i32)),
        ("256 as u16", of(&256_u16)),
        ("i64 minimum", of(&i64::MIN)),
        ("2^53 + 1", of(&((1_u64 << 53) + 1))),
        ("u32 maximum", of(&u32::MAX)),
        ("u64 maximum", of(&u64::MAX)),
        ("u128 maximum", of(&u128::MAX)),
        ("i128 minimum", of(&i128::MIN)),
        ("0.0", of(&0.0_f64)),
        ("-0.0", of(&-0.0_f32)),
        ("1.5 as f32", of(&1.5_f32)),
        ("0.1 as f32", of(&0.1_f32)),
        ("0.1 as f64", of(&0.1_f64)),
        ("infinity", of(&f64::INFINITY)),
        ("not a number", of(&-f32::NAN)),
        ("char", of(&'é')),
        ("empty string", of("")),
        ("string", of("a/b")),
        ("string of 300", of(&"x".repeat(300))),
        ("displayed string of 300", of(&Displayed("x".repeat(300)))),
        ("bytes", of(&Bytes(b"a/b"))),
        ("none", of(&None::<u8>)),
        ("some unit", of(&Some(()))),
        ("some none", of(&Some(None::<u8>))),
        ("some 5", of(&Some(5))),
        ("newtype of 5", of(&Newtype(5))),
        ("empty sequence", of(&[0_u8; 0])),
        ("sequence", of(&[1, 2, 3])),
        ("sequence without length", of(&Unannounced(&[1, 2, 3]))),
        ("tuple", of(&(1, "b", false))),
        ("tuple struct", of(&Tuple(1, "b"))),
        ("empty map", of(&Map::<u8, u8>(&[]))),
        ("map", of(&Map(&[("bb", 1), ("c", 2), ("a", 3)]))),
        ("map of integers", of(&HashMap::from([(300, true), (-2, false)]))),
        ("map with equal keys", of(&Map(&[("a", 2), ("b", 0), ("a", 1)]))),
        ("map of sequences", of(&nested)),
        ("struct", of(&order)),
        ("unit variant", of(&Choice::Unit)),
        ("newtype variant", of(&Choice::Newtype(1))),
        ("tuple variant", of(&Choice::Tuple(1, 2))),
        ("struct variant", of(&Choice::Struct { b: 1, a: 2 })),
        ("empty tuple variant", of(&Choice::Empty())),
        ("empty struct variant", of(&Choice::Hollow {})),
        ("no arguments", Arguments::new().finish().unwrap()),
        ("arguments", Arguments::new().with(&5).with("x").with(&order).finish().unwrap()),
    ]
}

/// A line of the file is a name, the canonical form and its digest.
#[test]
fn fingerprints_are_those_of_every_other_release() {
    let mut lines = include_str!("vectors.txt").lines().filter(|line| !line.starts_with('#'));
    for (name, fingerprint) in vectors() {
        let line = lines.next().unwrap_or_else(|| panic!("no vector for `{name}`"));
        let mut fields = line.split(" | ");
        let mut field = || fields.next().unwrap().trim();
        assert_eq!(field(), name);
        let canonical = blake3::hash(&from_hex(field())).to_hex();
        assert_eq!(field(), canonical.as_str(), "the digest of `{name}` is not of its form");
        assert_eq!(fingerprint.to_hex(), canonical.as_str(), "the fingerprint of `{name}`");
        assert_eq!(fingerprint.version(), 1);
    }
    assert_eq!(lines.next(), None);
}

fn from_hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn a_fingerprint_survives_the_store() {
    let fingerprint = of("x");
    assert_eq!(Fingerprint::from_bytes(&fingerprint.to_bytes()), Some(fingerprint));
    assert_eq!(fingerprint.to_string(), format!("v1:{}", fingerprint.to_hex()));
    assert_eq!(Fingerprint::from_bytes(&[]), None);
    assert_eq!(Fingerprint::from_bytes(&[1; 32]), None);
}

#[test]
fn arguments_are_their_tuple() {
    let (a, b, c) = (1_u8, "b".to_owned(), [Some(2.5), None]);
    let three = Arguments::new().with(&a).with(&b).with(&c).finish().unwrap();
    assert_eq!(three, of(&(a, &b, c)));
    assert_eq!(Arguments::new().with(&a).finish().unwrap(), of(&(a,)));
    assert_eq!(Arguments::new().finish().unwrap(), of(&()));
    assert_ne!(Arguments::new().with(&()).finish().unwrap(), of(&()));
    assert_eq!(format!("{:?}", Arguments::new().with("secret")), "Arguments { .. }");
}

#[test]
fn refactoring_a_struct_keeps_its_fingerprint() {
    let order = of(&Order { id: 7, amount: -2, note: "n" });
    assert_eq!(order, of(&Reordered { note: String::from("n"), amount: -2, id: 7 }));
    let rest = Rest { note: "n", amount: -2 };
    assert_eq!(order, of(&Newtype(Box::new(Flattened { id: 7, rest }))));
}

#[test]
fn an_argument_that_does_not_serialize_is_an_error_with_its_reason() {
    let arguments = Arguments::new().with(&1).with(&Failing).with(&Endless);
    for error in [arguments.finish().unwrap_err(), Fingerprint::of(&[Failing]).unwrap_err()] {
        assert_eq!(error.to_string(), "the arguments cannot be fingerprinted");
        let source = error.source().unwrap();
        assert_eq!(source.to_string(), "out of order");
    }
}

#[test]
fn a_value_that_contains_itself_is_an_error() {
    let error = Fingerprint::of(&Endless).unwrap_err();
    let source = error.source().unwrap();
    assert_eq!(source.to_string(), "the value is nested more than 128 levels deep");

    let nested = |levels| (0..levels).fold(Tree::Int(1), |tree, _| Tree::Some(Box::new(tree)));
    assert!(Fingerprint::of(&nested(128)).is_ok());
    assert!(Fingerprint::of(&nested(129)).is_err());
}

#[test]
fn a_failure_that_is_passed_over_leaves_nothing_behind() {
    struct Tolerant(bool);

    impl Serialize for Tolerant {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut entries = serializer.serialize_map(None)?;
            entries.serialize_entry("b", &1)?;
            if self.0 {
                let failing = Map(&[("z", None), ("y", Some(Failing))]);
                assert!(entries.serialize_entry("c", &failing).is_err());
                assert!(entries.serialize_entry(&Failing, "c").is_err());
            }
            entries.serialize_entry("a", &2)?;
            entries.end()
        }
    }

    assert_eq!(of(&Tolerant(true)), of(&Tolerant(false)));
}

fn of<T: Serialize + ?Sized>(value: &T) -> Fingerprint {
    Fingerprint::of(value).unwrap()
}
