//! `kiosk` on a pseudo-terminal against the real lockers: every choice in each language, several
//! kiosks at once, calls for the administrator, and every end of the server.

use rustix::process::Signal;

use crate::support::have;
use crate::support::job::Terminal;
use crate::support::operator::Operated;
use crate::support::server::Server;

const CHOOSE: &str = "Number or word: ";
const NUMBER: &str = "Locker number: ";
const PASSWORD: &str = "Password (not shown): ";
const AGAIN: &str = "The same once more: ";

/// Four lockers over Unix, where the server knows its own user, and over TCP.
const LISTENERS: [&str; 2] = [
    "locker=unix:DIR/locker.sock?count=4&hash=8,1",
    "locker=tcp://127.0.0.1:0",
];

/// What is waited for, and what is typed then.
type Step<'a> = (&'a str, &'a str);

/// A kiosk and how often it has shown each prompt that was answered.
struct Kiosk {
    terminal: Terminal,
    answered: Vec<String>,
}

impl Kiosk {
    /// On a terminal of 80 columns; it never gives a silent server up by itself.
    fn start(endpoint: &str, arguments: &[&str]) -> Self {
        let all = [&["kiosk", "--timeout=0", endpoint], arguments].concat();
        Self {
            terminal: Terminal::start(80, &all, &[]),
            answered: Vec::new(),
        }
    }

    /// In English, with its menu shown.
    fn open(endpoint: &str) -> Self {
        let kiosk = Self::start(endpoint, &["--lang=en"]);
        kiosk.terminal.wait_for(CHOOSE, 1);
        kiosk
    }

