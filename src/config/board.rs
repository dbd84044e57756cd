//! The default board, and the directory for its Unix sockets.

use std::env;
use std::path::{Path, PathBuf};

use super::endpoint::{Endpoint, EndpointError, ListenerSpec};

/// The directory of the default board's Unix sockets: `$XDG_RUNTIME_DIR/switchboard`, else
/// `/tmp/switchboard-UID`.
///
/// It is made and checked where a socket is bound; a client only looks into it.
pub fn runtime_directory() -> PathBuf {
    match env::var_os("XDG_RUNTIME_DIR") {
        Some(directory) if PathBuf::from(&directory).is_absolute() => {
            PathBuf::from(directory).join("switchboard")
        }
        _ => PathBuf::from(format!(
            "/tmp/switchboard-{}",
            rustix::process::getuid().as_raw()
        )),
    }
}

/// Turns the endpoints that a service names for the default board into listeners.
///
/// `RUNTIME` at the front of a path stands for [`runtime_directory`]; an error where that makes
/// the path longer than a socket's may be.
pub fn listeners<'a>(
    board: impl IntoIterator<Item = (&'a str, &'a [&'a str])>,
) -> Result<Vec<ListenerSpec>, EndpointError> {
    let runtime = runtime_directory();
    let mut specs = Vec::new();
    for (service, endpoints) in board {
        for endpoint in endpoints {
            specs.push(listener(service, endpoint, &runtime)?);
        }
    }
    Ok(specs)
}

/// The directory is put in after parsing: a `?` in it begins no options.
fn listener(service: &str, endpoint: &str, runtime: &Path) -> Result<ListenerSpec, EndpointError> {
    let mut spec: ListenerSpec = format!("{service}={endpoint}").parse()?;
    if let Endpoint::Unix(path) = &spec.endpoint
        && let Ok(rest) = path.strip_prefix("RUNTIME")
    {
        spec.endpoint = Endpoint::unix(runtime.join(rest))?;
    }
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_directory_stands_for_its_word() {
        let specs = listeners([("sum", &["unix:RUNTIME/sum.sock"][..])]).unwrap();
        let path = runtime_directory().join("sum.sock");
        assert_eq!(specs[0].to_string(), format!("sum=unix:{}", path.display()));
    }

    #[test]
    fn the_runtime_directory_may_hold_any_character() {
        let board = "unix:RUNTIME/sum.sock?mode=0600";
        let spec = listener("sum", board, Path::new("/run/a?b=c&d%/@")).unwrap();
        let path = PathBuf::from("/run/a?b=c&d%/@/sum.sock");
        assert_eq!(spec.endpoint, Endpoint::Unix(path));
        assert_eq!(spec.values.text("mode"), Some("0600"));
        let long = format!("/{}", "x".repeat(100));
        let error = listener("sum", board, Path::new(&long)).unwrap_err();
        assert!(error.to_string().contains("has 110 bytes"), "{error}");
    }
}
