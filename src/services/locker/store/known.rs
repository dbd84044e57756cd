//! What the store knows of each locker without asking the database.
//!
//! A change that stores an item decides by it alone and neither reads nor writes the locker's row: its
//! item and its row of the trail stand behind those of all lockers, so few pages are written. It is
//! read from verified rows when the database is opened, and nobody else can write the file until it is
//! closed.

/// One locker: 24 bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// As in the locker's row.
    pub epoch: u64,
    /// As in the locker's row.
    pub in_use: bool,
    /// How many items lie in it.
    pub items: u32,
    /// The id of the newest of them; 0, which no row has, where there is none.
    newest: i64,
}

impl Held {
    /// Without items.
    pub(super) fn empty(in_use: bool, epoch: u64) -> Self {
        Self {
            epoch,
            in_use,
            items: 0,
            newest: 0,
        }
    }

    /// The id of the newest item.
    pub(super) fn newest(&self) -> Option<i64> {
        (self.newest != 0).then_some(self.newest)
    }

    /// With another password, and the same items.
    pub(super) fn anew(self, epoch: u64) -> Self {
        Self { epoch, ..self }
    }

    /// With an item more.
    pub(super) fn with(self, newest: i64) -> Self {
        Self {
            items: self.items + 1,
            newest,
            ..self
        }
    }
}

/// All lockers, and what a transaction that is open has changed of them.
#[derive(Debug, Default)]
pub(super) struct Known {
    lockers: Vec<Held>,
    /// What each change of the transaction found, in order.
    before: Vec<(u32, Held)>,
}

impl Known {
    pub(super) fn new(lockers: Vec<Held>) -> Self {
        Self {
            lockers,
            before: Vec::new(),
        }
    }

    pub(super) fn get(&self, locker: u32) -> Option<Held> {
        self.lockers.get(locker as usize).copied()
    }

    /// Changes a locker that is there, until the transaction is undone.
    pub(super) fn set(&mut self, locker: u32, held: Held) {
        if let Some(place) = self.lockers.get_mut(locker as usize) {
            let old = std::mem::replace(place, held);
            self.before.push((locker, old));
        }
    }

    /// The transaction was committed.
    pub(super) fn keep(&mut self) {
        self.before.clear();
    }

    /// Nothing of the transaction was done.
    pub(super) fn undo(&mut self) {
        while let Some((locker, old)) = self.before.pop() {
            self.lockers[locker as usize] = old;
        }
    }
}

const _: () = assert!(size_of::<Held>() == 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undone_transaction_leaves_what_was_there_before_its_first_change() {
        let mut known = Known::new(vec![Held::empty(true, 1), Held::empty(false, 0)]);
        known.set(0, Held::empty(true, 1).with(7));
        known.keep();
        for id in [8, 9] {
            let held = known.get(0).expect("exists");
            known.set(0, held.with(id));
        }
        known.set(1, Held::empty(true, 1));
        known.set(0, Held::empty(false, 1));
        known.set(2, Held::empty(true, 1));
        known.undo();
        let held = known.get(0).expect("exists");
        assert_eq!((held.in_use, held.items, held.newest()), (true, 1, Some(7)));
        assert_eq!(known.get(1), Some(Held::empty(false, 0)));
        assert_eq!(known.get(2), None);
        known.undo();
        assert_eq!(known.get(0), Some(held));
    }
}
