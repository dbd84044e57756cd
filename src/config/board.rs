//! The default board, and the directory for its Unix sockets.

use std::env;
use std::path::PathBuf;

use super::endpoint::{EndpointError, ListenerSpec};

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
/// `RUNTIME` in them stands for [`runtime_directory`].
pub fn listeners<'a>(
    board: impl IntoIterator<Item = (&'a str, &'a [&'a str])>,
) -> Result<Vec<ListenerSpec>, EndpointError> {
    let runtime = runtime_directory().display().to_string();
    let mut specs = Vec::new();
    for (service, endpoints) in board {
        for endpoint in endpoints {
            let text = format!("{service}={}", endpoint.replace("RUNTIME", &runtime));
            specs.push(text.parse()?);
        }
    }
    Ok(specs)
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
}
