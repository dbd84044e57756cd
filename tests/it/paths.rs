//! Socket paths and ports: what is taken, what is refused in which words, and what is left alone.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

use rustix::process::Signal;

use crate::support::client::read_all;
use crate::support::refusal::{Refusal, refused};
use crate::support::server::{Builder, Server};
use crate::support::socket::Kind;

/// A slot on this path.
fn listener(path: &Path) -> String {
    format!("slot=unix:{}", path.display())
}

fn refused_at(path: &Path) -> Refusal {
    refused(&Builder::new(&[&listener(path)]))
}

/// A server on this path; it answers.
fn serve(path: &Path) -> Server {
    let server = Server::start(&[&listener(path), "echo=tcp://127.0.0.1:0"]);
    assert_serves(&server);
    server
}

#[track_caller]
fn assert_serves(server: &Server) {
    let mut socket = server.connect_unix("slot");
    // Nobody waits for a reply here: an empty message is refused at once.
    socket.write_all(b"\n").unwrap();
    assert_eq!(read_all(&mut socket), b"error: the message is empty\n");
}

#[test]
fn a_second_server_on_a_live_port_or_path_is_refused_and_the_first_is_unharmed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slot");
    let name = folder.path().file_name().unwrap().to_str().unwrap();
    let abstract_name = format!("echo=unix:@switchboard-{name}");
    let first = Server::start(&[&listener(&path), "slot=tcp://127.0.0.1:0", &abstract_name]);
    let port = format!("slot=tcp://{}", first.tcp("slot"));
    for argument in [listener(&path), port, abstract_name] {
        let second = refused(&Builder::new(&[&argument]));
        second.expect(
            1,
            &["error: ", &format!("{argument}: address already in use")],
        );
        assert_serves(&first);
        assert!(first.folder().exists() && path.exists());
    }
    first.stop();
    assert!(!path.exists());
}

#[test]
fn a_listener_that_fails_takes_the_paths_of_those_before_it_along() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("good"), folder.path().join("bad"));
    File::create(&bad).unwrap();
    let builder = Builder::new(&[&listener(&good), &listener(&bad)]);
    refused(&builder).expect(1, &[&listener(&bad), "is a file that is no socket"]);
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(left, [bad]);
}

#[test]
fn a_live_listener_of_somebody_else_is_refused_though_it_has_no_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slot");
    let foreign = UnixListener::bind(&path).unwrap();
    refused_at(&path).expect(1, &[&listener(&path), "address already in use"]);
    // With a full backlog it is live all the same: here the connection that has just asked fills it.
    rustix::net::listen(&foreign, 0).unwrap();
    refused_at(&path).expect(1, &[&listener(&path), "address already in use"]);
    assert!(path.exists(), "the foreign server's path is gone");

    let datagram = folder.path().join("datagram");
    let _foreign = UnixDatagram::bind(&datagram).unwrap();
    refused_at(&datagram).expect(1, &[&listener(&datagram), "address already in use"]);
    assert!(datagram.exists());
}

#[test]
fn a_live_server_whose_lock_file_was_removed_keeps_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slot");
    let server = serve(&path);
    fs::remove_file(folder.path().join("slot.lock")).unwrap();
    refused_at(&path).expect(1, &[&listener(&path), "address already in use"]);
    assert_serves(&server);
    server.stop();
    assert!(!path.exists());
}

#[test]
fn one_path_for_two_listeners_of_one_server_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slot");
    let echo = format!("echo=unix:{}", path.display());
    let builder = Builder::new(&[&listener(&path), &echo]);
    refused(&builder).expect(1, &["address already in use"]);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "something is left"
    );
}

#[test]
fn what_is_no_socket_survives_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("file"), "content").unwrap();
    fs::create_dir(at("folder")).unwrap();
    let live = UnixListener::bind(at("live")).unwrap();
    symlink(at("live"), at("link-to-live")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), rustix::fs::Mode::RWXU).unwrap();
    for (name, words) in [
        ("file", "is a file that is no socket; it is left alone"),
        ("folder", "is a file that is no socket; it is left alone"),
        ("fifo", "is a file that is no socket; it is left alone"),
        ("link-to-live", "is a symbolic link; it is left alone"),
        ("dangling", "is a symbolic link; it is left alone"),
    ] {
        let path = at(name);
        let before = fs::symlink_metadata(&path).unwrap();
        refused_at(&path).expect(1, &[&listener(&path), words]);
        let after = fs::symlink_metadata(&path).unwrap();
        assert_eq!(
            (before.ino(), before.mode()),
            (after.ino(), after.mode()),
            "{name}"
        );
    }
    assert_eq!(fs::read_to_string(at("file")).unwrap(), "content");
    assert!(!at("nowhere").exists());
    drop(live);
}

