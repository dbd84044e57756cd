//! What a client sends and is sent, on its wire: one command after the other.

use super::ask::{Answer, Ask};
use super::binary::{self, Asked};
use super::options::Wire;
use super::{Lockers, Session, text};
use crate::config::limits::LOCKER_ANSWER_BYTES;
use crate::service::{CloseReason, Cx};
use crate::wire::line::Next;

impl Lockers {
    /// Does as many of the commands in `input` as it can before one has to wait.
    pub(super) fn read_text(
        &mut self,
        s: &mut Session,
        mut input: &[u8],
        cx: &mut Cx<'_, Self>,
    ) -> usize {
        let offered = input.len();
        while s.asked.is_none() && !cx.is_closing() {
            if cx.sent() > LOCKER_ANSWER_BYTES && !input.is_empty() {
                cx.yield_turn();
                break;
            }
            match s.lines.next(&mut input) {
                Next::Line(line) => self.say(s, text::read(line), cx),
                Next::TooLong => {
                    cx.send(b"error: a line has at most 4096 bytes; this one is skipped\n");
                }
                Next::Incomplete => break,
            }
        }
        offered - input.len()
    }

    pub(super) fn say(&mut self, s: &mut Session, said: text::Said, cx: &mut Cx<'_, Self>) {
        match said {
            text::Said::Ask(ask) => self.begin(s, ask, Asked::Other, cx),
            text::Said::Help => {
                cx.send_text(format_args!("{}ok\n", text::HELP));
            }
            text::Said::Quit => {
                cx.send(b"ok bye\n");
                cx.close(CloseReason::ClientLeft);
            }
            text::Said::Wrong(words) => cx.send_text(format_args!("error: {words}\n")),
        }
    }

    pub(super) fn read_binary(
        &mut self,
        s: &mut Session,
        input: &[u8],
        cx: &mut Cx<'_, Self>,
    ) -> usize {
        let mut used = 0;
        while s.asked.is_none() && !cx.is_closing() {
            if cx.sent() > LOCKER_ANSWER_BYTES && used < input.len() {
                cx.yield_turn();
                break;
            }
            match binary::read(&input[used..], s.item) {
                binary::Said::Incomplete => break,
                binary::Said::Nothing(bytes) => {
                    s.item = None;
                    used += bytes;
                }
                binary::Said::Leave => {
                    used = input.len();
                    cx.close(CloseReason::ClientLeft);
                }
                binary::Said::Ask(ask, bytes) => {
                    s.item = None;
                    used += bytes;
                    let asked = Asked::of(&ask);
                    self.begin(s, ask, asked, cx);
                }
            }
        }
        used
    }

    /// Does what a client asks for, or begins it.
    fn begin(&mut self, s: &mut Session, ask: Ask, asked: Asked, cx: &mut Cx<'_, Self>) {
        match self.ask(s, ask, cx) {
            Some(answer) => self.answer(s, &answer, asked, cx),
            None => {
                s.asked = Some(asked);
                cx.pause();
            }
        }
    }

    /// What was under way is done.
    pub(super) fn finish(&mut self, s: &mut Session, answer: &Answer, cx: &mut Cx<'_, Self>) {
        let Some(asked) = s.asked.take() else {
            return;
        };
        self.answer(s, answer, asked, cx);
        if s.leaving {
            cx.close(CloseReason::Shutdown);
        } else if s.ended {
            self.close_if_done(s, cx);
        } else {
            cx.resume();
        }
    }

    fn answer(&mut self, s: &mut Session, answer: &Answer, asked: Asked, cx: &mut Cx<'_, Self>) {
        match s.wire {
            Wire::Text => cx.send(text::write(answer).as_bytes()),
            Wire::Binary => {
                if *answer == Answer::Unknown {
                    // Neither yes nor no would be true.
                    cx.note(format_args!("is cut off: the outcome is unknown"));
                    return cx.abort(CloseReason::OutcomeUnknown);
                }
                if let (Answer::No(refusal), Asked::Item) = (answer, asked) {
                    // It was asked for, and is lost; only the end of the connection can say so.
                    cx.note(format_args!(
                        "is cut off, its item was not taken: {refusal}"
                    ));
                    return cx.abort(CloseReason::ItemRefused);
                }
                if let (Answer::No(refusal), Asked::Other) = (answer, asked) {
                    cx.note(format_args!(
                        "was refused, and its wire has no word for it: {refusal}"
                    ));
                }
                if let Some(bytes) = binary::write(answer, asked) {
                    cx.send(&bytes);
                }
            }
        }
    }

    /// A client that has ended its writing stays while its call for the administrator waits.
    pub(super) fn close_if_done(&mut self, s: &Session, cx: &mut Cx<'_, Self>) {
        let approved = self.approved.iter().any(|(_, caller)| *caller == cx.id());
        match self.calls.last_of(cx.id()) {
            Some(ends) if s.wire == Wire::Text => cx.set_deadline(ends.since(cx.now())),
            // It is let go once that is done.
            None if approved && s.wire == Wire::Text => {}
            _ => cx.close(CloseReason::ClientEnded),
        }
    }
}
