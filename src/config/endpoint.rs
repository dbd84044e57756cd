//! Endpoints and listeners as they are written: `tcp://HOST:PORT`, `unix:PATH`, `unix:@name`,
//! `udp://HOST:PORT`, and `SERVICE=ENDPOINT[?KEY=VALUE[&KEY=VALUE]...]`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;

use super::limits::SOCKET_PATH_BYTES_MAX;
use super::options::Values;

/// An address as it is written, before any name is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `tcp://HOST:PORT`.
    Tcp(HostPort),
    /// `udp://HOST:PORT`.
    Udp(HostPort),
    /// `unix:PATH`: a socket in the file system.
    Unix(PathBuf),
    /// `unix:@name`: a socket in Linux's abstract namespace (unix(7)).
    Abstract(String),
}

/// A host and a port; port 0 is any free one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Where.
    pub host: Host,
    /// Which; 0 means any free one.
    pub port: u16,
}

/// How a host was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// Dotted decimal.
    V4(Ipv4Addr),
    /// In brackets.
    V6(Ipv6Addr),
    /// A name, to be resolved at start or in a client, never in the loop.
    Name(String),
}

/// What is wrong with an endpoint or listener; the text names the part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointError(String);

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EndpointError {}

fn error<T>(text: impl Into<String>) -> Result<T, EndpointError> {
    Err(EndpointError(text.into()))
}

impl Endpoint {
    /// Whether `text` begins as an endpoint does, or as an address with another scheme, which is meant
    /// for one; tells it from a message or a name on a command line.
    pub fn looks_like(text: &str) -> bool {
        let mut ours = ["tcp:", "udp:", "unix:"].into_iter();
        ours.any(|scheme| text.starts_with(scheme)) || scheme_of(text).is_some()
    }

    /// A socket in the file system, by a path that is taken as it stands.
    ///
    /// An error where the path is empty, names a folder, has a control character or more than
    /// [`SOCKET_PATH_BYTES_MAX`] bytes.
    pub fn unix(path: PathBuf) -> Result<Self, EndpointError> {
        let bytes = path.as_os_str().as_bytes();
        let (len, max) = (bytes.len(), SOCKET_PATH_BYTES_MAX);
        let shown = path.to_string_lossy();
        let shown = shown.escape_debug();
        if bytes.is_empty() {
            return error("unix: needs a path");
        }
        if path.to_string_lossy().contains(char::is_control) {
            return error(format!("unix:{shown}: {CONTROL}"));
        }
        if bytes.ends_with(b"/") {
            return error(format!("unix:{shown}: the path names a folder"));
        }
        if len > max {
            return error(format!(
                "unix:{shown}: the path has {len} bytes; a socket's may have {max}"
            ));
        }
        Ok(Endpoint::Unix(path))
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if let Some(rest) = text.strip_prefix("unix:") {
            return unix(rest);
        }
        if let Some(rest) = text.strip_prefix("tcp://") {
            return host_port(rest).map(Endpoint::Tcp);
        }
        if let Some(rest) = text.strip_prefix("udp://") {
            return host_port(rest).map(Endpoint::Udp);
        }
        let shown = text.escape_debug();
        let why = match scheme_of(text) {
            Some(scheme) => format!(": '{scheme}' is no scheme of one"),
            None => String::new(),
        };
        error(format!(
            "'{shown}' is no endpoint{why}; \
             write tcp://HOST:PORT, unix:PATH, unix:@NAME or udp://HOST:PORT"
        ))
    }
}

/// What stands in front of `://`, if it can be a scheme (RFC 3986, section 3.1).
fn scheme_of(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    let begins = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    (begins && scheme.bytes().all(allowed)).then_some(scheme)
}

/// An endpoint is shown in lines that scripts read; nothing in it may look like another line.
const CONTROL: &str = "there is a control character in it";

fn unix(rest: &str) -> Result<Endpoint, EndpointError> {
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => return error("unix:// needs an absolute path: unix:///run/x.sock"),
        None => rest,
    };
    if let Some(name) = path.strip_prefix('@') {
        if name.contains(char::is_control) {
            let shown = name.escape_debug();
            return error(format!("unix:@{shown}: {CONTROL}"));
        }
        if name.is_empty() || name.len() > SOCKET_PATH_BYTES_MAX {
            return error(format!(
                "unix:@ needs a name of 1 to {SOCKET_PATH_BYTES_MAX} bytes"
            ));
        }
        return Ok(Endpoint::Abstract(name.to_owned()));
    }
    Endpoint::unix(PathBuf::from(path))
}

fn host_port(text: &str) -> Result<HostPort, EndpointError> {
    let shown = text.escape_debug();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, after)) = rest.split_once(']') else {
                return error(format!("'{shown}': the [ of an IPv6 address has no ]"));
            };
            let Ok(address) = address.parse::<Ipv6Addr>() else {
                return error(format!("'{}' is no IPv6 address", address.escape_debug()));
            };
            let Some(port) = after.strip_prefix(':') else {
                return error(format!("'{shown}' has no port; write [ADDRESS]:PORT"));
            };
            (Host::V6(address), port)
        }
        None => {
            let Some((host, port)) = text.rsplit_once(':') else {
                return error(format!("'{shown}' has no port; write HOST:PORT"));
            };
            (host_of(host)?, port)
        }
    };
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(port) if digits => Ok(HostPort { host, port }),
        _ => error(format!(
            "'{}' is no port; it is a number from 0 to 65535",
            port.escape_debug()
        )),
    }
}