#[test]
fn a_lock_file_that_is_somebody_elses_survives_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slot");
    let lock = folder.path().join("slot.lock");
    fs::write(&lock, "somebody's notes").unwrap();
    refused_at(&path).expect(1, &[&listener(&path), "slot.lock", "not a lock"]);
    assert_eq!(fs::read_to_string(&lock).unwrap(), "somebody's notes");
    fs::remove_file(&lock).unwrap();
    symlink(folder.path().join("elsewhere"), &lock).unwrap();
    refused_at(&path).expect(1, &[&listener(&path), "slot.lock is a symbolic link"]);
    assert!(
        !folder.path().join("elsewhere").exists(),
        "written through the link"
    );
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    refused_at(&path).expect(1, &[&listener(&path), "slot.lock"]);
    assert!(lock.is_dir() && !path.exists());
}

#[test]
fn a_path_that_was_replaced_while_the_server_ran_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slot");
    let server = serve(&path);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "new").unwrap();
    server.stop();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    fs::remove_file(&path).unwrap();

    let server = serve(&path);
    fs::remove_file(&path).unwrap();
    let _foreign = UnixListener::bind(&path).unwrap();
    server.stop();
    assert!(path.exists(), "somebody else's socket was removed");
    assert!(!folder.path().join("slot.lock").exists());
}

#[test]
fn a_path_left_by_a_killed_server_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slot");
    for _ in 0..3 {
        let mut server = serve(&path);
        server.signal(Signal::KILL);
        assert_eq!(server.wait().code(), None);
        assert!(path.exists() && folder.path().join("slot.lock").exists());
    }
    serve(&path).stop();
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "something is left"
    );
}

#[test]
fn a_new_socket_left_by_a_server_killed_in_its_start_is_cleaned_up() {
    let folder = tempfile::tempdir().unwrap();
    let (path, new) = (folder.path().join("slot"), folder.path().join("slot.new"));
    drop(UnixListener::bind(&new).unwrap());
    let server = serve(&path);
    assert!(!new.exists());
    server.stop();
}

#[test]
fn what_stands_where_the_new_socket_would_be_made_is_left_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let (path, new) = (folder.path().join("slot"), folder.path().join("slot.new"));
    fs::write(&new, "somebody's").unwrap();
    refused_at(&path).expect(1, &[&listener(&path), "slot.new", "left alone"]);
    assert_eq!(fs::read_to_string(&new).unwrap(), "somebody's");
    fs::remove_file(&new).unwrap();

    // A server whose path happens to end so.
    let server = serve(&new);
    refused_at(&path).expect(1, &[&listener(&path), "slot.new", "already in use"]);
    assert_serves(&server);
    server.stop();
}

#[test]
fn a_path_may_be_as_long_as_is_said_and_no_longer() {
    let folder = tempfile::tempdir().unwrap();
    let of_length = |length: usize| {
        let here = folder.path().as_os_str().len() + 1;
        folder.path().join("x".repeat(length - here))
    };
    serve(&of_length(103)).stop();
    let long = of_length(104);
    refused_at(&long).expect(2, &[&listener(&long), "104 bytes", "103"]);
    let too_long = of_length(108);
    refused_at(&too_long).expect(2, &["108 bytes", "107"]);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "something is left"
    );
}

#[test]
fn a_directory_that_is_missing_or_cannot_be_written_is_named() {
    let missing = Path::new("/proc/nowhere/slot");
    refused_at(missing).expect(1, &[&listener(missing), "no such file or directory"]);
    // Not even root can make a file here.
    let unwritable = Path::new("/proc/slot");
    refused_at(unwritable).expect(1, &[&listener(unwritable)]);
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may write into a directory of mode 0555");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let path = folder.path().join("slot");
    refused_at(&path).expect(1, &[&listener(&path), "permission denied"]);
}

#[test]
fn the_kinds_of_listener_may_share_one_path_name_in_different_namespaces() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo");
    let file = format!("echo=unix:{}", path.display());
    let abstract_name = format!("echo=unix:@{}", path.display());
    let server = Server::start(&[&file, &abstract_name]);
    let mut socket = Kind::Unix.connect(&server, "echo");
    socket.write_all(b"x").unwrap();
    socket.end_writing();
    assert_eq!(read_all(&mut socket), b"x");
    drop(socket);
    server.stop();
}