    fn play(&mut self, steps: &[Step<'_>]) {
        for (prompt, typed) in steps {
            self.answered.push((*prompt).to_owned());
            // Prompts come again and again.
            let times = self.answered.iter().filter(|one| one == prompt).count();
            self.terminal.wait_for(prompt, times);
            self.terminal.types(&format!("{typed}\n"));
        }
    }

    /// Up to the question for the password of locker 1.
    fn play_to_password(&mut self) {
        self.play(&[(CHOOSE, "retrieve"), (NUMBER, "1")]);
        self.terminal.wait_for(PASSWORD, 1);
        assert!(!self.terminal.echoes());
    }

    #[track_caller]
    fn ends(&self, status: i32) {
        assert_eq!(self.terminal.report(), format!("ended {status}, echo on"));
    }

    #[track_caller]
    fn has_shown(&self, texts: &[&str]) {
        let shown = self.terminal.shown();
        for text in texts {
            assert!(shown.contains(text), "no {text:?} in {shown}");
        }
    }
}

fn unix(server: &Server) -> String {
    format!("unix:{}", server.unix("locker").display())
}

fn tcp(server: &Server) -> String {
    format!("tcp://{}", server.tcp("locker"))
}

#[test]
fn all_six_choices_in_english() {
    if !have("python3") {
        return;
    }
    let server = Server::start(&LISTENERS);
    let mut kiosk = Kiosk::open(&unix(&server));
    kiosk.play(&[
        (CHOOSE, "1"),
        (CHOOSE, "register"),
        (NUMBER, "1"),
        (PASSWORD, "verysecret"),
        (AGAIN, "verysecret"),
        (CHOOSE, "3"),
        (NUMBER, "1"),
        (PASSWORD, "verysecret"),
        ("What do you store? ", "a red book"),
        (CHOOSE, "show"),
        (CHOOSE, "5"),
        (NUMBER, "1"),
        (CHOOSE, "call"),
        (NUMBER, "2"),
        (CHOOSE, "4"),
        (NUMBER, "1"),
        (PASSWORD, "verysecret"),
        (CHOOSE, "Retrieve"),
        (NUMBER, "1"),
        (PASSWORD, "0000"),
        (CHOOSE, "4"),
        (NUMBER, "9"),
        (PASSWORD, "0000"),
        (CHOOSE, "6"),
    ]);
    kiosk.ends(0);
    kiosk.has_shown(&[
        "\n0 free    1 free    2 free    3 free\n",
        "Locker 1 is yours.",
        "Stored. Locker 1 holds 1 item(s) now.\n",
        "\n0 free    1 in use  2 free    3 free\n",
        // The server's own user need not ask anybody.
        "The password of locker 1 is 0000 now.\n",
        "error: locker 2 is free\n",
        "error: wrong password for locker 1\n",
        "- a red book\nLocker 1 held 1 item(s). It is free now.\n",
        "error: there is no locker 9; there are 0 to 3\n",
        "Goodbye.\n",
    ]);
    assert!(!kiosk.terminal.shown().contains("verysecret"));
    server.stop();
}

#[test]
fn all_six_choices_in_korean() {
    if !have("python3") {
        return;
    }
    let server = Server::start(&LISTENERS);
    let mut kiosk = Kiosk::start(&unix(&server), &["--lang=ko"]);
    let (choose, number) = ("번호나 메뉴 이름을 입력해 주세요: ", "보관함 번호: ");
    let password = "비밀번호 (화면에 표시되지 않습니다): ";
    let again = "비밀번호를 한 번 더 입력해 주세요: ";
    let secret = "비밀열쇠";
    kiosk.play(&[
        (choose, "보기"),
        (choose, "등록"),
        (number, "1"),
        (password, secret),
        (again, secret),
        (choose, "맡기기"),
        (number, "1"),
        (password, secret),
        ("맡기실 물건: ", "빨간 책"),
        (choose, "1"),
        (choose, "등록"),
        (number, "1"),
        (password, secret),
        (again, secret),
        (choose, "호출"),
        (number, "1"),
        (choose, "찾기"),
        (number, "1"),
        (password, secret),
        (choose, "4"),
        (number, "1"),
        (password, "0000"),
        (choose, "호출"),
        (number, "1"),
        (choose, "나가기"),
    ]);
    kiosk.ends(0);
    kiosk.has_shown(&[
        "0 비어 있음  1 비어 있음  2 비어 있음  3 비어 있음\n",
        "1번 보관함이 등록되었습니다.",
        "1번 보관함에 맡기셨습니다. 현재 물건은 1개입니다.\n",
        "0 비어 있음  1 사용 중    2 비어 있음",
        "1번 보관함은 이미 사용 중입니다.\n",
        "1번 보관함의 비밀번호가 0000으로 초기화되었습니다.\n",
        "1번 보관함의 비밀번호가 맞지 않습니다.\n",
        "- 빨간 책\n1번 보관함에서 물건 1개를 찾으셨습니다.",
        "1번 보관함은 비어 있습니다.",
        "이용해 주셔서 감사합니다.\n",
    ]);
    assert!(!kiosk.terminal.shown().contains(secret));
    server.stop();
}

#[test]
fn kiosks_see_what_others_do() {
    if !have("python3") {
        return;
    }
    let server = Server::start(&LISTENERS);
    let (mut here, mut there) = (Kiosk::open(&unix(&server)), Kiosk::open(&tcp(&server)));
    here.play(&[
        (CHOOSE, "2"),
        (NUMBER, "3"),
        (PASSWORD, "one"),
        (AGAIN, "one"),
    ]);
    here.terminal.wait_for("Locker 3 is yours.", 1);
    there.play(&[
        (CHOOSE, "1"),
        (CHOOSE, "2"),
        (NUMBER, "3"),
        (PASSWORD, "other"),
        (AGAIN, "other"),
        (CHOOSE, "3"),
        (NUMBER, "3"),
        (PASSWORD, "one"),
        ("What do you store? ", "from there"),
    ]);
    there.terminal.wait_for("Stored.", 1);
    there.has_shown(&["3 in use\n", "error: locker 3 is in use\n"]);
    here.play(&[(CHOOSE, "4"), (NUMBER, "3"), (PASSWORD, "one")]);
    here.terminal.wait_for("- from there\nLocker 3 held 1", 1);
    there.play(&[(CHOOSE, "1"), (CHOOSE, "6")]);
    there.ends(0);
    there.has_shown(&["0 free    1 free    2 free    3 free\n"]);
    here.play(&[(CHOOSE, "6")]);
    here.ends(0);
    server.stop();
}

#[test]
fn a_call_over_tcp_waits_for_the_operator() {
    if !have("python3") {
        return;
    }
    let mut operated = Operated::start(&LISTENERS);
    let mut kiosk = Kiosk::open(&tcp(&operated.server));
    kiosk.play(&[
        (CHOOSE, "2"),
        (NUMBER, "1"),
        (PASSWORD, "lost"),
        (AGAIN, "lost"),
        (CHOOSE, "5"),
        (NUMBER, "1"),
    ]);
    let called = "The administrator was called for locker 1. Leaving takes the call back.\n";
    kiosk.terminal.wait_for(called, 1);
    operated.says("wants locker 1 reset; 'approve 1' or 'deny 1'");
    operated.types("deny 1");
    operated.says("call 1 is denied");
    // The kiosk stays, and may call again.
    kiosk.play(&[(CHOOSE, "5"), (NUMBER, "1")]);
    operated.says("'approve 2'");
    operated.types("approve 2");
    operated.says("locker 1 is reset, its password is 0000");
    kiosk.play(&[
        (CHOOSE, "4"),
        (NUMBER, "1"),
        (PASSWORD, "0000"),
        (CHOOSE, "6"),
    ]);
    kiosk.ends(0);
    kiosk.has_shown(&["Locker 1 held 0 item(s). It is free now.\n"]);
    operated.server.stop();
}

#[test]
fn a_call_ends_with_its_kiosk() {
    if !have("python3") {
        return;
    }
    let operated = Operated::start(&LISTENERS);
    let mut owner = Kiosk::open(&tcp(&operated.server));
    owner.play(&[
        (CHOOSE, "2"),
        (NUMBER, "1"),
        (PASSWORD, "lost"),
        (AGAIN, "lost"),
        (CHOOSE, "6"),
    ]);
    owner.ends(0);
    for (call, end) in (1..).zip(["leave", "signal", "hangup"]) {
        let mut kiosk = Kiosk::open(&tcp(&operated.server));
        kiosk.play(&[(CHOOSE, "5"), (NUMBER, "1")]);
        operated.says(&format!("call {call}: 127.0.0.1:"));
        match end {
            "leave" => {
                kiosk.play(&[(CHOOSE, "6")]);
                kiosk.ends(0);
            }
            "signal" => {
                kiosk.terminal.signal(Signal::TERM);
                kiosk.ends(143);
            }
            _ => {
                // One that still prints finds that it can't, which is status 1.
                kiosk.terminal.wait_for(CHOOSE, 2);
                kiosk.terminal.hang_up();
                assert_eq!(kiosk.terminal.report(), "ended 0, no terminal");
            }
        }
        operated.says(&format!("call {call} is withdrawn: its client has left"));
    }
    operated.server.stop();
}

#[test]
fn nobody_at_the_console_is_said() {
    if !have("python3") {
        return;
    }
    let server = Server::start(&LISTENERS);
    let mut kiosk = Kiosk::open(&tcp(&server));
    kiosk.play(&[
        (CHOOSE, "2"),
        (NUMBER, "1"),
        (PASSWORD, "lost"),
        (AGAIN, "lost"),
        (CHOOSE, "5"),
        (NUMBER, "1"),
        (CHOOSE, "6"),
    ]);
    kiosk.ends(0);
    kiosk.has_shown(&["error: no administrator is there\n"]);
    server.stop();
}

#[test]
fn the_server_s_end_is_noticed_at_once_in_the_menu_and_in_a_password() {
    if !have("python3") {
        return;
    }
    for (signal, why) in [
        (Signal::KILL, "the server ended the connection"),
        (Signal::INT, "bye: the server is shutting down"),
    ] {
        let mut server = Server::start(&LISTENERS);
        let endpoints = [unix(&server), tcp(&server)];
        let mut kiosks: Vec<_> = endpoints
            .iter()
            .flat_map(|endpoint| [Kiosk::open(endpoint), Kiosk::open(endpoint)])
            .collect();
        for kiosk in kiosks.iter_mut().step_by(2) {
            kiosk.play_to_password();
        }
        for kiosk in &mut kiosks {
            // Half a line: nobody is asked to end it.
            kiosk.terminal.types("hal");
        }
        server.signal(signal);
        server.wait();
        for (kiosk, endpoint) in kiosks.iter().zip(endpoints.iter().flat_map(|e| [e, e])) {
            kiosk.ends(1);
            let lost = "The connection to the lockers was lost.\n";
            kiosk.terminal.wait_for(lost, 1);
            let said = format!("error: {endpoint}: {why}\n");
            kiosk.terminal.wait_for(&said, 1);
        }
    }
}

#[test]
fn the_first_start_asks_on_a_terminal_how_many_lockers_there_are() {
    if !have("python3") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let listener = format!("locker=unix:{folder}/locker.sock?hash=8,1");
    let serve = || Terminal::start(80, &["serve", &listener], &[("XDG_STATE_HOME", folder)]);
    let question = "How many lockers are there, 1 to 10000? [16]";
    let mut first = serve();
    for (times, answer) in (1..).zip(["many", "10001", "3"]) {
        first.wait_for(question, times);
        first.types(&format!("{answer}\n"));
    }
    first.wait_for("ready\n", 1);
    let mut kiosk = Kiosk::open(&format!("unix:{folder}/locker.sock"));
    kiosk.play(&[(CHOOSE, "1"), (CHOOSE, "6")]);
    kiosk.ends(0);
    kiosk.has_shown(&["0 free    1 free    2 free\n"]);
    first.types("\x03");
    assert_eq!(first.report(), "ended 0, echo on");
    // It is not asked again.
    let mut second = serve();
    second.wait_for("ready\n", 1);
    second.types("\x03");
    assert_eq!(second.report(), "ended 0, echo on");
    assert!(!second.shown().contains(question));
}
