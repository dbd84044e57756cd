//! Addresses as the kernel writes them beside a datagram, and as it reads them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::SockaddrStorage;

use super::Local;

pub(super) fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage
        .as_sockaddr_in()
        .map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| {
        storage
            .as_sockaddr_in6()
            .map(|v6| SocketAddr::V6((*v6).into()))
    })
}

pub(super) fn local_v4(info: &in_pktinfo) -> Local {
    let ip = Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes());
    // In the header stood another address than ours: that of many.
    let many = info.ipi_addr.s_addr != info.ipi_spec_dst.s_addr;
    Local {
        ip: IpAddr::V4(ip),
        interface: 0,
        many,
    }
}

pub(super) fn local_v6(info: &in6_pktinfo) -> Local {
    let ip = std::net::Ipv6Addr::from(info.ipi6_addr.s6_addr);
    // A link-local address means something only together with its interface.
    let interface = match ip.is_unicast_link_local() {
        true => info.ipi6_ifindex,
        false => 0,
    };
    Local {
        ip: IpAddr::V6(ip),
        interface,
        many: ip.is_multicast(),
    }
}

pub(super) fn packet_info_v4(from: &Local) -> in_pktinfo {
    let octets = match from.ip {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(_) => [0; 4],
    };
    in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: in_addr {
            s_addr: u32::from_ne_bytes(octets),
        },
        ipi_addr: in_addr { s_addr: 0 },
    }
}

pub(super) fn packet_info_v6(from: &Local) -> in6_pktinfo {
    let octets = match from.ip {
        IpAddr::V6(v6) => v6.octets(),
        IpAddr::V4(_) => [0; 16],
    };
    in6_pktinfo {
        ipi6_addr: in6_addr { s6_addr: octets },
        ipi6_ifindex: from.interface,
    }
}
