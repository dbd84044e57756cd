//! Games over datagrams.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use crate::support::LIMIT;
use crate::support::process::anonymous_bytes;
use crate::support::server::Builder;
use crate::support::udp::{ask, hear, hears_nothing, report_line, udp_of};

const PROMPT: &[u8] = b"Guess a number between 1 and 6.\n";

/// A player at an address of its own.
fn player(number: u32, at: SocketAddr) -> UdpSocket {
    let ip = Ipv4Addr::from_bits(0x7f02_0000 + number);
    let player = UdpSocket::bind((ip, 0)).unwrap();
    player.connect(at).unwrap();
    player.set_read_timeout(Some(LIMIT)).unwrap();
    player
}

#[test]
fn ten_thousand_addresses_play_in_bounded_memory() {
    let server = Builder::new(&["guess=udp://0.0.0.0:0"]).log("info").start();
    let port = udp_of(&server, "guess", 0).port();
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(ask(&player(0, at), b""), PROMPT);
    let before = anonymous_bytes(server.pid());
    let (mut won, mut lost) = (0, 0);
    for number in 1..=10_000 {
        let player = player(number, at);
        assert_eq!(ask(&player, b""), PROMPT);
        // Every other one leaves without a guess; nobody is told that its port is closed.
        if number % 2 == 0 {
            match String::from_utf8(ask(&player, b"4")).unwrap().as_str() {
                "Correct, you win: it was 4.\n" => won += 1,
                text if text.starts_with("Wrong, you lose: it was ") => lost += 1,
                text => panic!("{text}"),
            }
        }
    }
    assert_eq!(won + lost, 5_000);
    assert!((600..1_100).contains(&won), "{won} won");
    let grown = anonymous_bytes(server.pid()).saturating_sub(before);
    assert!(grown < 5_001 * 1024, "{grown} bytes for 5,001 flows");
    let line = report_line(&server, &format!("0.0.0.0:{port}"));
    assert!(line.contains("not answered: 0 refused, 0 over their rate, 0 without room"));
    assert!(server.log().contains(", 5001 flows"), "{line}");
    server.stop();
}

#[test]
fn a_game_over_datagrams_complains_once_and_ends_with_its_outcome() {
    let server = Builder::new(&["guess=udp://127.0.0.1:0?tries=2"])
        .log("info")
        .start();
    let player = player(1, udp_of(&server, "guess", 0));
    assert_eq!(ask(&player, b"hello"), PROMPT);
    assert_eq!(
        ask(&player, b"7"),
        b"error: that is no number from 1 to 6\n"
    );
    player.send(b"seven").unwrap();
    hears_nothing(&player);
    let mut text = ask(&player, b"1\n");
    if text == b"Wrong, try again.\n" {
        text = ask(&player, b"2\n");
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("it was "), "{text}");
    // The next datagram of that address is the first of a new game.
    assert_eq!(ask(&player, b"3"), PROMPT);
    player.send(b"").unwrap();
    assert!(hear(&player).starts_with(b"error: "));
    server.stop();
}
