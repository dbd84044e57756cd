//! Every limit of the server, with its reason. Units are in the names or in the comment.

use std::time::Duration;

/// Bytes read by one turn of a connection: what the inbox holds beside kept bytes.
///
/// 64 KiB is the largest datagram, and reads of this size stay in the processor's cache.
pub const READ_BYTES_MAX: usize = 64 * 1024;

/// Bytes of unfinished input that the reactor keeps for one connection.
///
/// Wires bound their own messages well below this (a line has 4,096 bytes); it is a backstop
/// that closes the connection with `InputTooLong`.
pub const INPUT_KEPT_BYTES_MAX: usize = 8 * 1024;

/// Bytes written by one turn of a connection that has output waiting.
pub const WRITE_BYTES_MAX: usize = 256 * 1024;

/// Above this much unsent output (the high-water mark) a connection is not read.
pub const HIGH_WATER_BYTES: usize = 32 * 1024;

/// Below this much unsent output (the low-water mark) it is read again.
pub const LOW_WATER_BYTES: usize = 8 * 1024;

/// Bytes kept for all connections together (unsent output and unfinished input).
///
/// Above it listeners stop accepting and no connection that has output waiting is read, so the
/// total can pass it by one read for each connection that had nothing waiting, and no more.
pub const KEPT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Connections taken from one listener in one turn, so that a storm of connects starves nobody.
pub const ACCEPTS_PER_TURN: usize = 64;

/// Accept errors in a row, of the kind that concerns one connection only, before the listener rests;
/// also errors in a row of the call that takes datagrams.
pub const ACCEPT_ERRORS_IN_A_ROW: u32 = 8;

/// How long a listener rests after accept failed for want of descriptors or memory.
///
/// Readiness is edge-triggered: no new event comes for those already in the backlog, so the retry
/// has to be ours.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The backlog of every listener; the kernel cuts it to `net.core.somaxconn`.
pub const BACKLOG: i32 = 4096;

/// Descriptors that connections may not use: standard streams, epoll, signals, listeners, locks.
pub const DESCRIPTOR_RESERVE: u64 = 64;

/// At the caps of connections and of kept bytes listeners stop; they start again at this share of
/// both, in percent.
pub const RESUME_PERCENT: usize = 90;

/// The most events taken by one poll.
pub const EVENTS_PER_POLL: usize = 1024;

/// Connections beyond the cap that a shutdown takes from the backlog, to tell them so; they use the
/// reserve of descriptors.
pub const DRAIN_EXTRA_CONNECTIONS: usize = 32;

/// How long a connection lingers after its last byte was sent, for the peer to end it.
pub const LINGER: Duration = Duration::from_secs(5);

/// Bytes that are read and thrown away while a connection lingers.
pub const LINGER_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// While the server shuts down, a lingering connection whose peer is quiet for this long is closed:
/// what it was sent has had the time to arrive, and Ctrl-C should not take seconds.
pub const LINGER_DRAINING: Duration = Duration::from_millis(300);

/// Default of `--grace`.
pub const GRACE: Duration = Duration::from_secs(5);

/// How long a TCP peer may leave sent bytes unacknowledged before the kernel gives it up
/// (TCP_USER_TIMEOUT, tcp(7)), in milliseconds.
pub const TCP_USER_TIMEOUT_MS: u32 = 60_000;

/// Silence after which the kernel asks a TCP peer whether it is still there (TCP_KEEPIDLE).
pub const TCP_KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// Time between two such questions (TCP_KEEPINTVL).
pub const TCP_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Tries to lock a socket path whose lock file is replaced under our hands.
pub const LOCK_TRIES_MAX: u32 = 100;

/// Default of `--idle-timeout`.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// The longest duration that an option takes: 365 days.
pub const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Pieces of mail between sessions that one iteration delivers; the rest waits for the next.
pub const MAIL_PER_ITERATION: usize = 4096;

/// Results of lanes that one turn delivers for each service; the rest waits for the next.
pub const RESULTS_PER_TURN: usize = 256;

/// How long the end of the process waits for the lanes to finish what they were given: a synced
/// commit takes milliseconds, and whoever was told nothing knows nothing.
pub const LANES_STOP: Duration = Duration::from_secs(2);

