//! Who may connect: the mode and the group of a path, and the runtime directory.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use crate::support::refusal::refused;
use crate::support::server::{Builder, Server};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Starts a server under this umask.
fn under_umask(umask: &str, argument: &str) -> Server {
    let script = format!("umask {umask}; exec \"$@\"");
    Builder::new(&[argument])
        .wrapped(&["sh", "-c", &script, "sh"])
        .start()
}

#[test]
fn the_mode_is_exact_where_it_is_given_and_0666_less_the_umask_where_not() {
    for (umask, argument, expected) in [
        ("077", "slot=unix:DIR/slot?mode=0660", 0o660),
        ("000", "slot=unix:DIR/slot?mode=0660", 0o660),
        ("022", "slot=unix:DIR/slot?mode=0777", 0o777),
        ("000", "slot=unix:DIR/slot?mode=0600", 0o600),
        ("000", "slot=unix:DIR/slot", 0o666),
        ("022", "slot=unix:DIR/slot", 0o644),
        ("077", "slot=unix:DIR/slot", 0o600),
    ] {
        let server = under_umask(umask, argument);
        let found = mode(&server.unix("slot"));
        assert_eq!(found, expected, "{argument} under {umask}: {found:o}");
        server.stop();
    }
}

#[test]
fn the_group_is_the_one_that_is_named() {
    // Root may give a file to any group, others only to their own.
    let root = rustix::process::geteuid().is_root();
    let name = if root {
        "daemon".to_owned()
    } else {
        let own = nix::unistd::Group::from_gid(nix::unistd::getegid());
        own.unwrap().expect("the own group has a name").name
    };
    let group = nix::unistd::Group::from_name(&name)
        .unwrap()
        .expect("the group exists");
    let argument = format!("slot=unix:DIR/slot?group={name}&mode=0620");
    let server = under_umask("077", &argument);
    let path = server.unix("slot");
    assert_eq!(fs::metadata(&path).unwrap().gid(), group.gid.as_raw());
    assert_eq!(mode(&path), 0o620);
    server.stop();
    let unknown = "slot=unix:DIR/slot?group=no-such-group";
    refused(&Builder::new(&[unknown])).expect(2, &["slot=unix:", "group", "no-such-group"]);
}

#[test]
fn the_runtime_directory_is_made_closed_and_refused_where_it_is_not() {
    let argument = "slot=unix:DIR/switchboard/slot.sock";
    let server = Server::start(&[argument]);
    let runtime = server.folder().join("switchboard");
    assert_eq!(mode(&runtime), 0o700);
    server.stop();

    type Make = fn(&Path);
    let wrong: [(&str, Make); 4] = [
        ("is no directory", |path| {
            fs::create_dir(path.with_extension("real")).unwrap();
            fs::set_permissions(path.with_extension("real"), Permissions::from_mode(0o700))
                .unwrap();
            symlink(path.with_extension("real"), path).unwrap();
        }),
        ("is open to other users", |path| {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
        }),
        ("is open to other users", |path| {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o750)).unwrap();
        }),
        ("is no directory", |path| fs::write(path, "a file").unwrap()),
    ];
    for (words, make) in wrong {
        let builder = Builder::new(&[argument]);
        let runtime = builder.folder().join("switchboard");
        make(&runtime);
        let before = fs::symlink_metadata(&runtime).unwrap();
        refused(&builder).expect(1, &["error: ", &runtime.display().to_string(), words]);
        let after = fs::symlink_metadata(&runtime).unwrap();
        assert_eq!(
            (before.ino(), before.mode()),
            (after.ino(), after.mode()),
            "{words}"
        );
    }
}

#[test]
fn a_runtime_directory_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give a directory to another user");
        return;
    }
    let builder = Builder::new(&["slot=unix:DIR/switchboard/slot.sock"]);
    let runtime = builder.folder().join("switchboard");
    fs::create_dir(&runtime).unwrap();
    fs::set_permissions(&runtime, Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(&runtime, Some(65_534), None).unwrap();
    refused(&builder).expect(1, &["switchboard: belongs to another user"]);
}
