//! An ordered map that uses no more memory than its entries while there are few of them.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::{mem, slice};

/// The largest number of entries in a vector. Moving this many entries costs less than following the pointers of a
/// tree.
const FEW: usize = 8;

/// An ordered map for programs with many maps of one or two entries each: a tree would allocate a node for eleven
/// entries in each of them.
///
/// With 1,000 connections, each with one subscription to a profile of its own, a hub takes 161 bytes a connection if it is
/// to every event and 209 bytes if it is to one. `core/tests/hub_memory.rs` measures it.
///
/// Every operation takes `O(log n)`, as with a tree.
#[derive(Clone, Debug)]
pub(super) enum SmallMap<K, V> {
    /// At most [`FEW`] entries, in order.
    Few(Vec<(K, V)>),
    /// One entry, which is not in a vector.
    One((K, V)),
    #[expect(
        clippy::box_collection,
        reason = "so the enum takes no more than a vector: there are many, and few are trees"
    )]
    Many(Box<BTreeMap<K, V>>),
}

impl<K: Ord, V> SmallMap<K, V> {
    pub(super) const fn new() -> Self {
        Self::Few(Vec::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Few(entries) => entries.is_empty(),
            Self::One(_) => false,
            Self::Many(entries) => entries.is_empty(),
        }
    }

    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let entries: &[_] = match self {
            Self::Few(entries) => entries,
            Self::One(entry) => slice::from_ref(entry),
            Self::Many(entries) => return entries.get(key),
        };
        entries.get(find(entries, key).ok()?).map(|(_, value)| value)
    }

    pub(super) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let entries: &mut [_] = match self {
            Self::Few(entries) => entries,
            Self::One(entry) => slice::from_mut(entry),
            Self::Many(entries) => return entries.get_mut(key),
        };
        let index = find(entries, key).ok()?;
        entries.get_mut(index).map(|(_, value)| value)
    }

    /// The keys in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        let (few, many) = match self {
            Self::Few(entries) => (entries.as_slice(), None),
            Self::One(entry) => (slice::from_ref(entry), None),
            Self::Many(entries) => (&[][..], Some(entries.keys())),
        };
        few.iter().map(|(key, _)| key).chain(many.into_iter().flatten())
    }

    /// Changes the value of `key`. If there is none, it changes the default value and inserts it.
    pub(super) fn update(&mut self, key: &K, change: impl FnOnce(&mut V))
    where
        K: Clone,
        V: Default,
    {
        if let Some(value) = self.get_mut(key) {
            return change(value);
        }
        let mut value = V::default();
        change(&mut value);
        let entry = (key.clone(), value);
        *self = match mem::take(self) {
            Self::Few(entries) if entries.is_empty() => Self::One(entry),
            Self::One(other) => {
                let mut entries = Vec::from([other, entry]);
                entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
                Self::Few(entries)
            }
            Self::Few(mut entries) if entries.len() < FEW => {
                if entries.len() == entries.capacity() {
                    entries.reserve_exact(entries.len());
                }
                let index = find(&entries, key).unwrap_or_else(|index| index);
                entries.insert(index, entry);
                Self::Few(entries)
            }
            Self::Few(entries) => Self::Many(Box::new(entries.into_iter().chain([entry]).collect())),
            Self::Many(mut entries) => {
                entries.insert(entry.0, entry.1);
                Self::Many(entries)
            }
        };
    }

    pub(super) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        match self {
            Self::Few(entries) => {
                if let Ok(index) = find(entries, key) {
                    entries.remove(index);
                }
            }
            Self::One((other, _)) => {
                if (*other).borrow() == key {
                    *self = Self::new();
                }
            }
            Self::Many(entries) => {
                entries.remove(key);
                // Half of the size at which it became a tree, so that adding and removing one entry does not rebuild it
                // each time.
                if entries.len() <= FEW / 2 {
                    *self = Self::Few(mem::take(&mut **entries).into_iter().collect());
                }
            }
        }
    }
}

impl<K: Ord, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

fn find<K: Borrow<Q>, V, Q: Ord + ?Sized>(entries: &[(K, V)], key: &Q) -> Result<usize, usize> {
    entries.binary_search_by(|(other, _)| other.borrow().cmp(key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_tree_holds_however_many_come_and_go(
            steps in prop::collection::vec((any::<bool>(), 0_u8..24), 0..200)
        ) {
            let mut map = SmallMap::<u8, u32>::new();
            let mut tree = BTreeMap::<u8, u32>::new();
            for (adds, key) in steps {
                if adds {
                    map.update(&key, |value| *value += 1);
                    *tree.entry(key).or_default() += 1;
                } else {
                    map.remove(&key);
                    tree.remove(&key);
                }
                prop_assert!(map.keys().eq(tree.keys()));
                prop_assert_eq!((map.get(&key), map.is_empty()), (tree.get(&key), tree.is_empty()));
                prop_assert_eq!(map.get_mut(&key), tree.get_mut(&key));
            }
        }
    }

    #[test]
    fn few_entries_lie_in_a_row_and_one_more_makes_a_tree() {
        let mut map = SmallMap::<u8, u32>::new();
        map.update(&0, |_| {});
        assert!(matches!(map, SmallMap::One((0, 0))));
        for key in 1..8 {
            map.update(&key, |_| {});
        }
        assert!(matches!(&map, SmallMap::Few(entries) if entries.capacity() == 8));
        map.update(&8, |_| {});
        assert!(matches!(map, SmallMap::Many(_)));
        for key in 0..5 {
            map.remove(&key);
        }
        assert!(matches!(&map, SmallMap::Few(entries) if entries.len() == 4));
    }
}
