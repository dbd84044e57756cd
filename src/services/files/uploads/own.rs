//! What one owner may leave unfinished.

use super::Uploads;
use super::folder::Found;
use super::partial::Partial;
use crate::config::limits::PARTIALS_PER_OWNER_MAX;

impl Uploads {
    /// Takes out what the same owner has left longest, where it holds so much that others could not
    /// upload: nobody fills the folder for all by beginning uploads and going away. It is to be
    /// removed.
    pub(super) fn own_room(&self, found: &mut Vec<Found>, wish: &Partial) -> Vec<Found> {
        let mut gone = Vec::new();
        loop {
            let own = found.iter().enumerate().filter(|(_, found)| {
                found.partial.owner == wish.owner && found.partial.key != wish.key
            });
            let (mut count, mut bytes, mut oldest) = (0, wish.size.unwrap_or(0), None);
            for (at, one) in own {
                count += 1;
                bytes = bytes.saturating_add(one.length);
                let older = oldest.is_none_or(|(_, modified)| one.modified < modified);
                if !one.runs && older {
                    oldest = Some((at, one.modified));
                }
            }
            let is_too_much =
                count >= PARTIALS_PER_OWNER_MAX || bytes > self.limits.partials_max / 4 * 3;
            match oldest {
                Some((at, _)) if is_too_much => gone.push(found.swap_remove(at)),
                // What runs is not taken away; the limits for all still hold.
                _ => return gone,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{LIMITS, name, place_in};
    use super::super::{Limits, Wanted};
    use super::*;
    use std::os::unix::fs::FileExt as _;

    /// Whoever begins uploads and goes away holds up nobody else.
    #[test]
    fn what_one_owner_has_left_longest_gives_way_to_its_own_next() {
        let limits = Limits {
            partials_max: 100_000,
            ..LIMITS
        };
        let place = place_in(tempfile::tempdir().unwrap(), limits);
        for number in 0..PARTIALS_PER_OWNER_MAX + 10 {
            let upload = place.begin(&format!("f{number}"), 10, 0).unwrap();
            upload.file.write_all_at(b"x", 0).unwrap();
            place.uploads.keep(upload).unwrap();
        }
        let last = place.uploads.begin(&Wanted {
            name: &name("other"),
            size: Some(1000),
            offset: 0,
            owner: b"somebody else",
            replace: false,
        });
        assert!(last.is_ok(), "{last:?}");
        let left = std::fs::read_dir(place.path(".partial")).unwrap().count();
        // With the lock of the folder and the last one.
        assert!(left <= PARTIALS_PER_OWNER_MAX + 2, "{left}");
    }
}
