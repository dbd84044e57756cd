//! A map that never grows beyond its cap: when it is full, the oldest of the light entries goes, and
//! only where there is none the oldest of the heavy ones.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Bounded; each call takes logarithmic time and none looks at all entries.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    cap: usize,
    entries: HashMap<K, Held<V>>,
    /// By the number of the touch: the light ones, the heavy ones.
    ages: [BTreeMap<u64, K>; 2],
    touches: u64,
}

#[derive(Debug)]
struct Held<V> {
    value: V,
    weight: Weight,
    touch: u64,
}

/// What is lost where an entry has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// Little: it goes first.
    Light,
    /// A penalty that holds somebody back.
    Heavy,
}

impl<K: Clone + Eq + Hash, V> Table<K, V> {
    /// An empty table for at most `cap` entries.
    pub(super) fn new(cap: usize) -> Self {
        Self {
            cap,
            entries: HashMap::new(),
            ages: [BTreeMap::new(), BTreeMap::new()],
            touches: 0,
        }
    }

    /// The value of `key`, if it is there.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|held| &held.value)
    }

    /// Puts a value in, in place of an earlier one of that key; it is the youngest then.
    pub(super) fn put(&mut self, key: K, value: V, weight: Weight) {
        self.remove(&key);
        if self.entries.len() >= self.cap {
            let [light, heavy] = &mut self.ages;
            let gone = light.pop_first().or_else(|| heavy.pop_first());
            if let Some((_, oldest)) = gone {
                self.entries.remove(&oldest);
            }
        }
        self.touches += 1;
        let touch = self.touches;
        self.ages[weight as usize].insert(touch, key.clone());
        let held = Held {
            value,
            weight,
            touch,
        };
        self.entries.insert(key, held);
        debug_assert_eq!(
            self.entries.len(),
            self.ages.iter().map(BTreeMap::len).sum::<usize>()
        );
        debug_assert!(self.entries.len() <= self.cap);
    }

    /// Forgets `key`.
    pub(super) fn remove(&mut self, key: &K) {
        if let Some(held) = self.entries.remove(key) {
            self.ages[held.weight as usize].remove(&held.touch);
        }
    }

    /// How many entries there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_loses_its_oldest_light_entry_and_heavy_ones_last() {
        let mut table = Table::new(3);
        table.put("heavy", 0, Weight::Heavy);
        table.put("one", 1, Weight::Light);
        table.put("two", 2, Weight::Light);
        table.put("one", 3, Weight::Light);
        table.put("three", 4, Weight::Light);
        assert_eq!(table.get(&"two"), None, "the one longest untouched");
        assert_eq!((table.get(&"one"), table.len()), (Some(&3), 3));
        table.put("one", 5, Weight::Heavy);
        table.put("four", 6, Weight::Heavy);
        assert_eq!(table.get(&"three"), None, "the last light one");
        table.put("five", 7, Weight::Light);
        assert_eq!(table.get(&"heavy"), None, "the oldest heavy one");
        table.remove(&"one");
        assert_eq!((table.get(&"one"), table.len()), (None, 2));
    }
}
