//! A dense table of sessions with keys of 32 bits, so that a session without state takes 8 bytes.

/// Bytes of the first piece of memory: large enough for the allocator to map it by itself, so that
/// growing leaves nothing behind. What is not touched takes no memory.
const FIRST_BYTES: usize = 256 * 1024;

/// No place.
const NONE: u32 = u32::MAX;

/// One place: taken, or the next in the list of those that are vacant.
enum Place<T> {
    Vacant(u32),
    Taken(T),
}

const _: () = assert!(size_of::<Place<(u16, ())>>() <= 8);

/// What is kept, each under the key that it got; keys are used again.
pub(super) struct Places<T> {
    places: Vec<Place<T>>,
    vacant: u32,
    len: usize,
}

impl<T> Places<T> {
    pub(super) const fn new() -> Self {
        Self {
            places: Vec::new(),
            vacant: NONE,
            len: 0,
        }
    }

    /// Keeps something; returns its key.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        let key = self.vacant;
        if let Some(place) = self.places.get_mut(key as usize)
            && let Place::Vacant(next) = *place
        {
            *place = Place::Taken(value);
            self.vacant = next;
            return key;
        }
        if self.places.is_empty() {
            self.places.reserve(FIRST_BYTES / size_of::<Place<T>>());
        }
        self.places.push(Place::Taken(value));
        // A session takes a descriptor or more, and of those there are fewer than 2^32.
        u32::try_from(self.places.len() - 1).unwrap_or(NONE)
    }

    /// What has that key.
    pub(super) fn get_mut(&mut self, key: u32) -> Option<&mut T> {
        match self.places.get_mut(key as usize)? {
            Place::Taken(value) => Some(value),
            Place::Vacant(_) => None,
        }
    }

    /// Takes out what has that key.
    pub(super) fn remove(&mut self, key: u32) -> Option<T> {
        let place = self.places.get_mut(key as usize)?;
        if matches!(place, Place::Vacant(_)) {
            return None;
        }
        self.len -= 1;
        match std::mem::replace(
            place,
            Place::Vacant(std::mem::replace(&mut self.vacant, key)),
        ) {
            Place::Taken(value) => Some(value),
            Place::Vacant(_) => None,
        }
    }

    /// How many are kept.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Against a map: a key finds what got it last, or nothing, and places are used again.
        #[test]
        fn a_key_finds_what_got_it(steps in prop::collection::vec(any::<u8>(), 1..400)) {
            let (mut places, mut model) = (Places::new(), HashMap::new());
            let mut most = 0;
            for (value, step) in steps.into_iter().enumerate() {
                let key = u32::from(step / 2 % 32);
                if step % 2 == 0 {
                    let key = places.insert(value);
                    prop_assert!(model.insert(key, value).is_none());
                    most = most.max(model.len());
                } else {
                    prop_assert_eq!(places.remove(key), model.remove(&key));
                }
                for key in 0..40 {
                    prop_assert_eq!(places.get_mut(key), model.get_mut(&key));
                }
                prop_assert_eq!(places.len(), model.len());
                prop_assert!(places.places.len() <= most);
            }
        }
    }
}
