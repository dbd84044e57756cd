//! The limits of files and of their transfers, with their reasons.

use std::time::Duration;

/// Pieces of work for files that wait for their threads; past it clients are told that the server
/// is busy.
pub const FILE_WORK_MAX: usize = 1024;

/// Threads that open, list, hash and publish files.
pub const FILE_WORK_THREADS: usize = 4;

/// Bytes of answers after which a client's next command waits until they have gone out.
pub const FILES_ANSWER_BYTES: usize = 16 * 1024;

/// Bytes of a file that one turn copies to a peer, through a buffer that all connections share. In
/// smaller pieces a byte costs more, because each wakes the peer (decision 0029).
pub const TRANSFER_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a file that one turn sends without a copy.
pub const PAGES_BYTES_MAX: usize = 1024 * 1024;

/// Between two places of a file where the page cache is asked whether it has it: as much as the kernel
/// reads ahead at once (`read_ahead_kb`), and so what is there, or missing, together.
pub const PAGES_PROBE_EVERY: usize = 128 * 1024;

/// Bytes beyond the buffers of both ends that may be under way: pieces of 64 KiB that have been
/// begun, and room for what kernels reckon differently.
pub const PAGES_MARGIN_EXTRA: u64 = 1024 * 1024;

/// The send buffer of a transfer over TCP, where the kernel allows so much (`net.core.wmem_max`): the
/// processor time of a transfer is half of that with the kernel's own choice.
pub const SEND_BUFFER_TCP: usize = 4 * 1024 * 1024;

/// The same over Unix sockets, whose own buffer of some 200 KiB wakes both ends ten times as often.
pub const SEND_BUFFER_UNIX: usize = 1024 * 1024;

/// Connections that have such buffers, from their first transfer until they are closed, so that peers
/// that stop reading fill no more than 512 MiB of the kernel's memory by them.
pub const SEND_BUFFERS_MAX: usize = 64;

/// Bytes that a lane reads ahead of a transfer whose file is not in the page cache.
pub const READ_AHEAD_BYTES: usize = 1024 * 1024;

/// Bytes for a file that one connection keeps until they are written.
pub const RECEIVE_BYTES_MAX: usize = 512 * 1024;

/// Threads that read ahead and write files: a disk that hangs holds up so many transfers, and no
/// other work.
pub const FILE_THREADS: usize = 4;

/// Jobs that wait for them; more wait with their connections, one each.
pub const FILE_JOBS_MAX: usize = 256;

/// Bytes of the name of a file, its folders with it. Longer ones fit in no request of TFTP, and the
/// kernel takes 4,095.
pub const NAME_BYTES_MAX: usize = 1024;

/// Bytes of one part of it: no file system of Linux takes more.
pub const NAME_PART_BYTES_MAX: usize = 255;

/// Tries to open a file when the kernel says that names are being moved just then.
pub const OPEN_TRIES_MAX: u32 = 8;

/// Files and folders that a listing of one folder shows, the first in the order of their names.
pub const LIST_ENTRIES_MAX: usize = 10_000;

/// Bytes of their names, which are kept in memory while they are sent.
pub const LIST_BYTES_MAX: usize = 1024 * 1024;

/// Names that are read from one folder to find those, in one job of a lane.
pub const LIST_READ_MAX: usize = 200_000;

/// Entries of a listing that one job of a lane looks up.
pub const LIST_BATCH: usize = 500;

/// Bytes that hashing and warming read at once.
pub const FILE_READ_BYTES: usize = 1024 * 1024;

/// Bytes that one job of a lane hashes; then it is the turn of another: some 0.05 s on a processor
/// with instructions for it, 0.3 s without.
pub const HASH_STEP_BYTES: u64 = 64 * 1024 * 1024;

/// The largest upload.
pub const UPLOAD_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;

/// Unfinished uploads of one owner; of more, and of more than three quarters of all bytes, what it has
/// left longest gives way.
pub const PARTIALS_PER_OWNER_MAX: usize = 32;

/// Bytes of all unfinished uploads together, with what those that run have declared.
pub const PARTIALS_BYTES_MAX: u64 = 32 * 1024 * 1024 * 1024;

/// Unfinished uploads; each is a file, and all are looked at, in some milliseconds, when one more
/// begins.
pub const PARTIALS_MAX: usize = 256;

/// Bytes that uploads leave free on the file system: for logs and databases, which are on it too.
pub const UPLOAD_FREE_BYTES_MIN: u64 = 256 * 1024 * 1024;

/// After this many bytes of an upload, room is looked at again.
pub const UPLOAD_CHECK_BYTES: u64 = 64 * 1024 * 1024;

/// An unfinished upload that was not touched for this long is removed.
pub const PARTIAL_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// How often such leftovers are looked for, when a client comes; also done at the start.
pub const SWEEP_EVERY: Duration = Duration::from_secs(3600);
