//! nginx, with the files of a folder: this very process becomes it.

use std::io::Error;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use super::{announce, installed};

/// What it is called.
const PROGRAM: &str = "nginx";

/// Serves the folder `root` in `directory`. It is announced before nginx listens, which has no word for
/// that: who connects waits for it.
pub fn serve(directory: &Path) -> io::Result<()> {
    let program = installed(PROGRAM).ok_or(io::ErrorKind::NotFound)?;
    // The port is free again when nginx asks for it; nginx that is handed the socket itself (by its
    // variable NGINX) crashes where it has one process only.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let path = directory.join("nginx.sock");
    let (folder, socket) = (directory.display(), path.display());
    let settings = directory.join("nginx.conf");
    fs::write(
        &settings,
        format!(
            "daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
            events {{ worker_connections 512; }}
            http {{
                access_log off; sendfile on;
                client_body_temp_path {folder}; proxy_temp_path {folder};
                fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
                server {{ listen {address}; listen unix:{socket}; root {folder}/root; }}
            }}\n"
        ),
    )?;
    announce(&[
        ("files", &format_args!("tcp://{address}")),
        ("files", &format_args!("unix:{socket}")),
    ])?;
    let mut nginx = Command::new(program);
    let error: Error = nginx
        .arg("-p")
        .arg(directory)
        .arg("-c")
        .arg(&settings)
        .exec();
    Err(error)
}
