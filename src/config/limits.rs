//! Every limit of the server, with its reason. Units are in the names or in the comment.

use std::time::Duration;

pub use self::files::*;
pub use self::locker::*;
pub use self::tftp::*;
pub use self::transfer::*;

mod files;
mod locker;
mod tftp;
mod transfer;

/// Bytes read by one turn of a connection: what the inbox holds beside kept bytes.
///
/// 64 KiB is the largest datagram, and reads of this size stay in the processor's cache.
pub const READ_BYTES_MAX: usize = 64 * 1024;

/// Bytes of unfinished input that the reactor keeps for one connection.
///
/// Wires bound their own messages well below this (a line has 4,096 bytes); it is a backstop
/// that closes the connection with `InputTooLong`.
pub const INPUT_KEPT_BYTES_MAX: usize = 8 * 1024;

/// Bytes of the inbox: [`INPUT_KEPT_BYTES_MAX`] and [`READ_BYTES_MAX`] would do. From this size on
/// the C library maps memory by itself and need not write zeros into it, so that only as much of it
/// is resident as was ever read into.
pub const INBOX_BYTES: usize = 128 * 1024;

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

/// How often a new connection is read before the poller watches it: once after it was accepted, for
/// its request and for its end.
pub const FRESH_READS: u32 = 3;

/// What it is worth that a connection ended before the poller had to watch it, in questions whether one
/// has something: 2,000 ns against some 200, or 60 where nobody sleeps.
pub const QUESTIONS_EARNED: usize = 8;

/// The most questions that may be saved up, and so the most connections that are asked at once.
pub const QUESTIONS_MAX: usize = 256;

/// Once none is left, so many have to be saved up again: enough to ask some connections to their end.
pub const QUESTIONS_BACK: usize = 64;

/// In one wait of so many those connections are asked though the poller has something already.
pub const UNASKED_WAITS: u32 = 4;

/// The backlog of every listener; the kernel cuts it to `net.core.somaxconn`.
pub const BACKLOG: i32 = 4096;

/// Descriptors that connections may not use: standard streams, epoll, signals, listeners, locks.
pub const DESCRIPTOR_RESERVE: u64 = 64;

/// At the caps of connections and of kept bytes listeners stop; they start again at this share of
/// both, in percent.
pub const RESUME_PERCENT: usize = 90;

/// Default of `--poll-us`, in microseconds: how long the loop polls before it sleeps. Going to sleep
/// and being woken takes about as long on a virtual machine.
pub const POLL_US: u64 = 50;

/// The largest `--poll-us`.
pub const POLL_US_MAX: u64 = 1_000;

/// The loop polls where the average of its last waits is no longer than this: twice what it polls
/// for, because a wait that was slept through is longer by the waking.
pub const POLLED_WAIT: Duration = Duration::from_micros(100);

/// A longer wait counts as this in that average, so that a few short ones make up for it, and two
/// like it end the polling.
pub const POLLED_WAIT_COUNTED: Duration = Duration::from_micros(400);

/// Waits without polling after somebody else wanted the processor meanwhile; twice as many each time,
/// up to [`POLL_RESTS_MAX`], and fewer again with each event that polling has caught.
pub const POLL_RESTS_MIN: u32 = 16;

/// See [`POLL_RESTS_MIN`].
pub const POLL_RESTS_MAX: u32 = 4_096;

/// Waits without polling after a connection was accepted. A short connection is done after two or
/// three of them, and what they wait for is its client's end and the next one's coming.
pub const ACCEPT_RESTS: u32 = 4;

/// A deadline that is nearer than this is waited for by a timer that is exact.
pub const NEAR_DEADLINE: Duration = Duration::from_millis(10);

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

/// Datagrams of one size to one peer that go out as one, for the kernel to cut (UDP_SEGMENT): what any
/// kernel takes that can do it.
pub const DATAGRAMS_TOGETHER_MAX: usize = 64;

/// Fewer are not worth it: they go with others to other peers in one call.
pub const DATAGRAMS_TOGETHER_MIN: usize = 4;

/// Bytes of datagrams that go out as one: the kernel takes no more than a datagram may have.
pub const DATAGRAMS_TOGETHER_BYTES: usize = 65_000;

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

/// Transfers over datagrams, each with one or two descriptors: its file, and its socket if it has a
/// port of its own; a quarter of the connections at most. The oldest that has not proved itself, or
/// has done what it was for, gives way.
pub const TRANSFERS_MAX: usize = 1_024;

/// Transfers that other machines may begin in a second, all together: so many times three first answers
/// go at most to whoever is forged as a source (1.6 MB a second).
pub const TRANSFERS_BEGUN_PER_SECOND: u32 = 1_000;

/// Bytes that the first answer of a transfer may have however short its request was: a block of TFTP.
/// It may be repeated twice before the peer has proved itself.
pub const TRANSFER_ANSWER_BYTES: usize = 516;

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

const _: () = assert!(LOW_WATER_BYTES < HIGH_WATER_BYTES);
const _: () = assert!(2 * DRAIN_EXTRA_CONNECTIONS as u64 <= DESCRIPTOR_RESERVE);
const _: () = assert!(NAME_BYTES_MAX + 100 < LINE_BYTES_MAX);
const _: () = assert!(LINE_BYTES_MAX + 2 <= INPUT_KEPT_BYTES_MAX);
const _: () = assert!(INPUT_KEPT_BYTES_MAX + READ_BYTES_MAX <= INBOX_BYTES);
const _: () = assert!(
    usize::BITS == 64,
    "a token holds a slab key and a generation"
);
