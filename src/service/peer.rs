//! Who is at the other end of a connection, as far as the kernel says.

use std::fmt;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

/// The peer of a connection; 16 bytes, so that each connection can keep it for its log lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// An IPv4 address.
    V4(SocketAddrV4),
    /// An IPv6 address; boxed because it is the rare and large one.
    V6(Box<SocketAddrV6>),
    /// A process on this machine, as it was when it connected (SO_PEERCRED, unix(7)).
    Unix {
        /// Its process id then; it may have been used again since.
        pid: u32,
        /// Its user id then.
        uid: u32,
    },
    /// The kernel no longer knows: the peer had reset the connection before it was accepted.
    Gone,
}

const _: () = assert!(size_of::<Peer>() <= 16);

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::V4(v4),
            SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
                Some(v4) => Self::V4(SocketAddrV4::new(v4, v6.port())),
                None => Self::V6(Box::new(v6)),
            },
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => write!(f, "{address}"),
            Self::V6(address) => write!(f, "{address}"),
            Self::Unix { pid, uid } => write!(f, "process {pid} of user {uid}"),
            Self::Gone => f.write_str("a peer that was gone at once"),
        }
    }
}
