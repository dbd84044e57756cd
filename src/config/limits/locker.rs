//! The limits of the lockers and of their clients, with their reasons.

use std::time::Duration;

/// After the first wrong password for a locker its source waits this long; each further one doubles
/// it, up to [`LOCKER_DELAY_MAX`].
pub const LOCKER_DELAY_FIRST: Duration = Duration::from_millis(250);

/// The longest delay between two tries of one source for one locker: 60 guesses an hour, and an
/// owner who mistypes is never further away than this.
pub const LOCKER_DELAY_MAX: Duration = Duration::from_secs(60);

/// The longest delay that the server waits out for a client; past it the client is told to wait.
pub const LOCKER_DELAY_SERVED: Duration = Duration::from_secs(10);

/// Wrong passwords of a source for a locker are forgotten after this long without a try.
pub const LOCKER_PENALTY_KEPT: Duration = Duration::from_secs(600);

/// How long a source that had a try at a locker is not taken for a new one there.
///
/// It has to be longer than the sources of an attack need to have their first try each: at one
/// every [`LOCKER_SHARE_INTERVAL`] that is 21,600 sources.
pub const LOCKER_TURN_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Each of the four shares of a locker's guesses grows by one in this time: one a second in all.
pub const LOCKER_SHARE_INTERVAL: Duration = Duration::from_secs(4);

/// Guesses that a share saves up. Four, so that the doubling delay of one source alone is always
/// slower than its share.
pub const LOCKER_SHARE_BURST: u32 = 4;

/// Wrong passwords of one network source over all lockers: one in this time.
pub const LOCKER_SOURCE_INTERVAL: Duration = Duration::from_secs(5);

/// Wrong passwords that such a source saves up: a class of students behind one address mistypes.
pub const LOCKER_SOURCE_BURST: u32 = 20;

/// A source that owes more than this (four wrong passwords just now) waits behind others.
pub const LOCKER_SOURCE_SUSPECT: Duration = Duration::from_secs(20);

/// Pairs of locker and source whose tries are kept in mind (some 12 MiB).
pub const LOCKER_PAIRS_MAX: usize = 65_536;

/// Sources whose wrong passwords over all lockers are kept in mind (some 8 MiB).
pub const LOCKER_SOURCES_MAX: usize = 65_536;

/// Sources of which one locker remembers that they knew its password; more kiosks than that for
/// one locker is rare, and the one longest away begins anew.
pub const LOCKER_KNOWN_MAX: usize = 8;

/// Passwords of one class that wait to be hashed: at 27 ms each, 1.7 s of one thread.
pub const LOCKER_LINE_MAX: usize = 64;

/// Of those, in all classes together, from one network source.
pub const LOCKER_LINE_PER_SOURCE: usize = 2;

/// Each time that this many were taken from the line, the last is of the lowest class that waits.
pub const LOCKER_LINE_LOWEST_EVERY: u32 = 8;

/// The most memory of a password hash, in KiB: 1 GiB.
pub const LOCKER_HASH_KIB_MAX: u32 = 1024 * 1024;

/// The most passes of a password hash over its memory.
pub const LOCKER_HASH_PASSES_MAX: u32 = 64;

/// Memory that a hash thread keeps from one password to the next, in KiB; more is given back.
pub const LOCKER_HASH_KEPT_KIB: usize = 64 * 1024;

/// Lockers of one server; all are in memory, and the binary wire shows all of them at once.
pub const LOCKERS_MAX: u32 = 10_000;

/// Lockers where neither `count=` nor the operator says how many.
pub const LOCKERS_DEFAULT: u32 = 16;

/// Items in one locker: what one `retrieve` must send.
pub const LOCKER_ITEMS_MAX: u32 = 1_000;

/// Bytes of one item.
pub const LOCKER_ITEM_BYTES_MAX: usize = 256;

/// How long the same `retrieve` gets the same answer again.
pub const LOCKER_REPEAT: Duration = Duration::from_secs(60);

/// Rows of the audit trail that are verified when the database is opened; all of a year would
/// take minutes.
pub const LOCKER_TRAIL_CHECKED: i64 = 1_000;

/// Pages of 4 KiB in the write-ahead log from which on it is written into the database.
///
/// Until the log has been so long once, each commit makes it longer, and the sync of a longer file
/// takes twice that of one that is written over: a lone kiosk's first 900 changes took 0.9 ms each
/// with 4,000, 0.5 with 1,000 and 0.3 with 250. More of them save little: what is stored goes to the
/// last pages of its tables, and few are changed twice. SQLite's own number is 1,000 too.
pub const LOCKER_LOG_PAGES_MAX: i64 = 1_000;

/// Rows that are written before the store asks how long the log is: each is a page of it, or a little
/// more, and the question is a tenth of what a lone change takes beside its sync.
pub const LOCKER_LOG_ROWS: usize = 64;

/// What is left of the write-ahead log once it begins anew: more than [`LOCKER_LOG_PAGES_MAX`] pages
/// and most transactions behind them, so that it need not grow again each time. A transaction has each
/// page of the database once at most: 290 lockers of 800 items, retrieved together, made it 73 MB.
pub const LOCKER_LOG_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Memory for pages of the database, in KiB: the changes of one transaction must fit in it, or
/// they are written twice. What is stored shares pages; a retrieve may touch one for each item.
pub const LOCKER_CACHE_KIB: u32 = 16 * 1024;

/// How often a database that is out of order is tried again, at most.
pub const LOCKER_REOPEN: Duration = Duration::from_secs(1);

/// Bytes of a password; a longer one is refused before anything is hashed.
pub const LOCKER_PASSWORD_BYTES_MAX: usize = 128;

/// Jobs that wait for the lockers' store, and jobs that one synced transaction takes.
///
/// A session has one job at a time, so it is the number of kiosks that can wait; past it they are
/// told that the server is busy.
pub const LOCKER_JOBS_MAX: usize = 4096;

/// Threads that hash passwords: one less than there are processors, and never more than this.
pub const HASHERS_MAX: usize = 4;

/// Bytes of answers after which a client's next command waits until they have gone out.
pub const LOCKER_ANSWER_BYTES: usize = 16 * 1024;

/// How long a call for the administrator waits.
pub const LOCKER_CALL_LIFE: Duration = Duration::from_secs(300);

/// Calls for the administrator that wait at once.
pub const LOCKER_CALLS_MAX: usize = 64;

/// Of those, from one source.
pub const LOCKER_CALLS_PER_SOURCE_MAX: usize = 4;

/// Lockers in use that the operator's `lockers` shows; the rest are counted.
pub const LOCKERS_SHOWN_MAX: usize = 100;

/// Lines of one answer that a client takes: those of all lockers, and some more.
pub const LOCKER_ANSWER_LINES_MAX: usize = LOCKERS_MAX as usize + 1_000;

/// Bytes of a lab server's file of lockers that is imported: one of its records (116 bytes) for
/// each locker that there can be.
pub const LOCK_INFORMATION_BYTES_MAX: usize = 116 * LOCKERS_MAX as usize;

/// How long an import waits where the server was busy, before it asks again.
pub const LOCKER_IMPORT_PAUSE: Duration = Duration::from_millis(500);

/// How often it asks again for one record: for a minute, in all.
pub const LOCKER_IMPORT_TRIES: u32 = 120;
