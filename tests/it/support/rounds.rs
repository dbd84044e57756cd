//! Claims about time, on a machine that does other things as well.

use std::fmt::{Debug, Display};

/// How many rounds a claim about time has.
pub const ROUNDS: usize = 4;

/// What a round has measured: in time, or what was late, or why the round says nothing.
pub type Timely = Result<(), String>;

/// Runs `round` until one is in time; fails the test where none of so many is.
///
/// A machine that does other things as well makes what is measured later and dearer, never earlier
/// or cheaper: it takes the processor away for a tenth of a second, or fills its caches. So one
/// round in time shows what the server is able to do. A fault of the server does not come and go:
/// it is there in every round. This is for measurements only. What has to hold in every round
/// (whose bytes, how many, that nobody is lost) the round asserts itself. A second round runs only
/// where the first was late.
#[track_caller]
pub fn in_one_of(rounds: usize, mut round: impl FnMut() -> Timely) {
    let mut late = Vec::new();
    while late.len() < rounds {
        match round() {
            Ok(()) => return,
            Err(why) => {
                eprintln!("round {} of {rounds}: {why}", late.len() + 1);
                late.push(why);
            }
        }
    }
    panic!("none of {rounds} rounds was in time: {late:#?}");
}

/// Whether that took less than its limit.
pub fn below<T: PartialOrd + Debug>(what: impl Display, took: T, limit: T) -> Timely {
    holds(took < limit, || {
        format!("{what}: {took:?}, and less than {limit:?} is the limit")
    })
}

/// Whether that holds, and else why the round does not count.
pub fn holds(whether: bool, why: impl FnOnce() -> String) -> Timely {
    if whether { Ok(()) } else { Err(why()) }
}
