//! TFTP by clients that nobody here wrote, and by our own: bytes are compared, because some of them
//! end with 0 whatever happened.

use std::fs;
use std::path::Path;

use crate::support::have;
use crate::support::server::Server;
use crate::support::shell::{Line, line, run_all};
use crate::support::udp::udp_of;

/// A client: the program, how it fetches `$name` into `$to`, and how it stores `$from` as `$name`.
struct Client {
    program: &'static str,
    get: &'static str,
    put: &'static str,
    /// Whether it moves large files too: of lines that differ in little but time, one does.
    large: bool,
}

/// What stands in the documentation (docs/TFTP.md): each client both ways, with the options that it
/// has. What isn't here no client can: tftp-hpa has no options at all, curl and busybox no windows.
/// Of netascii busybox knows nothing, and curl asks for it and then takes the bytes as they are.
const CLIENTS: &[Client] = &[
    Client {
        program: "curl",
        get: "curl -sS tftp://$host:$port/$name -o $to",
        put: "curl -sS -T $from tftp://$host:$port/$name",
        large: true,
    },
    Client {
        program: "curl",
        get: "curl -sS --tftp-no-options tftp://$host:$port/$name -o $to",
        put: "curl -sS --tftp-no-options -T $from tftp://$host:$port/$name",
        large: false,
    },
    Client {
        program: "curl",
        get: "curl -sS --tftp-blksize 1428 tftp://$host:$port/$name -o $to",
        put: "curl -sS --tftp-blksize 1428 -T $from tftp://$host:$port/$name",
        large: true,
    },
    Client {
        program: "tftp",
        get: "tftp -m binary -4 $host $port -c get $name $to",
        put: "tftp -m binary -4 $host $port -c put $from $name",
        large: true,
    },
    // Netascii is what it speaks where nothing is said.
    Client {
        program: "tftp",
        get: "tftp -4 $host $port -c get $name $to",
        put: "tftp -4 $host $port -c put $from $name",
        large: true,
    },
    Client {
        program: "atftp",
        get: "atftp --get -r $name -l $to $host $port",
        put: "atftp --put -r $name -l $from $host $port",
        large: true,
    },
    Client {
        program: "atftp",
        get: "atftp --option 'blksize 1428' --option 'windowsize 16' --get -r $name -l $to $host $port",
        put: "atftp --option 'blksize 1428' --option 'windowsize 16' --put -r $name -l $from $host $port",
        large: true,
    },
    Client {
        program: "atftp",
        get: "atftp --option 'mode netascii' --get -r $name -l $to $host $port",
        put: "atftp --option 'mode netascii' --put -r $name -l $from $host $port",
        large: false,
    },
    Client {
        program: "busybox",
        get: "busybox tftp -g -r $name -l $to $host $port",
        put: "busybox tftp -p -r $name -l $from $host $port",
        large: true,
    },
    Client {
        program: "busybox",
        get: "busybox tftp -b 65464 -g -r $name -l $to $host $port",
        put: "busybox tftp -b 65464 -p -r $name -l $from $host $port",
        large: true,
    },
];

/// No two neighbours are alike, and every kind of line end is there.
fn content(len: usize) -> Vec<u8> {
    let mut random = 1_u64;
    let mut next = || {
        // Any sequence will do; this one is Knuth's (MMIX).
        random = random.wrapping_mul(6_364_136_223_846_793_005);
        random = random.wrapping_add(1_442_695_040_888_963_407);
        let byte = (random >> 56) as u8;
        if byte < 8 {
            [b'\r', b'\n', 0][usize::from(byte) % 3]
        } else {
            byte
        }
    };
    (0..len).map(|_| next()).collect()
}

fn serve(port: &str) -> Server {
    let listener = format!("files=udp://127.0.0.1:0?root=DIR&upload=replace&port={port}");
    Server::start(&[&listener])
}

/// Fetches and stores a file of that size with every client that is here.
fn both_ways(server: &Server, size: usize) {
    let folder = server.folder();
    let bytes = content(size);
    fs::write(folder.join("file"), &bytes).unwrap();
    let variables = [
        ("host", "127.0.0.1".to_owned()),
        ("port", udp_of(server, "files", 0).port().to_string()),
        ("from", folder.join("file").display().to_string()),
        ("dir", folder.display().to_string()),
    ];
    let tell = |path: &Path| match fs::read(path) {
        Ok(got) if got == bytes => "the same".to_owned(),
        Ok(got) => format!("other {} bytes", got.len()),
        Err(error) => error.to_string(),
    };
    let mut wrong = Vec::new();
    let is_large = size > u16::MAX.into();
    for (place, client) in CLIENTS.iter().enumerate() {
        if !have(client.program) || (is_large && !client.large) {
            continue;
        }
        // It says how fast it was on standard output or not: that is not asked.
        let get = format!(
            "name=file; to=$dir/got-{place}; {} >/dev/null 2>&1",
            client.get
        );
        let put = format!("name=put-{place}; {} >/dev/null 2>&1", client.put);
        let lines: Vec<Line> = [get, put]
            .into_iter()
            .map(|script| line(client.program, script.leak(), ""))
            .collect();
        run_all(&lines, &variables);
        for file in [format!("got-{place}"), format!("put-{place}")] {
            let told = tell(&folder.join(&file));
            if told != "the same" {
                wrong.push(format!("{}, {file}, {size} bytes: {told}", client.program));
            }
            let _ = fs::remove_file(folder.join(&file));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_client_fetches_and_stores_files_of_every_size() {
    for port in ["fresh", "single"] {
        let server = serve(port);
        for size in [0, 1, 511, 512, 513, 1024] {
            both_ways(&server, size);
        }
        server.expect_no_warning();
        server.stop();
    }
}

/// 40 MiB are 81,920 blocks of 512 bytes; each client has a line that says nothing of larger ones.
#[test]
fn every_client_counts_blocks_beyond_their_last_number() {
    let server = serve("fresh");
    both_ways(&server, 40 * 1024 * 1024);
    server.stop();
}

#[test]
fn our_own_clients_fetch_store_and_resume() {
    for port in ["fresh", "single"] {
        let server = serve(port);
        let folder = server.folder();
        let bytes = content(3_000_000);
        fs::write(folder.join("file"), &bytes).unwrap();
        let here = tempfile::tempdir().unwrap();
        fs::write(here.path().join(".file.partial"), &bytes[..1_000_000]).unwrap();
        fs::write(here.path().join(".file.partial.version"), "size 3000000").unwrap();
        let variables = [
            ("at", udp_of(&server, "files", 0).to_string()),
            ("here", here.path().display().to_string()),
            ("switchboard", env!("CARGO_BIN_EXE_switchboard").to_owned()),
        ];
        run_all(
            &[line(
                "bash",
                "cd $here && $switchboard get udp://$at file 2>&1 &&
                 $switchboard put udp://$at file --as copy 2>&1",
                "",
            )],
            &variables,
        );
        assert!(fs::read(here.path().join("file")).unwrap() == bytes);
        assert!(fs::read(folder.join("copy")).unwrap() == bytes);
        // The first million bytes, less what is compared, did not come again.
        let ended = "the answer was sent";
        server.wait_for_log(ended);
        let log = server.log();
        let sent = log.lines().find(|line| line.contains(ended)).unwrap();
        let words: Vec<_> = sent.split(' ').collect();
        let at = words
            .windows(2)
            .position(|two| two == ["bytes", "out:"])
            .unwrap();
        let out: usize = words[at - 1].parse().unwrap();
        assert!((2_000_000..2_200_000).contains(&out), "{sent}");
        server.stop();
    }
}
