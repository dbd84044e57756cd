//! The environment of a program that gets a connection's socket.

use std::ffi::OsString;

use super::stream::Stream;

/// The whole environment of a program: three variables of the server's, and the addresses, which
/// are numbers and come from the kernel.
pub(super) fn environment(stream: &Stream) -> Vec<(&'static str, OsString)> {
    let mut variables = Vec::new();
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    variables.push(("PATH", path));
    for name in ["HOME", "LANG"] {
        variables.extend(std::env::var_os(name).map(|value| (name, value)));
    }
    let Stream::Tcp(stream) = stream else {
        variables.push(("PROTO", "UNIX".into()));
        return variables;
    };
    variables.push(("PROTO", "TCP".into()));
    // A peer that has broken off has no address any more.
    if let Ok(peer) = stream.peer_addr() {
        let (ip, port) = (peer.ip().to_string(), peer.port().to_string());
        variables.push(("REMOTE_ADDR", ip.clone().into()));
        variables.push(("REMOTE_PORT", port.clone().into()));
        variables.push(("TCPREMOTEIP", ip.into()));
        variables.push(("TCPREMOTEPORT", port.into()));
    }
    if let Ok(local) = stream.local_addr() {
        variables.push(("TCPLOCALIP", local.ip().to_string().into()));
        variables.push(("TCPLOCALPORT", local.port().to_string().into()));
    }
    variables
}

/// PATH of a program where the server itself has none.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
