//! `kiosk`: every choice in each language, on terminals and pipes, and every way out of it.

use std::io::Write as _;

use rustix::process::Signal;

use crate::lockers::{Lockers, Then, end};
use crate::support::{Client, PATIENCE, run, run_with};
use crate::terminal::Terminal;

const CHOOSE: &str = "Number or word: ";
const PASSWORD: &str = "Password (not shown): ";

/// A kiosk in English with its menu shown.
fn kiosk(lockers: &Lockers) -> Terminal {
    let terminal = Terminal::start(80, &["kiosk", &lockers.endpoint], &[]);
    terminal.wait_for(CHOOSE, 1);
    terminal
}

/// The same, asking for the password of a locker.
fn kiosk_at_password(lockers: &Lockers) -> Terminal {
    let mut terminal = kiosk(lockers);
    terminal.types("retrieve\n");
    terminal.wait_for("Locker number: ", 1);
    terminal.types("1\n");
    terminal.wait_for(PASSWORD, 1);
    assert!(!terminal.echoes());
    terminal
}

/// What is waited for, and what is typed then.
type Step<'a> = (&'a str, &'a str);

fn play(terminal: &mut Terminal, steps: &[Step<'_>]) {
    for (at, (prompt, typed)) in steps.iter().enumerate() {
        // Prompts come again and again.
        let times = steps[..=at].iter().filter(|step| step.0 == *prompt).count();
        terminal.wait_for(prompt, times);
        terminal.types(&format!("{typed}\n"));
    }
}

#[test]
fn all_six_choices_in_english() {
    let lockers = Lockers::four();
    let mut terminal = Terminal::start(80, &["kiosk", "--lang=en", &lockers.endpoint], &[]);
    play(
        &mut terminal,
        &[
            (CHOOSE, "1"),
            (CHOOSE, "register"),
            ("Locker number: ", "1"),
            (PASSWORD, "verysecret"),
            ("The same once more: ", "verysecret"),
            (CHOOSE, "3"),
            ("Locker number: ", "1"),
            (PASSWORD, "verysecret"),
            ("What do you store? ", "a red book"),
            (CHOOSE, "Retrieve"),
            ("Locker number: ", "1"),
            (PASSWORD, "verysecret"),
            (CHOOSE, "call"),
            ("Locker number: ", "2"),
            (CHOOSE, "6"),
        ],
    );
    assert_eq!(terminal.report(), "ended 0, echo on");
    for request in [
        "show",
        "register 1 verysecret",
        "store 1 verysecret a red book",
        "retrieve 1 verysecret",
        "reset 2",
        "END",
    ] {
        assert_eq!(lockers.request(), request);
    }
    terminal.wait_for("Goodbye.\n", 1);
    let shown = terminal.shown();
    for text in [
        "  1 Show the lockers\n  2 Register a locker\n  3 Store an item\n  4 Retrieve",
        "\n0 free    1 free    2 free    3 in use\n",
        "Locker 1 is yours.",
        "Stored. Locker 1 holds 2 item(s) now.\n",
        "- a book\n- 우산\nLocker 1 held 2 item(s). It is free now.\n",
        "The administrator was called for locker 2.",
    ] {
        assert!(shown.contains(text), "no {text:?} in {shown}");
    }
    assert!(!shown.contains("verysecret"), "{shown}");
}

#[test]
fn all_six_choices_in_korean() {
    let lockers = Lockers::four();
    let korean = [("LC_ALL", ""), ("LANG", "ko_KR.UTF-8")];
    let mut terminal = Terminal::start(40, &["kiosk", &lockers.endpoint], &korean);
    let (choose, number) = ("입력해 주세요: ", "보관함 번호: ");
    let password = "비밀번호 (화면에 표시되지 않습니다): ";
    let secret = "비밀열쇠";
    play(
        &mut terminal,
        &[
            (choose, "보기"),
            (choose, "등록"),
            (number, "1"),
            (password, secret),
            // Its prompt ends like that of the menu.
            (choose, secret),
            (choose, "3"),
            (number, "1"),
            (password, secret),
            ("맡기실 물건: ", "빨간 책"),
            (choose, "찾기"),
            (number, "1"),
            (password, "wrong"),
            (choose, "4"),
            (number, "1"),
            (password, secret),
            (choose, "관리자"),
            (number, "2"),
            (choose, "나가기"),
        ],
    );
    assert_eq!(terminal.report(), "ended 0, echo on");
    for request in [
        "show".to_owned(),
        format!("register 1 {secret}"),
        format!("store 1 {secret} 빨간 책"),
        "retrieve 1 wrong".to_owned(),
        format!("retrieve 1 {secret}"),
        "reset 2".to_owned(),
        "END".to_owned(),
    ] {
        assert_eq!(lockers.request(), request);
    }
    terminal.wait_for("이용해 주셔서 감사합니다.\n", 1);
    let shown = terminal.shown();
    for text in [
        "  1 보관함 보기\n  2 보관함 등록하기\n",
        "\n0 비어 있음  1 비어 있음  2 비어 있음\n3 사용 중\n",
        "1번 보관함이 등록되었습니다.",
        "현재 물건은 2개입니다.\n",
        "1번 보관함의 비밀번호가 맞지 않습니다.\n",
        "- a book\n- 우산\n1번 보관함에서 물건 2개를 찾으셨습니다.",
        "2번 보관함 일로 관리자를 호출했습니다.",
    ] {
        assert!(shown.contains(text), "no {text:?} in {shown}");
    }
    assert!(!shown.contains(secret), "{shown}");
}

#[test]
fn the_grid_fits_the_terminal() {
    for (columns, rows) in [
        (20, "0 free    1 free\n2 free    3 in use\n"),
        (200, "0 free    1 free    2 free    3 in use\n"),
    ] {
        let lockers = Lockers::four();
        let mut terminal = Terminal::start(columns, &["kiosk", &lockers.endpoint], &[]);
        play(&mut terminal, &[(CHOOSE, "show"), (CHOOSE, "6")]);
        assert_eq!(terminal.report(), "ended 0, echo on");
        terminal.wait_for(&format!("\n{rows}"), 1);
    }
    let lockers = Lockers::four();
    let coloured = [("NO_COLOR", "")];
    let mut terminal = Terminal::start(80, &["kiosk", &lockers.endpoint], &coloured);
    play(&mut terminal, &[(CHOOSE, "show"), (CHOOSE, "6")]);
    terminal.wait_for("3 \x1b[31min use\x1b[0m\n", 1);
}

#[test]
fn what_can_t_be_sent_is_said_and_the_menu_goes_on() {
    let lockers = Lockers::four();
    let mut terminal = kiosk(&lockers);
    play(
        &mut terminal,
        &[
            (CHOOSE, "x"),
            (CHOOSE, "4"),
            ("Locker number: ", "one"),
            (CHOOSE, "4"),
            ("Locker number: ", "1"),
            (PASSWORD, ""),
            (CHOOSE, "4"),
            ("Locker number: ", "1"),
            (PASSWORD, "a b"),
            (CHOOSE, "4"),
            ("Locker number: ", "1"),
            (PASSWORD, &"x".repeat(129)),
            (CHOOSE, "2"),
            ("Locker number: ", "1"),
            (PASSWORD, "one"),
            ("The same once more: ", "other"),
            (CHOOSE, "2"),
            ("Locker number: ", "3"),
            (PASSWORD, "one"),
            ("The same once more: ", "one"),
            (CHOOSE, "6"),
        ],
    );
    assert_eq!(terminal.report(), "ended 0, echo on");
    assert_eq!(lockers.request(), "register 3 one");
    assert_eq!(lockers.request(), "END");
    let shown = terminal.shown();
    for text in [
        "Please type a number from 1 to 6",
        "That is no number of a locker.",
        "A password is needed.",
        "A password can't hold blanks.",
        "A password has at most 128 bytes.",
        "The two passwords differ.",
        "error: locker 3 is in use\n",
    ] {
        assert!(shown.contains(text), "no {text:?} in {shown}");
    }
}

#[test]
fn the_server_s_end_is_noticed_in_the_menu_and_in_a_password() {
    for is_at_password in [false, true] {
        let lockers = Lockers::four();
        let mut terminal = match is_at_password {
            true => kiosk_at_password(&lockers),
            false => kiosk(&lockers),
        };
        // Half a line, which may be shown anywhere: the terminal takes it when it likes.
        terminal.types("hal");
        end(&lockers.connection());
        assert_eq!(terminal.report(), "ended 1, echo on");
        terminal.wait_for("The connection to the lockers was lost.\n", 1);
        let why = "the server ended the connection\n";
        terminal.wait_for(&format!("error: {}: {why}", lockers.endpoint), 1);
    }
    let lockers = Lockers::four();
    let terminal = kiosk_at_password(&lockers);
    let bye = "bye: the server is shutting down\n";
    lockers.connection().write_all(bye.as_bytes()).unwrap();
    assert_eq!(terminal.report(), "ended 1, echo on");
    terminal.wait_for(&format!(": {bye}"), 1);
}

#[test]
fn ctrl_d_leaves_and_ctrl_c_ends_with_the_echo_on() {
    for (key, status, last) in [
        ("\x04", 0, "Goodbye.\n"),
        ("\x03", 130, ""),
        ("\x1c", 131, ""),
    ] {
        let lockers = Lockers::four();
        for mut terminal in [kiosk(&lockers), kiosk_at_password(&lockers)] {
            terminal.types(key);
            assert_eq!(terminal.report(), format!("ended {status}, echo on"));
            terminal.wait_for(last, 1);
        }
    }
}

#[test]
fn a_signal_ends_it_with_the_echo_on() {
    for (signal, status) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let lockers = Lockers::four();
        for mut terminal in [kiosk(&lockers), kiosk_at_password(&lockers)] {
            terminal.signal(signal);
            assert_eq!(terminal.report(), format!("ended {status}, echo on"));
        }
    }
    let lockers = Lockers::four();
    let mut terminal = kiosk_at_password(&lockers);
    terminal.hang_up();
    // The shell of this test does not pass the signal on: the terminal's end is like Ctrl-D.
    assert_eq!(terminal.report(), "ended 0, no terminal");
}

