//! The limits of the clients that fetch and send files, with their reasons.

use std::time::Duration;

/// Bytes that a client reads or writes of a file or a stream at once: enough that system calls cost
/// nothing beside the copying, little enough that Ctrl-C is noticed at once.
pub const TRANSFER_BYTES: usize = 256 * 1024;

/// How often `get` starts a file over in one call because the server's file has changed: once for
/// a stale part, and more for a file that was replaced just then. A log file that grows all the
/// time would never be had.
pub const TRANSFER_STARTS_MAX: u32 = 4;

/// After this long `put` asks again whether a name is free: a server syncs what an earlier call has
/// left, some hundred MiB in a second, and each question costs it one look at a folder.
pub const TRANSFER_ASK_AGAIN: Duration = Duration::from_millis(100);

/// How fast any server hashes or syncs a file at least, in bytes a second: a slow disk. The server
/// is waited for so much longer than `--timeout`.
pub const TRANSFER_HASH_BYTES_PER_S: u64 = 16 * 1024 * 1024;

/// Bytes at the end of a part that `get` over TFTP fetches again and compares: that wire has no hash.
pub const TRANSFER_CHECK_BYTES: u64 = 64 * 1024;

/// Bytes of the label beside a part that are read: a version is a word of some 50.
pub const TRANSFER_LABEL_BYTES_MAX: u64 = 1024;

/// Bytes of a TFTP block that the clients ask for: a datagram of Ethernet's 1,500.
pub const TRANSFER_BLOCK_BYTES: u16 = 1428;

/// Blocks of a TFTP window that the clients ask for: 22 KiB, which the smallest socket buffers hold.
pub const TRANSFER_WINDOW_BLOCKS: u16 = 16;
