//! The limits of TFTP, with their reasons.

use std::time::Duration;

use super::DATAGRAM_BYTES_MAX;

/// Blocks that a TFTP window may have: one system call sends them.
pub const TFTP_WINDOW_BLOCKS_MAX: u16 = 64;

/// Bytes of a TFTP window, which its sender keeps until they are acknowledged; it has one block at
/// least.
///
/// A socket keeps 208 KiB (`net.core.rmem_default`) unless its owner asks for more, and the kernel
/// reckons up to twice the bytes of a datagram and 1 KiB more. Where the end of each window is lost,
/// each costs a second: in windows of 256 KiB, or of 32 blocks of 4,096 bytes, 40 MiB took minutes
/// over the loopback.
pub const TFTP_WINDOW_BYTES_MAX: usize = 80 * 1024;

/// How long a TFTP packet stays unanswered before it is sent again, where no timeout was agreed on.
/// It doubles with each repeat, up to [`TFTP_REPEAT_LONGEST`].
pub const TFTP_REPEAT_FIRST: Duration = Duration::from_secs(1);

/// See [`TFTP_REPEAT_FIRST`]: longer than any round trip, short beside what clients wait.
pub const TFTP_REPEAT_LONGEST: Duration = Duration::from_secs(8);

/// How often a TFTP packet or window is sent again in a row; then the peer is given up. Where a fifth
/// of the packets is lost each way, one exchange in 75,000 fails so often.
pub const TFTP_REPEATS_MAX: u32 = 10;

/// A TFTP peer that brings the transfer no further for so long is given up, however few the repeats
/// were; three times the timeout where a longer one was agreed on. As [`FLOW_IDLE`](super::FLOW_IDLE).
pub const TFTP_SILENCE_MAX: Duration = Duration::from_secs(60);

/// How often the first TFTP packet is sent again to a peer that has not proved itself: whoever sends
/// a request in somebody else's name gets three packets at most onto that victim's line.
pub const TFTP_UNPROVED_REPEATS_MAX: u32 = 2;

/// How long a TFTP transfer lives whose peer has not proved itself, whatever timeout it asked for.
pub const TFTP_UNPROVED_MAX: Duration = Duration::from_secs(30);

/// How soon after an acknowledgement what it says is not said again for a packet that came twice.
///
/// Who has not heard it repeats by the clock, at the soonest after 0.1 s (busybox); what comes sooner
/// was doubled by the network. An answer would be a double too, and curl has a block go out again for
/// each: one packet that came twice doubled all behind it, and ended an upload after 50 blocks.
pub const TFTP_AGAIN_PAUSE: Duration = Duration::from_millis(50);

/// Bytes of a TFTP upload that are handed on as one write: a block at a time would cost a system
/// call each.
pub const TFTP_WRITE_BYTES: usize = 64 * 1024;

/// Bytes of a TFTP upload that may be on their way to the disk before acknowledgements wait for it.
pub const TFTP_UNWRITTEN_BYTES_MAX: u64 = 256 * 1024;

/// How long the receiver of a TFTP file stays after its last acknowledgement, to say it again where
/// it was lost: longer than the longest pause of a sender of ours; twice a longer agreed timeout.
pub const TFTP_DALLY: Duration = Duration::from_secs(10);

/// Bytes of a TFTP request, which is kept as long as its transfer: room for a name of
/// [`NAME_BYTES_MAX`](super::NAME_BYTES_MAX) and many options, where RFC 2347 allows 512 in all. A
/// forged one could hold 64 KiB else.
pub const TFTP_REQUEST_BYTES_MAX: usize = 2048;

/// Bytes of the message in a TFTP error, sent or kept; the rest is cut.
pub const TFTP_MESSAGE_BYTES_MAX: usize = 255;

const _: () = assert!(TFTP_WINDOW_BYTES_MAX >= DATAGRAM_BYTES_MAX);
const _: () = assert!(TFTP_DALLY.as_secs() > TFTP_REPEAT_LONGEST.as_secs());
