//! Which values have one fingerprint, and which never do.

use std::collections::BTreeMap;

use oncely::Arguments;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde::ser::{Serialize, Serializer};

use super::of;
use super::shapes::{Displayed, Map, Unannounced};

/// A value of serde's data model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Unit,
    Bool(bool),
    Int(i128),
    Float(u64),
    Text(String),
    Bytes(Vec<u8>),
    None,
    Some(Box<Tree>),
    List(Vec<Tree>),
    Map(BTreeMap<String, Tree>),
    UnitVariant(&'static str),
    NewtypeVariant(&'static str, Box<Tree>),
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unit => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i128(*value),
            Self::Float(bits) => serializer.serialize_f64(f64::from_bits(*bits)),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::None => serializer.serialize_none(),
            Self::Some(value) => serializer.serialize_some(value),
            Self::List(elements) => elements.serialize(serializer),
            Self::Map(entries) => entries.serialize(serializer),
            Self::UnitVariant(name) => serializer.serialize_unit_variant("", 0, name),
            Self::NewtypeVariant(name, value) => {
                serializer.serialize_newtype_variant("", 0, name, value)
            }
        }
    }
}

/// Small trees of few values, so that two of them are often nearly equal.
fn tree() -> impl Strategy<Value = Tree> {
    let text = || select(vec!["", "a", "b", "ab", "s", ".", "[."]);
    let leaf = prop_oneof![
        Just(Tree::Unit),
        Just(Tree::None),
        any::<bool>().prop_map(Tree::Bool),
        select(vec![0, 1, -1, 255, 256, i128::MIN]).prop_map(Tree::Int),
        select(vec![0.0_f64, -0.0, 1.0, -1.0]).prop_map(|value| Tree::Float(value.to_bits())),
        text().prop_map(|text| Tree::Text(text.to_owned())),
        text().prop_map(|text| Tree::Bytes(text.as_bytes().to_owned())),
        text().prop_map(Tree::UnitVariant),
    ];
    leaf.prop_recursive(3, 8, 3, move |tree| {
        prop_oneof![
            tree.clone().prop_map(|value| Tree::Some(Box::new(value))),
            vec(tree.clone(), 0..3).prop_map(Tree::List),
            btree_map(text().prop_map(str::to_owned), tree.clone(), 0..3).prop_map(Tree::Map),
            (text(), tree).prop_map(|(name, value)| Tree::NewtypeVariant(name, Box::new(value))),
        ]
    })
}

proptest! {
    #[test]
    fn different_values_differ(a in tree(), b in tree()) {
        prop_assert_eq!(of(&a) == of(&b), a == b);
    }

    #[test]
    fn moved_boundaries_differ(text in "[ab.\\[s]{1,6}", cuts in vec(0..6_usize, 2)) {
        let split = |cut: usize| text.split_at(cut.min(text.len()));
        let (some, other) = (split(cuts[0]), split(cuts[1]));
        prop_assert_eq!(of(&some) == of(&other), some == other);

        let arguments = |(a, b): (&str, &str)| Arguments::new().with(a).with(b).finish().unwrap();
        prop_assert_eq!(arguments(some) == arguments(other), some == other);

        let characters: Vec<char> = text.chars().collect();
        let split = |cut: usize| characters.split_at(cut.min(characters.len()));
        prop_assert_eq!(of(&split(cuts[0])) == of(&split(cuts[1])), some == other);
    }

    #[test]
    fn the_order_of_a_map_does_not_count(
        (entries, shuffled) in vec((any::<i16>(), tree()), 0..12)
            .prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle()))
    ) {
        prop_assert_eq!(of(&Map(&entries)), of(&Map(&shuffled)));
    }

    #[test]
    fn the_width_of_an_integer_does_not_count(value in any::<i8>()) {
        let fingerprint = of(&value);
        prop_assert_eq!(fingerprint, of(&i16::from(value)));
        prop_assert_eq!(fingerprint, of(&i32::from(value)));
        prop_assert_eq!(fingerprint, of(&i64::from(value)));
        prop_assert_eq!(fingerprint, of(&i128::from(value)));
        if let Ok(value) = u8::try_from(value) {
            prop_assert_eq!(fingerprint, of(&value));
            prop_assert_eq!(fingerprint, of(&u16::from(value)));
            prop_assert_eq!(fingerprint, of(&u32::from(value)));
            prop_assert_eq!(fingerprint, of(&u64::from(value)));
            prop_assert_eq!(fingerprint, of(&u128::from(value)));
        }
        prop_assert_ne!(fingerprint, of(&f64::from(value)));
    }

    #[test]
    fn integers_are_not_rounded(a in any::<u128>(), b in any::<i128>(), flip in 0..127_u32) {
        prop_assert_ne!(of(&a), of(&(a ^ (1 << flip))));
        prop_assert_ne!(of(&b), of(&(b ^ (1 << flip))));
        prop_assert_eq!(of(&a) == of(&b), i128::try_from(a) == Ok(b));
    }

    #[test]
    fn borrowed_and_owned_values_are_equal(text in any::<String>(), list in vec(any::<u32>(), 0..5)) {
        prop_assert_eq!(of(&text), of(text.as_str()));
        prop_assert_eq!(of(&text), of(&Displayed(&text)));
        prop_assert_eq!(of(&Some(&text)), of(&Some(Box::new(text))));
        prop_assert_eq!(of(&list), of(&list[..]));
        prop_assert_eq!(of(&list), of(&Unannounced(&list)));
    }

    #[test]
    fn a_float_is_the_double_it_widens_to(bits in any::<u32>(), other in any::<u64>()) {
        let value = f32::from_bits(bits);
        prop_assert_eq!(of(&value), of(&f64::from(value)));
        let other = f64::from_bits(other);
        let wide = f64::from(value);
        let same = wide.to_bits() == other.to_bits() || wide.is_nan() && other.is_nan();
        prop_assert_eq!(of(&value) == of(&other), same);
    }
}
