//! How many lockers there are: as many as the file has, unless `count=` says another number.

use rusqlite::{Connection, params};

use super::rows::{self, Row};
use super::trail::{self, Head};
use super::trouble::Trouble;
use crate::config::limits::{LOCKERS_DEFAULT, LOCKERS_MAX};

/// A number of lockers that can be had, or why not.
pub(super) fn checked(count: u32) -> Result<u32, String> {
    match count {
        1..=LOCKERS_MAX => Ok(count),
        _ => Err(format!(
            "count={count}: there can be 1 to {LOCKERS_MAX} lockers"
        )),
    }
}

/// For a new database: what the option says, what the operator says, or the usual number.
pub(super) fn first(
    count: Option<u32>,
    ask: &mut dyn FnMut() -> Option<u32>,
) -> Result<u32, String> {
    match count {
        Some(count) => checked(count),
        None => checked(ask().unwrap_or(LOCKERS_DEFAULT)),
    }
}

/// Makes it `count` lockers: adds free ones, or removes free ones from the end. One transaction.
///
/// The inner error says which locker is in the way.
pub(super) fn set(
    db: &Connection,
    head: &Head,
    lockers: &[Row],
    count: u32,
    now_ms: i64,
) -> Result<Result<Head, String>, Trouble> {
    let have = lockers.len() as u32;
    if let Some(row) = lockers.iter().rev().find(|row| row.in_use)
        && row.number >= count
    {
        return Ok(Err(format!(
            "count={count}: locker {} is in use; there are 0 to {}",
            row.number,
            have - 1
        )));
    }
    db.execute_batch("BEGIN IMMEDIATE")?;
    let done = change(db, head, have, count, now_ms).and_then(|head| {
        db.execute_batch("COMMIT")
            .map(|()| head)
            .map_err(Trouble::from)
    });
    if done.is_err() {
        // Where this fails too, the connection is closed next, which does the same.
        let _ = db.execute_batch("ROLLBACK");
    }
    done.map(Ok)
}

fn change(
    db: &Connection,
    head: &Head,
    have: u32,
    count: u32,
    now_ms: i64,
) -> Result<Head, Trouble> {
    let action = match count > have {
        true => {
            rows::add_free(db, have..count)?;
            "grow"
        }
        false => {
            // The condition is a belt: those in use were looked for above.
            db.execute(
                "DELETE FROM lockers WHERE number >= ?1 AND in_use = 0",
                params![count],
            )?;
            "shrink"
        }
    };
    trail::note(
        db,
        head,
        now_ms,
        action,
        &format!("{have} to {count} lockers"),
    )
}

#[cfg(test)]
mod tests;