/// Turns given in one iteration; with more work than that the poller is asked in between, so that
/// ten thousand replies that are due together make no iteration of a tenth of a second.
pub const TURNS_PER_ITERATION: usize = 1024;

/// Iterations in which a shutdown still reads what had arrived before it, ahead of saying goodbye.
pub const CATCH_UP_ITERATIONS: u32 = 64;

/// Bytes of one read or write that a hex dump at `trace` shows.
pub const DUMP_BYTES_MAX: usize = 1024;

/// Connections listed by the table that SIGUSR1 prints; the rest are counted.
pub const REPORT_CONNECTIONS_MAX: usize = 1000;

/// An iteration slower than this is logged as a warning.
pub const SLOW_ITERATION: Duration = Duration::from_millis(50);

/// A loop that wakes this much later than it asked was stopped (Ctrl-Z, a suspended machine):
/// it reads its sockets before it lets any deadline expire.
pub const STALL: Duration = Duration::from_secs(1);

/// Iterations in a row in which deadlines may wait for sockets, after a stall or in a crowd.
pub const LATE_ITERATIONS_MAX: u32 = 16;

/// The largest datagram: 65,507 bytes over IPv4, a few more over IPv6; the buffer has a round number.
pub const DATAGRAM_BYTES_MAX: usize = 65_536;

/// Datagrams that one system call takes or sends, and one turn of a UDP socket answers.
pub const DATAGRAMS_PER_CALL: usize = 64;

/// Bytes of datagrams that one turn should take; the number of datagrams follows their size.
pub const DATAGRAM_BYTES_PER_TURN: usize = 1024 * 1024;

/// What the kernel is asked to keep for a UDP socket, each way. The default (208 KiB) holds some
/// 250 small datagrams; this holds 64 of the largest. It is cut to `net.core.rmem_max`.
pub const DATAGRAM_SOCKET_BYTES: usize = 4 * 1024 * 1024;

/// Datagrams that wait for a full socket; later ones are lost and counted.
pub const DATAGRAMS_WAITING_MAX: usize = 1024;

/// Bytes of those datagrams: two turns of the largest.
pub const DATAGRAMS_WAITING_BYTES: usize = 8 * 1024 * 1024;

/// Datagrams a second from one source that is not a loopback address, unless `rate=` says more.
pub const DATAGRAM_RATE: u32 = 10_000;

/// The largest `rate=`.
pub const DATAGRAM_RATE_MAX: u32 = 10_000_000;

/// Sources whose rate one UDP socket keeps in mind (some 2 MiB).
pub const DATAGRAM_SOURCES_MAX: usize = 65_536;

/// Datagrams a second from all sources together that have no place in that table.
pub const DATAGRAM_RATE_CROWD: u32 = 100_000;

/// Lost datagrams are warned of at most this often for each socket.
pub const DATAGRAM_DROPS_SAID: Duration = Duration::from_secs(10);

/// After this many datagrams in a row that are what their source had sent just before, one is
/// dropped: a loop with a server of another kind ends there, within a second. A client has to send
/// the same as often, without a pause, to lose one in as many.
pub const LOOP_RUN: u16 = 10_000;

/// A source that was silent for this long is not in a loop; a slower one harms nobody.
pub const LOOP_GAP: Duration = Duration::from_millis(500);

/// A flow whose peer is silent for this long is forgotten, whatever its session waits for.
pub const FLOW_IDLE: Duration = Duration::from_secs(60);

/// Flows in all, some 500 bytes each: addresses are easily forged.
pub const FLOWS_MAX: usize = 16_384;

/// Flows from one /24 of IPv4 or /64 of IPv6, loopback excepted: no network gets more than a quarter.
pub const FLOWS_PER_NETWORK_MAX: u32 = 4_096;

/// Lines that wait for a terminal or pipe that takes none; later ones are dropped and counted.
pub const OUTPUT_LINES_MAX: usize = 64 * 1024;

/// Bytes of those lines.
pub const OUTPUT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long the end of the process waits for its last lines to be written.
pub const OUTPUT_FLUSH: Duration = Duration::from_millis(500);

/// Lines of the operator that wait for the loop; the thread that reads them waits too, then.
pub const INPUT_LINES_MAX: usize = 256;

/// Bytes of such a line; a terminal itself cuts at 4,095 (termios(3)).
pub const INPUT_LINE_BYTES_MAX: usize = 4096;

