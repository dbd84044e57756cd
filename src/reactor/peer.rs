//! What the kernel knows of the process behind a Unix connection.

use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt};
use rustix::process::{Signal, pidfd_send_signal};

use super::connection::Connection;
use super::stream::Stream;
use crate::service::Peer;

/// The peer of a Unix connection, as it was when it connected (SO_PEERCRED, unix(7)).
pub(super) fn of_unix(stream: &impl AsFd) -> Peer {
    match getsockopt(stream, sockopt::PeerCredentials) {
        // A peer of another process namespace has the id 0 here.
        Ok(peer) => Peer::Unix {
            pid: u32::try_from(peer.pid()).unwrap_or(0),
            uid: peer.uid(),
        },
        Err(_) => Peer::Gone,
    }
}

/// Who a connection's peer is, for the rare line that is written where nobody was to be told.
pub(super) fn of(c: &Connection) -> Peer {
    match (&c.peer, &c.stream) {
        (Peer::Gone, Stream::Unix(stream)) => of_unix(stream),
        (peer, _) => peer.clone(),
    }
}

/// Sends SIGUSR1 to the very process that connected, by a descriptor of it taken from the socket
/// (SO_PEERPIDFD, Linux 6.5): never by a number, which may belong to somebody else by now.
///
/// # Errors
/// `ENOPROTOOPT` where the kernel is older, `ESRCH` where the process has gone.
pub(super) fn signal_usr1(stream: &impl AsFd) -> std::io::Result<()> {
    let process = getsockopt(stream, sockopt::PeerPidfd)?;
    Ok(pidfd_send_signal(&process, Signal::USR1)?)
}
