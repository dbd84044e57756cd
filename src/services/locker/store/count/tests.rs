//! How many lockers there are.

use super::super::tests::{Bench, register, retrieve};
use super::super::{Place, Store};

#[test]
fn the_number_of_lockers_is_asked_once_and_can_be_changed() {
    let bench = Bench::new();
    let place = || Place::File(bench.path());
    let (store, lockers) = Store::open(place(), None, &mut || Some(5)).expect("opens");
    assert_eq!(lockers.len(), 5);
    drop(store);
    let mut never = || panic!("it is known");
    assert_eq!(
        Store::open(place(), None, &mut never)
            .expect("opens")
            .1
            .len(),
        5
    );
    let (mut store, lockers) = bench.try_open(Some(8)).expect("grows");
    assert_eq!(lockers.len(), 8);
    store.run(&[register(2), register(6), retrieve(6, 1)]);
    drop(store);
    let said = bench.try_open(Some(2)).map(|_| ()).expect_err("in use");
    assert_eq!(said, "count=2: locker 2 is in use; there are 0 to 7");
    assert_eq!(bench.open().1.len(), 8);
    assert_eq!(bench.try_open(Some(3)).expect("shrinks").1.len(), 3);
    let (store, lockers) = bench.try_open(Some(10_000)).expect("grows");
    assert_eq!((lockers.len(), lockers[6].epoch), (10_000, 0));
    drop(store);
    for count in [0, 10_001] {
        let said = bench
            .try_open(Some(count))
            .map(|_| ())
            .expect_err("no such number");
        assert_eq!(
            said,
            format!("count={count}: there can be 1 to 10000 lockers")
        );
    }
    let said = Store::open(Place::File(bench.beside("b.db")), None, &mut || Some(0));
    assert!(said.is_err());
    assert!(!bench.beside("b.db").exists());
}