fn host_of(text: &str) -> Result<Host, EndpointError> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::V4(address));
    }
    let shown = text.escape_debug();
    if text.contains(':') {
        return error(format!(
            "'{shown}': an IPv6 address stands in brackets: [::1]:PORT"
        ));
    }
    if text.is_empty() {
        return error("the host is missing; write 0.0.0.0 or [::] for every address");
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    // A name of digits and dots alone is a mistyped IPv4 address; resolvers read 127.1 as 127.0.0.1.
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric || text.len() > 253 || !text.bytes().all(allowed) {
        return error(format!("'{shown}' is neither an address nor a host name"));
    }
    Ok(Host::Name(text.to_owned()))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::V4(address) => write!(f, "{address}"),
            Host::V6(address) => write!(f, "[{address}]"),
            Host::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(at) => write!(f, "tcp://{at}"),
            Endpoint::Udp(at) => write!(f, "udp://{at}"),
            // Two slashes behind the colon are read as the longer form's; that form it is then.
            Endpoint::Unix(path) => match path.to_string_lossy().starts_with("//") {
                true => write!(f, "unix://{}", path.display()),
                false => write!(f, "unix:{}", path.display()),
            },
            Endpoint::Abstract(name) => write!(f, "unix:@{name}"),
        }
    }
}

/// One listener: which service, where, and its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSpec {
    /// The name of the service.
    pub service: String,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// What stood behind the `?`.
    pub values: Values,
}

impl FromStr for ListenerSpec {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let Some((service, rest)) = text.split_once('=') else {
            let shown = text.escape_debug();
            return error(format!("'{shown}' is no listener; write SERVICE=ENDPOINT"));
        };
        let (endpoint, values) = match rest.split_once('?') {
            None => (rest, Values::default()),
            Some((endpoint, options)) => (
                endpoint,
                Values::parse(options).map_err(|e| EndpointError(e.to_string()))?,
            ),
        };
        Ok(Self {
            service: service.to_owned(),
            endpoint: endpoint.parse()?,
            values,
        })
    }
}

impl fmt::Display for ListenerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.service, self.endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_written_alike() {
        for text in [
            "tcp://127.0.0.1:1050",
            "tcp://[::1]:0",
            "udp://localhost:69",
            "unix:run/x.sock",
            "unix:/run/x.sock",
            "unix:@name",
            "unix:////run/x.sock",
            "unix:@it's \"quoted\"",
        ] {
            assert_eq!(
                text.parse::<Endpoint>().map(|e| e.to_string()).as_deref(),
                Ok(text)
            );
        }
        assert_eq!(
            "unix:///run/x".parse::<Endpoint>(),
            Ok(Endpoint::Unix(PathBuf::from("/run/x")))
        );
    }

    #[test]
    fn a_wrong_endpoint_is_named_with_what_is_wrong() {
        let long = format!("unix:/{}", "x".repeat(107));
        for (text, part) in [
            ("", "is no endpoint"),
            (
                "http://x:1",
                "is no endpoint: 'http' is no scheme of one; write",
            ),
            (
                "a b://x:1",
                "'a b://x:1' is no endpoint; write tcp://HOST:PORT",
            ),
            ("tcp://127.0.0.1", "has no port"),
            ("tcp://:1", "host is missing"),
            ("tcp://127.0.0.1:65536", "is no port"),
            ("tcp://127.0.0.1:+1", "is no port"),
            ("tcp://127.0.0.1:", "is no port"),
            ("tcp://::1:80", "stands in brackets"),
            ("tcp://[::1]", "has no port"),
            ("tcp://[::1:80", "has no ]"),
            ("tcp://[x]:80", "is no IPv6 address"),
            ("tcp://127.1:80", "neither an address nor"),
            ("tcp://a b:80", "neither an address nor"),
            ("unix:", "needs a path"),
            ("unix:/run/", "names a folder"),
            ("unix://run/x", "needs an absolute path"),
            ("unix:@", "needs a name"),
            ("unix:@a\0", "a control character"),
            ("unix:/run/x\nready", "a control character"),
            (&long, "has 108 bytes"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_listener_has_a_service_an_endpoint_and_options() {
        let spec: ListenerSpec = "slot=tcp://0.0.0.0:1050?delay=2s&gap=1ms".parse().unwrap();
        assert_eq!(spec.service, "slot");
        assert_eq!(spec.values.text("gap"), Some("1ms"));
        assert_eq!(spec.to_string(), "slot=tcp://0.0.0.0:1050");
        assert!(
            "slot"
                .parse::<ListenerSpec>()
                .unwrap_err()
                .to_string()
                .contains("no listener")
        );
        assert!("slot=tcp://0.0.0.0:1?".parse::<ListenerSpec>().is_err());
    }
}
