//! Which slot of a cluster a key is in, and names that are in a certain one.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crc16::{State, XMODEM};

use super::super::script::TOKENS;
use crate::store::Key;

/// A place for keys: all keys of one slot are in one server.
pub(super) type Slot = u16;

/// How many slots a cluster has.
pub(super) const SLOTS: Slot = 1 << 14;

/// The slot of a key.
pub(super) fn slot(key: &Key) -> Slot {
    slot_of(key.as_str())
}

/// The places of the keys, by their slots in rising order.
pub(super) fn by_slot<'k>(keys: impl Iterator<Item = &'k Key>) -> BTreeMap<Slot, Vec<usize>> {
    let mut places = BTreeMap::<_, Vec<_>>::new();
    for (place, key) in keys.enumerate() {
        places.entry(slot(key)).or_default().push(place);
    }
    places
}

/// The name of the key that counts the tokens of a slot, and is in it.
pub(super) fn counter(slot: Slot) -> String {
    let tag = TAGS.get(usize::from(slot)).copied().unwrap_or_default();
    format!("{TOKENS}:{{{tag}}}")
}

/// For each slot the lowest number whose text is in it. Every process must come to the same.
static TAGS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut tags = vec![None; usize::from(SLOTS)];
    let mut missing = tags.len();
    for number in 0_u32.. {
        let tag = &mut tags[usize::from(hash(number.to_string().as_bytes()))];
        if tag.is_none() {
            *tag = Some(number);
            missing -= 1;
            if missing == 0 {
                break;
            }
        }
    }
    tags.into_iter().flatten().collect()
});

/// Of a text with `{…}` in it only what is in there counts, unless it is nothing.
fn slot_of(text: &str) -> Slot {
    let tag = text.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    match tag {
        Some((tag, _)) if !tag.is_empty() => hash(tag.as_bytes()),
        _ => hash(text.as_bytes()),
    }
}

fn hash(bytes: &[u8]) -> Slot {
    State::<XMODEM>::calculate(bytes) % SLOTS
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{SLOTS, TAGS, by_slot, counter, slot, slot_of};
    use crate::store::Key;

    #[test]
    fn slots_are_those_of_the_cluster() {
        // As `CLUSTER KEYSLOT` of Redis 7.0.15 says.
        for (text, expected) in [
            ("foo", 12182),
            ("oncely:last_token", 10969),
            ("{user1000}.following", 3443),
            ("foo{}{bar}", 8363),
            ("foo{{bar}}zap", 4015),
            ("foo{bar}{zap}", 5061),
        ] {
            assert_eq!(slot_of(text), expected, "{text}");
        }
    }

    #[test]
    fn every_slot_has_a_counter_in_it() {
        for slot in 0..SLOTS {
            assert_eq!(slot_of(&counter(slot)), slot);
        }
        // A release that counts elsewhere would let tokens fall.
        assert_eq!(counter(0), "oncely:last_token:{3560}");
        assert!(TAGS.iter().all(|tag| *tag < 1_000_000));
    }

    #[test]
    fn keys_of_one_slot_stay_together() {
        let keys = ["{a}1", "b", "{a}2"].map(|name| Key::lock("app", name).unwrap());
        let groups = by_slot(keys.iter());
        assert_eq!(groups[&slot(&keys[0])], [0, 2]);
        assert_eq!(groups[&slot(&keys[1])], [1]);
    }
}