/// Bytes beyond that of a line without an end, after which nobody is taken to type there.
pub const INPUT_DROPPED_BYTES_MAX: usize = 1024 * 1024;

/// In the background of a shell: the time after which the reader looks whether it is in the
/// foreground again. Nothing tells it: `fg` sends no signal to a job that runs.
pub const INPUT_BACKGROUND: Duration = Duration::from_secs(1);

/// Lines of the operator that one turn of the console takes.
pub const CONSOLE_LINES_PER_TURN: usize = 32;

/// Bytes of a line on a text wire, without its LF or CR LF.
pub const LINE_BYTES_MAX: usize = 4096;

/// The path of a Unix socket, in bytes: `sun_path` has 108 with the NUL (unix(7)).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The path of a Unix listener, in bytes: the socket is made under a name with `.new` behind it.
pub const LISTENER_PATH_BYTES_MAX: usize = SOCKET_PATH_BYTES_MAX - 4;

/// The largest `size=` of the message slot.
pub const SLOT_SIZE_MAX: usize = 4 * 1024 * 1024;

/// Clients that wait for the operator at once; a later one is told that it is busy.
///
/// No operator answers so many; it bounds what a flood of messages makes the server keep.
pub const TALK_WAITING_MAX: usize = 1_000;

/// Waiting clients that `list` shows; the rest are counted.
pub const TALK_SHOWN_MAX: usize = 100;

/// The largest `max=` of the guessing game.
pub const GUESS_MAX: u64 = 1_000_000_000;

/// The largest `tries=` of the guessing game.
pub const GUESS_TRIES_MAX: u64 = 1_000;

/// Bytes of a file of `names=`, which is kept in memory.
pub const NAMES_BYTES_MAX: usize = 1024 * 1024;

/// People in such a file.
pub const NAMES_MAX: usize = 10_000;

/// Bytes of a hint or a name in such a file.
pub const NAMES_FIELD_BYTES_MAX: usize = 200;

/// Default of the dialogue programs' `max=`.
pub const EXEC_RUNNING: u64 = 64;

/// The largest `max=`: each program is a process, and three descriptors of the server.
pub const EXEC_RUNNING_MAX: u64 = 4096;

/// Clients that wait for their turn with one dialogue program; later ones are told and closed.
pub const EXEC_WAITING_MAX: usize = 256;

/// Programs that wait to be started; each is a connection that one service let run already.
pub const SPAWNS_QUEUED_MAX: usize = 4096;

/// Descriptors that a connection takes more once a program has its socket: the process and the
/// pipe of its standard error.
pub const PROGRAM_DESCRIPTORS: usize = 2;

/// Bytes of one line of a program's standard error that the log shows; the rest is counted.
pub const PROGRAM_LINE_BYTES_MAX: usize = 256;

/// Lines of one program's standard error that the log shows in [`PROGRAM_LINES_WINDOW`]; the rest
/// is read, so that the program never waits, and counted.
pub const PROGRAM_LINES_MAX: u32 = 20;

/// See [`PROGRAM_LINES_MAX`].
pub const PROGRAM_LINES_WINDOW: Duration = Duration::from_secs(1);

/// Bytes of a program's standard error that are still read once it has ended: what a pipe holds.
/// A process that the program left behind may write on and on.
pub const PROGRAM_LAST_BYTES_MAX: usize = 64 * 1024;

/// How long the end of the server waits for a program that is being started just then, so as not
/// to leave it behind.
pub const PROGRAM_STOP: Duration = Duration::from_secs(1);

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
/// The usual number of SQLite; a checkpoint of so many takes some milliseconds on the lane.
pub const LOCKER_LOG_PAGES_MAX: i64 = 1_000;

/// What is left of the write-ahead log once it begins anew: a little more than
/// [`LOCKER_LOG_PAGES_MAX`] pages, so that it need not grow again each time.
pub const LOCKER_LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;

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


const _: () = assert!(LOW_WATER_BYTES < HIGH_WATER_BYTES);
const _: () = assert!(2 * DRAIN_EXTRA_CONNECTIONS as u64 <= DESCRIPTOR_RESERVE);
const _: () = assert!(LINE_BYTES_MAX + 2 <= INPUT_KEPT_BYTES_MAX);
const _: () = assert!(
    usize::BITS == 64,
    "a token holds a slab key and a generation"
);