#[test]
fn a_terminal_that_goes_before_the_answer_comes_is_no_failure() {
    let lockers = Lockers::that_say("");
    let mut terminal = kiosk(&lockers);
    terminal.types("show\n");
    assert_eq!(lockers.request(), "show");
    terminal.hang_up();
    assert!(!terminal.echoes(), "it has gone");
    lockers.connection().write_all(b"0 free\nok\n").unwrap();
    assert_eq!(terminal.report(), "ended 0, no terminal");
}

#[test]
fn a_signal_after_a_password_ends_it_at_once() {
    let lockers = Lockers::four();
    let mut terminal = kiosk_at_password(&lockers);
    terminal.types("pw\n");
    terminal.wait_for(CHOOSE, 2);
    assert!(terminal.echoes());
    terminal.types("\x03");
    assert_eq!(terminal.report(), "ended 130, echo on");
}

#[test]
fn ctrl_z_stops_it_with_the_echo_on_and_it_goes_on_without() {
    let lockers = Lockers::four();
    let mut terminal = kiosk_at_password(&lockers);
    terminal.types("ha");
    terminal.types("\x1a");
    assert_eq!(terminal.report(), "stopped, echo on");
    // Nothing tells when it has gone on.
    let end = std::time::Instant::now() + PATIENCE;
    while terminal.echoes() {
        assert!(std::time::Instant::now() < end);
    }
    terminal.types("secret\n");
    terminal.wait_for(CHOOSE, 2);
    assert_eq!(lockers.request(), "retrieve 1 secret");
    assert!(terminal.echoes());
    // And once more in the menu.
    terminal.types("\x1a");
    assert_eq!(terminal.report(), "stopped, echo on");
    terminal.types("6\n");
    assert_eq!(terminal.report(), "ended 0, echo on");
    assert!(!terminal.shown().contains("secret"));
}

#[test]
fn a_server_that_hangs_is_noticed_while_nobody_types() {
    let lockers = Lockers::start("", {
        let mut answers = ["ok\n", "error: that is no command\n", ""].into_iter();
        move |_| Then::Say(answers.next().unwrap_or_default().to_owned())
    });
    let arguments = ["kiosk", "--lang=en", "--timeout=1s", &lockers.endpoint];
    let outcome = Client::start(&arguments).outcome();
    let said = format!("error: {}: no answer within 1s\n", lockers.endpoint);
    assert_eq!((outcome.code, outcome.stderr), (Some(1), said));
    for request in ["help", "help", "help", "END"] {
        assert_eq!(lockers.request(), request);
    }
}

#[test]
fn a_pipe_answers_one_question_with_each_line() {
    let lockers = Lockers::four();
    let input = "2\n1\npw\n3\n1\npw\na red book\n4\n1\nwrong\nquit\n";
    let arguments = ["kiosk", "--lang=en", &lockers.endpoint];
    let outcome = run_with(&arguments, input.as_bytes());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    for request in [
        "register 1 pw",
        "store 1 pw a red book",
        "retrieve 1 wrong",
        "END",
    ] {
        assert_eq!(lockers.request(), request);
    }
    let end = "error: wrong password for locker 1\n";
    assert!(outcome.stdout.contains(end), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains("pw"), "{}", outcome.stdout);
    // The end of the pipe leaves, in the middle of a question too.
    for input in ["", "4\n", "4\n1\n", "1"] {
        let outcome = run_with(&arguments, input.as_bytes());
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        assert!(outcome.stdout.ends_with("\nGoodbye.\n"));
    }
}

#[test]
fn it_ends_with_its_output_and_says_what_went_wrong() {
    let lockers = Lockers::four();
    let mut unread = Client::start_unread(&["kiosk", &lockers.endpoint]);
    lockers.connection();
    unread.close_stdout();
    let (code, _, stderr) = unread.bytes();
    assert_eq!((code, stderr.as_str()), (Some(0), ""));

    let full = Lockers::start(
        "error: too many connections\n",
        |_| Then::Say(String::new()),
    );
    let mut refused = Client::start(&["kiosk", "--lang=en", &full.endpoint]);
    let outcome = refused.outcome();
    let said = "error: too many connections\n";
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(3), said));

    let outcome = run(&["kiosk", "--lang=ko", "unix:/nonexistent/x"]);
    let said = "error: unix:/nonexistent/x: no such file or directory\n";
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), said));

    let silent = Lockers::that_say("");
    let arguments = ["kiosk", "--timeout=300ms", "--lang=ko", &silent.endpoint];
    let outcome = run_with(&arguments, b"1\n");
    let said = format!("error: {}: no answer within 300ms\n", silent.endpoint);
    assert_eq!((outcome.code, outcome.stderr), (Some(1), said));
    let lost = "보관함 서버와의 연결이 끊어졌습니다.\n";
    assert!(outcome.stdout.ends_with(lost), "{}", outcome.stdout);

    let outcome = run(&["kiosk", "--lang=xx"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("[possible values: en, ko]"));
}
